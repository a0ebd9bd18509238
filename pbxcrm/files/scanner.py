"""Asks an antivirus scanner about a file before anybody can open it: a clamd, or any command.

The setting ``files_scanner`` names it: ``unix:/run/clamav/clamd.ctl`` and ``tcp:HOST:3310`` are a clamd (protocol: INSTREAM of
clamd(8)); anything else is a command, which gets the path as its last argument and answers as clamscan does: 0 clean, 1 something
found, anything else could not check.
"""

import shlex
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import structlog

from pbxcrm.shared.errors import Invalid, Unavailable

log = structlog.get_logger()

PATIENCE_SECONDS = 60.0
_PIECE = 1 << 16
CLEAN, FOUND = 0, 1  # how a command ends
_FAILURES = OSError, ValueError, subprocess.SubprocessError
_LONGEST_NAME = 100  # of what was found; it is another program's text


@dataclass(frozen=True, slots=True)
class Scanner:
    """``where``: the value of the setting; empty: nothing is checked. Everything here blocks: call it in a thread."""

    where: str

    def check(self, path: Path) -> None:
        """Raises Invalid at ``file`` where something was found, Unavailable where the file could not be checked."""
        if not self.where:
            return
        try:
            found = self._find(path)
        except _FAILURES as error:
            log.warning(
                "files.unchecked", why=str(error)
            )  # a path or an address of this machine, so only the log has it
            raise Unavailable(
                "files.unchecked",
                "The file could not be checked for viruses, so it was not taken in. Try again later, or tell your"
                " administrator.",
            ) from error
        if found is not None:
            raise Invalid(
                "file", "files.infected", "The virus scanner refuses this file: {found}.", found=found[:_LONGEST_NAME]
            )

    def why_not(self, path: Path) -> str:
        """Why the scanner cannot check this file, in its words or those of the system; empty where it can or where there is none."""
        try:
            if self.where:
                self._find(path)
        except _FAILURES as error:
            return str(error) or type(error).__name__
        return ""

    def _find(self, path: Path) -> str | None:
        """What was found; None for nothing. Raises one of ``_FAILURES`` where the file could not be checked."""
        return self._by_clamd(path) if self.where.startswith(("unix:", "tcp:")) else self._by_command(path)

    def _by_command(self, path: Path) -> str | None:
        """What was found; None for nothing. Raises OSError, ValueError, SubprocessError."""
        # The words are the administrator's; no shell reads them, and the path is one of ours.
        done = subprocess.run(  # noqa: S603
            [*shlex.split(self.where), str(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        said = _one_line(done.stdout).replace(f"{path}:", "").strip()
        if done.returncode == CLEAN:
            return None
        if done.returncode == FOUND:
            return said or "—"
        raise ValueError(_one_line(done.stderr) or said or f"it ended with {done.returncode}")

    def _by_clamd(self, path: Path) -> str | None:
        with _connected(self.where) as clamd, path.open("rb") as file:
            clamd.sendall(b"zINSTREAM\0")
            while piece := file.read(_PIECE):
                clamd.sendall(struct.pack("!I", len(piece)) + piece)
            clamd.sendall(struct.pack("!I", 0))
            said = b""
            while not said.endswith(b"\0") and (part := clamd.recv(4096)):
                said += part
        answer = _one_line(said.rstrip(b"\0")).removeprefix("stream: ")
        if answer == "OK":
            return None
        if answer.endswith(" FOUND"):
            return answer.removesuffix(" FOUND")
        raise ValueError(answer or "clamd said nothing")


def _connected(where: str) -> socket.socket:
    kind, _colon, address = where.partition(":")
    if kind == "tcp":
        host, _, port = address.rpartition(":")
        return socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)
    clamd = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        clamd.settimeout(PATIENCE_SECONDS)
        clamd.connect(address)
    except OSError:
        clamd.close()
        raise
    return clamd


def _one_line(said: bytes) -> str:
    """Another program's text on one line, without what a terminal would act on."""
    text = said.decode("utf-8", "replace")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
