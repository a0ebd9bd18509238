"""One running Asterisk for a test: own folders, own ports, nothing shared with another session on this machine."""

import asyncio
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.asterisk.setup import ensure

STARTUP_SECONDS = 60.0
LOGGER = """[general]
dateformat=%F %T.%3q
[logfiles]
trouble => warning,error
full => notice,warning,error,verbose,dtmf
"""


def free_port(kind: socket.SocketKind) -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class AsteriskServer:
    """``async with AsteriskServer("22", files) as pbx``: runs until the block is left, then removes every trace.

    ``files`` are configuration files by name, relative to the configuration folder. ``logger.conf`` and
    ``asterisk.conf`` are supplied; with ``over_installed`` the files lie over those that the package brought. Ports belong into the files, so the caller chooses them (``free_port``).
    """

    def __init__(
        self, version: str, files: Mapping[str, str], *, ami_port: int, over_installed: bool = False, ari_port: int = 0
    ) -> None:
        self.version = version
        self.files = files
        self.ami_port = ami_port
        self.ari_port = ari_port
        self.over_installed = over_installed
        self.root = Path()
        self.folder = Path()  # everything of this session, seen from outside the chroot
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self.root = await asyncio.to_thread(ensure, self.version)
        self._prepare()
        try:
            await self.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    def _prepare(self) -> None:
        # Asterisk complains at each call when it cannot find the address of the machine's own name.
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n")
        self.folder = Path(tempfile.mkdtemp(prefix="pbxcrm-", dir=self.root / "tmp"))
        self.folder.chmod(0o755)
        if self.over_installed:
            # Asterisk 22 warns of the mere presence of users.conf; the README tells people to remove it, too.
            unwanted = shutil.ignore_patterns("users.conf")
            shutil.copytree(self.root / "etc/asterisk", self.folder / "etc", ignore=unwanted)
        for name in (
            "etc",
            "run",
            "log",
            "log/cdr-csv",
            "log/cdr-custom",
            "log/cel-custom",
            "spool",
            "spool/monitor",
            "lib",
            "lib/keys",
        ):
            (self.folder / name).mkdir(exist_ok=True)
        installed = (self.root / "etc/asterisk/asterisk.conf").read_text()
        modules = re.search(r"^astmoddir\s*=>?\s*(\S+)", installed, flags=re.MULTILINE)
        if modules is None:
            raise RuntimeError("the installed asterisk.conf does not name the modules' folder")
        # sounds, modules and documentation are the installation's; whatever is written is our own
        here = self._inside(self.folder)
        folders = {
            "etc": "etc",
            "run": "run",
            "log": "log",
            "spool": "spool",
            "db": "lib",
            "key": "lib",
            "varlib": "lib",
            "cache": "lib",
        }
        lines = [f"ast{name}dir => {here}/{folder}" for name, folder in folders.items()]
        lines += [f"astmoddir => {modules.group(1)}", "astdatadir => /usr/share/asterisk", "astsbindir => /usr/sbin"]
        lines += ["astagidir => /usr/share/asterisk/agi-bin", "[options]", "verbose = 3", "hideconnect = yes"]
        supplied = {"asterisk.conf": "[directories]\n" + "\n".join(lines) + "\n", "logger.conf": LOGGER}
        for name, text in {**supplied, **self.files}.items():
            path = self.folder / "etc" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def _inside(self, path: Path) -> str:
        return f"/{path.relative_to(self.root)}"

    def _command(self, *arguments: str) -> list[str]:
        return [
            "chroot",
            str(self.root),
            "/usr/sbin/asterisk",
            "-C",
            f"{self._inside(self.folder)}/etc/asterisk.conf",
            *arguments,
        ]

    async def start(self) -> None:
        """Start the process (again, after ``kill``) and wait until it is fully booted and the manager answers."""
        # A test runner that is killed takes its Asterisk along.
        command = ["setpriv", "--pdeathsig", "KILL", *self._command("-f", "-q")]
        output = (self.folder / "log/output").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
        output.close()
        async with asyncio.timeout(STARTUP_SECONDS):
            await self._wait_until_open()
            await self.rx("core waitfullybooted")

    async def _wait_until_open(self) -> None:
        while True:
            if self._process is not None and self._process.returncode is not None:
                raise RuntimeError(
                    f"Asterisk ended at once: {(self.folder / 'log/output').read_text(errors='replace')}"
                )
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.ami_port)
            except OSError:
                await asyncio.sleep(0.05)  # a port that is not open yet cannot be waited for
                continue
            greeting = await reader.readline()
            writer.close()
            if greeting:
                return

    async def rx(self, command: str) -> str:
        """What a command of Asterisk's own console prints."""
        done = await asyncio.create_subprocess_exec(
            *self._command("-rx", command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await done.communicate()
        return output.decode(errors="replace")

    async def kill(self) -> None:
        """``kill -9``: no goodbye, no events."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    async def restart(self) -> None:
        """``core restart now``; returns when the new Asterisk answers. The process keeps its number."""
        control = self.folder / "run/asterisk.ctl"
        before = control.stat().st_ctime_ns
        await self.rx("core restart now")
        async with asyncio.timeout(STARTUP_SECONDS):
            while not control.exists() or control.stat().st_ctime_ns == before:  # another process makes it
                await asyncio.sleep(0.05)
            await self._wait_until_open()
            await self.rx("core waitfullybooted")

    def warnings(self) -> list[str]:
        """Every WARNING and ERROR so far, from the log."""
        log = self.folder / "log/trouble"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return [line for line in lines if re.search(r"\b(WARNING|ERROR)\[", line)]

    def log(self) -> str:
        """The whole log with verbose messages, for the eyes of who looks into a failed test."""
        path = self.folder / "log/full"
        return path.read_text(errors="replace") if path.exists() else ""

    def spool(self, pattern: str) -> list[Path]:
        """Files below the spool folder (recordings, voicemail), seen from outside."""
        return sorted((self.folder / "spool").glob(pattern))

    async def _end(self) -> None:
        await self.kill()
        if os.environ.get("PBXCRM_KEEP_ASTERISK_FOLDER"):
            return
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def explained(server: AsteriskServer) -> Iterator[None]:
    """Add the tail of Asterisk's log to whatever fails inside."""
    try:
        yield
    except Exception as error:
        error.add_note("\n".join(server.log().splitlines()[-60:]))
        raise
