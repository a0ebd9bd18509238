"""``pbxcrm run`` as users start it, and what is left of it when its processes are killed."""

import asyncio
import os
import re
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pbxcrm.shared.settings import Settings
from tests.command_line import pbxcrm
from tests.integration.runtime.test_private_files import open_to_others
from tests.running import PARTS, START_SECONDS, Running, running
from tests.waiting import is_alive, until


@pytest.fixture
def no_mask() -> Iterator[None]:
    """As if the user let everybody read what their programs write."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("no_mask")
async def test_each_part_comes_back_its_files_are_private_and_nothing_is_left_when_all_is_over(tmp_path: Path) -> None:
    """The one start with a new sample company, which takes ten seconds: with an embedded Redis, a simulated PBX and a backup."""
    data = tmp_path / "data"
    async with running("--demo", "--rate", "60", PBXCRM_DATA_DIR=str(data)) as run:
        await until(lambda: run.address, START_SECONDS)
        for login in ("olena", "taras", "maksym", "daria", "admin"):
            assert re.search(rf"^   {login} +\w{{4}}-\w{{4}}-\w{{4}} ", run.said, re.MULTILINE)
        await until(run.well, START_SECONDS)
        before = run.parts()
        assert set(before) == PARTS
        for name, pid in before.items():
            os.kill(pid, signal.SIGKILL)
            await until(lambda name=name, pid=pid: run.parts().get(name, pid) != pid)
        await until(run.well, START_SECONDS)
        await until(run.hears, START_SECONDS)
        await until(lambda: list(data.glob("journal/*/*")), START_SECONDS)
        assert open_to_others(data) == []
        backup = tmp_path / "backup.tar.gz"
        assert (await pbxcrm("backup", backup, PBXCRM_DATA_DIR=str(data))).code == 0
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
        pids = run.parts().values()
        run.process.terminate()
        assert await run.ended(60) == 0
        assert not any(is_alive(pid) for pid in pids)
    assert open_to_others(data) == []


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("begins_with_office", "sqlite_url")
async def test_killed_as_a_whole_it_leaves_no_orphan_and_starts_again(tmp_path: Path) -> None:
    (tmp_path / "demo").touch()  # as the first start left it, but with an office that is copied
    async with running("--demo", PBXCRM_DATA_DIR=str(tmp_path)) as run:
        await until(run_is_complete(run), START_SECONDS)
        pids = run.parts().values()
        run.process.kill()
        await run.ended(30)
        await until(lambda: not any(is_alive(pid) for pid in pids))
    async with running("--demo", PBXCRM_DATA_DIR=str(tmp_path)) as run:
        await until(lambda: run.address, START_SECONDS)
        await until(run.well, START_SECONDS)
        told = run.said.split("pbxcrm is at")[0]
        assert "the passwords of the first start" in told
        assert "password" not in told.replace("the passwords of the first start", "")


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


FAULTY_WEB = """
import asyncio, signal
from pbxcrm.cli import main
from pbxcrm.shared.relay import Relay

async def publish(relay):
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, relay._awake.set)
    await relay._awake.wait()
    raise RuntimeError("a fault that nobody foresaw")

Relay._publish = publish
main()
"""


async def test_a_web_part_that_can_tell_browsers_nothing_any_more_ends(settings: Settings) -> None:
    """Loudly, so that it is started again, instead of serving pages that stand still."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FAULTY_WEB, "web", "--fd", str(listening.fileno()),
            env=os.environ | {"PBXCRM_DATA_DIR": str(settings.data_dir), "PBXCRM_DATABASE_URL": settings.database_url},
            pass_fds=[listening.fileno()], stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in await asyncio.wait_for(reader.readline(), START_SECONDS)
        process.send_signal(signal.SIGUSR1)
        try:
            _, said = await asyncio.wait_for(process.communicate(), 30)
        finally:
            writer.close()
            if process.returncode is None:
                process.kill()
    assert process.returncode == 1
    assert b"a fault that nobody foresaw" in said
