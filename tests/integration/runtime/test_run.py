"""``pbxcrm run`` as users start it, and what is left of it when its processes are killed."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import urllib.request
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import children_of, is_alive, until

PARTS = {"web", "work", "listen", "simulate", "redis"}
START_SECONDS = 60  # on a machine that runs other tests beside this one


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
        """Name of each living child and its pid."""
        names: dict[str, int] = {}
        for pid, line in children_of(self.process.pid).items():
            found = re.search(r"-m pbxcrm (\w+)|(redis)-server|(valkey)-server", line)
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

    async def ended(self, seconds: float) -> int:
        code = await asyncio.wait_for(self.process.wait(), seconds)
        await self._reading
        return code


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())


@asynccontextmanager
async def running(*words: str, **environ: str) -> AsyncIterator[Running]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PBXCRM_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pbxcrm", "run", *words),
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
            await run.ended(10)


@pytest.mark.timeout(240)
async def test_each_part_comes_back_and_nothing_is_left_when_all_is_over(tmp_path: Path) -> None:
    async with running("--demo", "--rate", "60", PBXCRM_DATA_DIR=str(tmp_path)) as run:
        await until(lambda: run.address, START_SECONDS)
        for login in ("olena", "taras", "maksym", "daria", "admin"):
            assert re.search(rf"^   {login} +\w{{4}}-\w{{4}}-\w{{4}} ", run.said, re.MULTILINE)
        await until(run.well, START_SECONDS)
        before = run.parts()
        assert set(before) == PARTS
        for name, pid in before.items():
            os.kill(pid, signal.SIGKILL)
            await until(lambda name=name, pid=pid: run.parts().get(name, pid) != pid, 10)
        await until(run.well, START_SECONDS)
        assert (await run.ready())["pbxs"]["default"]["last_event_age_seconds"] is not None
        pids = run.parts().values()
        run.process.terminate()
        assert await run.ended(5) == 0
        assert not any(is_alive(pid) for pid in pids)


@pytest.mark.timeout(240)
async def test_killed_as_a_whole_it_leaves_no_orphan_and_starts_again(tmp_path: Path) -> None:
    async with running("--demo", PBXCRM_DATA_DIR=str(tmp_path)) as run:
        await until(run_is_complete(run), START_SECONDS)
        pids = run.parts().values()
        run.process.kill()
        await run.ended(5)
        await until(lambda: not any(is_alive(pid) for pid in pids), 3)
    async with running("--demo", PBXCRM_DATA_DIR=str(tmp_path)) as run:
        await until(lambda: run.address, START_SECONDS)
        await until(run.well, START_SECONDS)
        assert "password" not in run.said.split("pbxcrm is at")[0].replace("new passwords", "")


def run_is_complete(run: Running) -> Any:
    return lambda: set(run.parts()) == PARTS and run.address


@pytest.mark.timeout(240)
async def test_two_installations_side_by_side_and_one_data_directory_once(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 110)  # too long a path for a socket
    async with (
        running(PBXCRM_DATA_DIR=str(tmp_path / "a")) as one,
        running(PBXCRM_DATA_DIR=str(deep)) as other,
    ):
        await until(lambda: one.address and other.address, START_SECONDS)
        for run in (one, other):
            assert (await run.ready())["redis"] == "ok"
            assert re.search(r"^   admin +\w{4}-\w{4}-\w{4} ", run.said, re.MULTILINE)
            assert "PBXCRM_AMI_URL" in run.said  # no PBX was configured, and that is said
            assert set(run.parts()) == {"web", "work", "redis"}
        async with running(PBXCRM_DATA_DIR=str(tmp_path / "a")) as again:
            assert await again.ended(30) == 1
            assert "already running" in again.said
        async with running(
            "--demo", PBXCRM_DATA_DIR=str(tmp_path / "b"), PBXCRM_DATABASE_URL=f"sqlite:///{tmp_path}/a/pbxcrm.db"
        ) as demo:
            assert await demo.ended(30) == 1
            assert "no sample data" in demo.said


async def test_a_port_that_is_taken_is_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        async with running(PBXCRM_DATA_DIR=str(tmp_path), PBXCRM_BIND=bind) as run:
            assert await run.ended(30) == 2
    assert f"The address {bind} cannot be used: address already in use." in run.said
    assert "Traceback" not in run.said
