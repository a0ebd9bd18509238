"""Runs ``pbxcrm`` as people do, in a process of its own."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from tests import forks

SECONDS = 60  # only against what hangs


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


async def pbxcrm(*words: str | Path, stdin: str = "", **environ: str) -> Ended:
    """Run a command until it ends, as a fork of a process that has imported what others wrote (``tests/forks.py``)."""
    forks.server("commands")
    ended = await asyncio.to_thread(_fork, [str(word) for word in words], stdin, _clean() | environ)
    assert "Traceback" not in ended.err
    return ended


async def pbxcrm_program(*words: str | Path, stdin: str = "", **environ: str) -> Ended:
    """The same with a Python of its own, as a user starts it."""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "pbxcrm", *words],
        input=stdin, capture_output=True, text=True, env=_clean() | environ, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PBXCRM_")}


def _fork(words: list[str], stdin: str, environ: dict[str, str]) -> Ended:
    with TemporaryFile() as typed, TemporaryFile() as out, TemporaryFile() as err:
        typed.write(stdin.encode())
        typed.seek(0)
        fork = forks.start(
            "pbxcrm", *words,
            of="commands", environ=environ, stdin=typed.fileno(), stdout=out.fileno(), stderr=err.fileno(),
        )  # fmt: skip
        try:
            code = fork.wait(SECONDS)
        finally:
            if fork.returncode is None:
                fork.kill()
        out.seek(0)
        err.seek(0)
        return Ended(code, out.read().decode(), err.read().decode())
