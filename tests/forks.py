"""Programs of ours as forks of one process that has imported them, for tests that start a program many times.

Python takes one to two seconds of processor time to import what a part of the product needs; a fork takes milliseconds. ``pbxcrm run``
starts its parts in the same way (decision 29). What users type is started as a program of its own where that is what is tested:
``pbxcrm run`` (``tests/running.py``) and one walk through the commands (``test_cli``).

The process that forks has no threads, no event loop and no connection. It gets the files of the child through a socket; the
child is killed when it ends.
"""

import asyncio
import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from pbxcrm.shared import child

#: What is imported before anything is forked. ``commands``: only what others wrote, since a command must import what it needs of ours.
PRELOADED = {
    "commands": ("typer", "sqlmodel.ext.asyncio.session", "structlog", "redis.asyncio", "alembic.command", "asyncpg", "aiosqlite"),
    "parts": ("pbxcrm.cli.preloading",),
}  # fmt: skip
_LENGTH = struct.Struct("!I")
_MOST_SAID = 1 << 24  # bytes that a fork may print before somebody reads them


class Fork:
    """A child of the forking process, with what tests use of ``subprocess.Popen``."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._connection = connection

    def wait(self, seconds: float | None = None) -> int:
        """The exit code, negative for the signal that killed it. Raises TimeoutError."""
        if self.returncode is None:
            self._connection.settimeout(seconds)
            self._read()
        assert self.returncode is not None
        return self.returncode

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self.returncode is None:
            self._connection.setblocking(False)
            try:
                self._read()
            except BlockingIOError:
                return None
        return self.returncode

    def _read(self) -> None:
        said = self._connection.recv(_LENGTH.size)
        self._connection.close()
        if not said:
            raise RuntimeError("the process that forks has ended")
        self.returncode = struct.unpack("!i", said)[0]

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it at once, and wait until it is gone."""
        self.send_signal(signal.SIGKILL)
        self.wait()


@dataclass
class ReadFork:
    fork: Fork
    stdout: asyncio.StreamReader

    async def end(self) -> None:
        """Kill it at once, and read what it still printed."""
        self.fork.kill()
        await self.stdout.read()


def start(
    module: str,
    *words: str,
    of: str = "parts",
    environ: Mapping[str, str] | None = None,
    stdin: int = -1,
    stdout: int = -1,
    stderr: int = -1,
) -> Fork:
    """Run ``python -m MODULE WORDS…`` as a fork. ``of``: a key of ``PRELOADED``. ``environ`` is all of its environment, else it is ours.
    The files are numbers of open ones, -1 for none; they stay open here.
    """
    asked = {
        "module": module,
        "words": words,
        "environ": dict(os.environ if environ is None else environ),
        "cwd": os.getcwd(),
    }
    with open(os.devnull, "r+b") as nothing:
        files = [nothing.fileno() if number < 0 else number for number in (stdin, stdout, stderr)]
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(server(of))
        text = json.dumps(asked).encode()
        socket.send_fds(connection, [_LENGTH.pack(len(text))], files)
        connection.sendall(text)
        (pid,) = _LENGTH.unpack(connection.recv(_LENGTH.size))
    return Fork(pid, connection)


async def start_read(
    module: str,
    *words: str,
    of: str = "parts",
    environ: Mapping[str, str] | None = None,
    stdin: int = -1,
    errors: bool = True,
) -> ReadFork:
    """The same, and what it prints (with ``errors`` also there) is read from its ``stdout``. End it with ``end``."""
    reading, writing = os.pipe()
    try:
        fork = start(
            module, *words, of=of, environ=environ, stdin=stdin, stdout=writing, stderr=writing if errors else 2
        )
    finally:
        os.close(writing)
    stdout = asyncio.StreamReader(limit=_MOST_SAID)
    pipe = os.fdopen(reading, "rb", 0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), pipe)
    return ReadFork(fork, stdout)


@cache
def server(of: str) -> str:
    """The address of the forking process. It is started once for each process of pytest and ends with it; ask for it first in the main
    thread, because the kernel ends it with the *thread* that started it.
    """
    assert threading.current_thread() is threading.main_thread()
    folder = Path(tempfile.mkdtemp(prefix="forks-"))
    path = folder / "socket"
    command = child.command([sys.executable, "-m", "tests.forks", of, str(path)], at_parents_death=signal.SIGKILL)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout
    with process.stdout as said:
        if said.readline() != b"ready\n":
            raise RuntimeError("the process that forks did not start")
    atexit.register(_end, process, folder)
    return str(path)


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    process.kill()
    process.wait()
    (folder / "socket").unlink()
    folder.rmdir()


def serve(of: str, path: str) -> NoReturn:
    """Fork for whoever connects to ``path``."""
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # as ``pbxcrm.__main__`` does
    for name in PRELOADED[of]:
        import_module(name)
    if of == "parts":
        import_module("pbxcrm.cli.preloading").preload()
    gc.collect()
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    ready = selectors.DefaultSelector()
    ready.register(listening, selectors.EVENT_READ, None)
    print("ready", flush=True)
    while True:
        for key, _ in ready.select():
            if key.data is None:
                connection, _ = listening.accept()
                pid = _fork(connection, [listening.fileno()])
                connection.sendall(_LENGTH.pack(pid))
                ready.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, connection))
            else:
                pid, connection = key.data
                ready.unregister(key.fd)
                os.close(key.fd)
                _, status = os.waitpid(pid, 0)
                with suppress(OSError):  # nobody waits for it
                    connection.sendall(struct.pack("!i", os.waitstatus_to_exitcode(status)))
                connection.close()


def _fork(connection: socket.socket, ours: list[int]) -> int:
    head, files, _, _ = socket.recv_fds(connection, _LENGTH.size, 3)
    (length,) = _LENGTH.unpack(head)
    text = b""
    while len(text) < length:
        text += connection.recv(length - len(text))
    asked: dict[str, Any] = json.loads(text)
    parent = os.getpid()
    pid = os.fork()
    if pid:
        for number in files:
            os.close(number)
        return pid
    code = 1
    try:
        child.end_with_parent(parent, signal.SIGKILL)
        for number, file in enumerate(files):
            os.dup2(file, number)
        for number in [int(name) for name in os.listdir("/proc/self/fd")]:
            if number > 2:
                _close(number)
        _become(asked)
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001  # as Python itself does when a program ends
        traceback.print_exc()
    finally:
        try:
            threading._shutdown()  # type: ignore[attr-defined]  # a program waits for its threads
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _close(number: int) -> None:
    with suppress(OSError):  # the list of open files itself
        os.close(number)


def _become(asked: Mapping[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["cwd"])
    sys.argv = [asked["module"], *asked["words"]]


if __name__ == "__main__":
    serve(*sys.argv[1:])
