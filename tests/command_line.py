"""Runs ``pbxcrm`` as people do, in a process of its own."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


async def pbxcrm(*words: str | Path, stdin: str = "", **environ: str) -> Ended:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PBXCRM_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pbxcrm",
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=clean | environ,
    )
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
    assert process.returncode is not None
    assert "Traceback" not in err.decode()
    return Ended(process.returncode, out.decode(), err.decode())
