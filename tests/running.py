"""Runs a whole ``pbxcrm run`` as users start it, for tests from outside."""

import asyncio
import json
import os
import re
import signal
import sys
import urllib.request
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pbxcrm.shared import child
from tests.waiting import children_of

PARTS = {"web", "work", "listen", "simulate", "redis"}
START_SECONDS = 150  # only against what hangs: several tests start programs at the same time, maybe on a slow machine


class Running:
    """A ``pbxcrm run`` that has printed its address."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.said = ""
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout
        while line := await self.process.stdout.readline():
            self.said += line.decode()

    @property
    def address(self) -> str:
        found = re.search(r"pbxcrm is at (http://\S+)", self.said)
        return found[1] if found else ""

    def parts(self) -> dict[str, int]:
        """The pid of each running child process by its name."""
        names: dict[str, int] = {}
        for pid, line in children_of(self.process.pid).items():
            found = re.search(r"\bpbxcrm (\w+)|(redis)-server|(valkey)-server", line)
            if found:
                names[found[1] or "redis"] = pid
        return names

    async def ready(self) -> dict[str, Any]:
        text: str = await asyncio.to_thread(_get, f"{self.address}readyz")
        answer: dict[str, Any] = json.loads(text)
        return answer

    async def well(self) -> bool:
        try:
            answer = await self.ready()
        except OSError:
            return False
        return answer["redis"] == "ok" and all(pbx["listening"] for pbx in answer["pbxs"].values())

    async def listens(self) -> bool:
        """Whether a PBX is reported and the listener hears each one. Before the first report there is none, but ``well`` is True."""
        pbxs = (await self.ready())["pbxs"].values()
        return bool(pbxs) and all(pbx["listening"] for pbx in pbxs)

    async def hears(self) -> bool:
        """Whether the listener has received an event: ``listens`` is True before the first one."""
        return (await self.ready())["pbxs"]["default"]["last_event_age_seconds"] is not None

    async def ended(self, seconds: float) -> int:
        code = await asyncio.wait_for(self.process.wait(), seconds)
        await self._reading
        return code


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


@asynccontextmanager
async def running(*words: str, **environ: str) -> AsyncIterator[Running]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PBXCRM_")}
    process = await asyncio.create_subprocess_exec(
        *child.command([sys.executable, "-m", "pbxcrm", "run", *words], at_parents_death=signal.SIGKILL),
        stdout=PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=clean | {"PBXCRM_BIND": "127.0.0.1:0"} | environ,
    )
    run = Running(process)
    try:
        yield run
    finally:
        if process.returncode is None:
            process.terminate()
            await run.ended(60)
