"""Real databases and a real Redis for tests, started once per session on Unix sockets and stopped at its end."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from pwd import getpwnam
from typing import Any

import asyncpg
import redis

from pbxcrm.migrations import upgrade
from pbxcrm.shared import child, redis_server
from tests.quick_folder import quick_folder
from tests.waiting import until

TEMPLATE = "pbxcrm_template"
BIG_FOLDER = Path("/var/tmp")  # on a disk, where /tmp may be in memory
POSTGRES_VERSIONS = ("15", "16", "17", "18")


def postgres_programs() -> Path | None:
    """The folder with initdb and postgres, which are not on PATH on Debian; None if PostgreSQL is missing."""
    for version in POSTGRES_VERSIONS:
        folder = Path("/usr/lib/postgresql") / version / "bin"
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def postgres_user() -> str | None:
    """The user to run PostgreSQL as: it refuses to run as root, so the package creates a user. None: the current user."""
    return "postgres" if os.getuid() == 0 else None


def _as(user: str | None) -> list[str]:
    """The command prefix that runs a command as ``user`` and kills it when we die. (``child.py`` cannot be used: a change of user
    clears its request to the kernel, and the user may not be able to read our Python.)
    """
    if not user:
        return []
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--pdeathsig=QUIT", "--"]


class Postgres:
    """A server in its own folder. ``url(name)`` is the value for PBXCRM_DATABASE_URL."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.folder = folder
        self._command = command
        self._log = folder / "log"
        self._server: subprocess.Popen[bytes] | None = None
        self._to_drop: list[str] = []

    def start(self) -> None:
        """Start or restart the process, without waiting until it answers."""
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self.folder)

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it. SIGINT is a fast shutdown, which does not wait for clients; SIGQUIT is an immediate one, like a crash."""
        if self._server is not None:
            self._server.send_signal(number)
            self._server.wait(30)
            self._server = None

    async def answers(self) -> bool:
        """Whether the server answers. Raises RuntimeError when its process has exited."""
        try:
            await self.execute("SELECT 1")
        except (OSError, asyncpg.CannotConnectNowError):
            if self._server is not None and self._server.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start: {self._log.read_text()}") from None
            return False
        return True

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    async def execute(self, *statements: str) -> None:
        connection = await asyncpg.connect(host=str(self.folder), user="postgres", database="postgres")
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def create(self, name: str, template: str = TEMPLATE) -> str:
        dropped, self._to_drop = self._to_drop, []
        await self.execute(
            *(f'DROP DATABASE IF EXISTS "{old}" WITH (FORCE)' for old in dropped),
            f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy',
        )
        return self.url(name)

    def drop(self, name: str) -> None:
        """Drop it with the next creation: a connection for it alone takes the server as long as dropping it."""
        self._to_drop.append(name)


@contextmanager
def running_postgres(
    programs: Path, *, keeps_commits: bool = False, on_disk: bool = False, kept: Path | None = None
) -> Iterator[Postgres]:
    """A fresh server with fsync off and a migrated template database.

    ``keeps_commits``: commits survive a crash of the server, as in production. ``on_disk``: its data is large, so it is not kept
    in memory, and the server has a cache as large as a small office would give it. ``kept``: an absolute path of a folder whose
    databases are used again and stay.
    """
    place = BIG_FOLDER if on_disk else quick_folder()
    with (
        _kept(kept)
        if kept
        else tempfile.TemporaryDirectory(prefix="pg-", dir=place, ignore_cleanup_errors=True) as temporary
    ):
        folder = Path(temporary)
        user = postgres_user()
        if user:
            shutil.chown(folder, user, getpwnam(user).pw_gid)
        data = folder / "data"
        fresh = not data.exists()
        if fresh:
            # That user may not be able to read the checkout, so the commands run in the temporary folder.
            subprocess.run(
                [*_as(user), programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8",
                 "--locale=C.UTF-8"],
                check=True, capture_output=True, cwd=folder,
            )  # fmt: skip
        options = {
            "listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off", "full_page_writes": "off",
            "synchronous_commit": "on" if keeps_commits else "off", "max_connections": "200", "shared_buffers": "1GB" if on_disk else "64MB", "max_wal_size": "8GB" if on_disk else "1GB", "autovacuum": "off",
        }  # fmt: skip
        if on_disk:  # what is filled in and the indexes that are made after it are not written a second time
            options |= {"wal_level": "minimal", "max_wal_senders": "0", "log_min_duration_statement": "5s"}
        arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        program = [str(programs / "postgres"), "-D", str(data), *arguments]
        command = [*_as(user), *program] if user else child.command(program, at_parents_death=signal.SIGQUIT)
        postgres = Postgres(folder, command)
        postgres.start()
        try:
            asyncio.run(_prepare(postgres) if fresh else until(postgres.answers))
            yield postgres
        finally:
            postgres.end()


@contextmanager
def _kept(folder: Path) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    yield str(folder)


async def _prepare(postgres: Postgres) -> None:
    await until(postgres.answers)
    await postgres.execute(f"CREATE DATABASE {TEMPLATE}")
    await upgrade(postgres.url(TEMPLATE))


@contextmanager
def running_redis() -> Iterator[str]:
    """Run a Redis server on a Unix socket; yields its URL."""
    with tempfile.TemporaryDirectory(prefix="redis-") as temporary:
        command, socket = redis_server.prepare(Path(temporary))
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            asyncio.run(redis_server.wait_until_ready(socket))
            yield f"unix://{socket}"
        finally:
            server.terminate()
            server.wait(30)


@contextmanager
def paused_redis(url: str) -> Iterator[None]:
    """Stop the process of the server at ``url`` (SIGSTOP): it accepts connections and data but does not answer."""
    with closing(redis.Redis.from_url(url)) as client:
        server: Any = client.info("server")
    pid = int(server["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def fresh_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"
