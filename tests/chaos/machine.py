"""One of two machines: a process ``pbxcrm listen`` with its own data directory, clock, and cables to database and PBX."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from tests.chaos.proxy import Proxy

_TOOK_OVER = b"took_over"  # logged when everything that the former leader had not applied is in the database


class Machine:
    """``urls``: of database and PBX, through the proxies. ``cel``: the PBX's CEL file. The clock is ``ahead`` seconds fast."""

    def __init__(
        self, folder: Path, database: Proxy, pbx: Proxy, urls: tuple[str, str], cel: Path | None, ahead: int = 0
    ) -> None:
        self.folder = folder
        self.database, self.pbx = database, pbx
        self.process: asyncio.subprocess.Process | None = None
        self._urls = urls
        self._cel = cel
        self._ahead = ahead

    async def start(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PBXCRM_")}
        environ = {
            "PBXCRM_DATA_DIR": str(self.folder),
            "PBXCRM_DATABASE_URL": self._urls[0],
            "PBXCRM_AMI_URL": self._urls[1],
            "PBXCRM_AGI_BIND": "127.0.0.1:0",
        }
        if self._cel is not None:
            environ["PBXCRM_CEL_CSV"] = str(self._cel)
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.chaos.wrong_clock", str(self._ahead), "listen"),
                stdout=log,
                stderr=log,
                env=clean | environ,
            )

    def send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def end(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            if number is signal.SIGTERM:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.process.wait(), 10)
            if self.process.returncode is None:
                self.process.kill()
            await self.process.wait()

    async def keep_running(self) -> None:
        """Start it again when it found no database at its start, as systemd does. Raises RuntimeError when it exited otherwise."""
        if self.process is not None and self.process.returncode is not None:
            last = self._log().decode(errors="replace").rstrip().rpartition("\n")[2]
            if "The database cannot be reached" in last:
                await self.start()
                return
            raise RuntimeError(f"machine {self.folder.name} ended by itself: {last}")

    @property
    def journals(self) -> set[str]:
        return {path.read_text().strip() for path in self.folder.glob("journal/*/name")}

    @property
    def takeovers(self) -> int:
        """How often it has taken over and caught up."""
        return self._log().count(_TOOK_OVER)

    def log_from(self, place: int) -> str:
        """What it has logged after the first ``place`` bytes."""
        return self._log()[place:].decode(errors="replace")

    @property
    def log_size(self) -> int:
        return len(self._log())

    def _log(self) -> bytes:
        return (self.folder / "log").read_bytes()
