"""``pbxcrm run``: everything in one command, supervised.

On Linux the parts are forks of this process, which has imported what they need: that is once in memory, and a part that died
is back in a moment. Elsewhere each part is a program of its own. A child (``pbxcrm prepare``) prepares the database; the web part
starts at the same time and waits for it where it must.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from pbxcrm.cli import forked
from pbxcrm.cli.bind import bind
from pbxcrm.cli.locks import only_run, preparing
from pbxcrm.cli.preloading import preload
from pbxcrm.cli.supervisor import Part, Supervisor
from pbxcrm.shared import child, redis_server
from pbxcrm.shared.errors import Unavailable
from pbxcrm.shared.logs import configure
from pbxcrm.shared.private_files import make_private
from pbxcrm.shared.settings import Settings, load_settings

log = structlog.get_logger()

DEMO_DATA_DIR = "~/.local/share/pbxcrm-demo"
READY_SECONDS = 60
Entry = Callable[[], None]  # the command line (``pbxcrm.cli.main``), which reads ``sys.argv``


def run(environ: dict[str, str], entry: Entry, *, demo: bool, rate: float) -> int:
    """Run until stopped; return the exit code. ``demo``: with a simulated PBX and a separate data directory. Forks call ``entry``."""
    own: dict[str, str] = {}  # additions to our environment for the children
    if demo:
        own["PBXCRM_DATA_DIR"] = environ.get("PBXCRM_DATA_DIR") or str(Path(DEMO_DATA_DIR).expanduser())
        own["PBXCRM_RECORDINGS_DIR"] = environ.get("PBXCRM_RECORDINGS_DIR") or str(
            Path(own["PBXCRM_DATA_DIR"]) / "recordings"
        )
        own["PBXCRM_AMI_URL"] = f"ami://demo:{secrets.token_urlsafe(12)}@127.0.0.1:{_free_port()}"
    os.environ.update(own)
    settings = load_settings(dict(os.environ))
    configure(settings.log_level)
    with only_run(settings.data_dir), contextlib.closing(bind(settings)) as listening:
        make_private(settings.data_dir)
        parts = _parts(settings, listening, entry, demo=demo)
        if demo:
            parts.append(_pbx(rate, entry))
        elif not settings.pbxs:
            print(
                "No PBX is configured, so no calls will come. Set PBXCRM_AMI_URL=ami://user:secret@host:5038,"
                " or try the demo: pbxcrm run --demo",
                file=sys.stderr,
            )
        host, port = listening.getsockname()[:2]
        if forked.is_possible:
            preload()
        try:
            return asyncio.run(Supervisor(parts).run(_announce(host, port)))
        except NotPreparedError as error:  # the child has printed the reason
            return error.code


class NotPreparedError(Exception):
    """The database cannot be used; ``code`` is the exit code of the child that prepares it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


async def _prepare(settings: Settings, entry: Entry, *, demo: bool) -> None:
    with preparing(settings.data_dir):
        words = ["prepare", *(["--demo"] if demo else [])]
        process = (
            await forked.fork(_called(entry, words), "pbxcrm prepare")
            if forked.is_possible
            else await asyncio.create_subprocess_exec(*child.command(_pbxcrm(*words), at_parents_death=signal.SIGKILL))
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:  # stop requested
            process.send_signal(signal.SIGTERM)
            await process.wait()
            raise
    if code:
        raise NotPreparedError(code)


def _parts(settings: Settings, listening: socket.socket, entry: Entry, *, demo: bool) -> list[Part]:
    """The parts of every run, with the embedded Redis unless the settings name another."""
    environ = {"PBXCRM_REDIS_URL": redis_server.redis_url(settings)}
    fd = listening.fileno()
    # The supervisor keeps the listening socket, so no connection is refused while the web part restarts.
    parts = [
        _part(
            entry,
            "web",
            "web",
            "--fd",
            str(fd),
            ready=lambda: _prepare(settings, entry, demo=demo),
            level=1,
            environ=environ,
            pass_fds=(fd,),
            needed=True,
        ),
        _part(entry, "work", "work", level=2, environ=environ, needed=True),
    ]
    for pbx in settings.pbxs:
        name = "listen" if len(settings.pbxs) == 1 else f"listen {pbx.name}"
        parts.append(_part(entry, name, "listen", "--pbx", pbx.name, level=2, environ=environ))
    if not settings.redis_url:
        data_dir = settings.data_dir
        socket_path = redis_server.socket_path(data_dir)
        redis_server.find_server()  # raise now if it is missing, before any part starts
        parts.append(
            Part(
                "redis",
                lambda: redis_server.prepare(data_dir)[0],
                ready=lambda: redis_server.wait_until_ready(socket_path),
                level=0,
            )
        )
    return parts


def _pbx(rate: float, entry: Entry) -> Part:
    return _part(entry, "simulate", "simulate", "--rate", str(rate), level=2)


def _part(entry: Entry, name: str, *words: str, **options: Any) -> Part:
    """A part that runs the command ``pbxcrm WORDS``. ``options``: those of ``Part``."""
    return Part(name, lambda: _pbxcrm(*words), _called(entry, words), **options)


def _called(entry: Entry, words: Sequence[str]) -> Callable[[], None]:
    """What the command ``pbxcrm WORDS`` does, for a fork of this process."""

    def call() -> None:
        sys.argv = ["pbxcrm", *words]
        entry()

    return call


def _pbxcrm(*words: str) -> list[str]:
    return [sys.executable, "-m", "pbxcrm", *words]


def _announce(host: str, port: int) -> Callable[[], Awaitable[None]]:
    where = f"[{host}]" if ":" in host else host
    reach = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # address to connect to, not to bind

    async def announce() -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await _is_up(reach, port):  # noqa: ASYNC110  # another process cannot be awaited
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise Unavailable(
                "web.silent", "The web part did not start in {seconds} s; the reason is above.", seconds=READY_SECONDS
            ) from None
        print(f"\npbxcrm is at http://{where}:{port}/   (Ctrl+C stops it)\n", flush=True)

    return announce


async def _is_up(host: str, port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(f"GET /healthz HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        await writer.drain()
        async with asyncio.timeout(5):
            return b" 200 " in await reader.readline()
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port
