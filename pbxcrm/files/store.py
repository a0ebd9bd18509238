"""The bytes of files in the data directory: ``files/ab/cdef…``, named by the SHA-256 of what is in them.

A file is on the disk under its name before the row that points to it is committed, so a row never points to nothing.
Where the row fails the bytes are an orphan, which ``sweep`` takes away a day later. A name that says the content is never
written twice: whoever puts the same bytes there puts the same file there.
"""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from pbxcrm.files.kinds import kind_of
from pbxcrm.files.rules import check_size, too_large
from pbxcrm.files.scanner import Scanner
from pbxcrm.shared.errors import Unavailable
from pbxcrm.shared.settings import Settings

FOLDER = "files"
NAMED = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}")  # below the folder
LEAVE_FREE = 512 << 20  # bytes on the disk: calls must be written down whatever people attach
ORPHAN_SECONDS = 24 * 3600
_PIECE = 1 << 20
_PART = ".part-"


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored file: ``size`` in bytes, ``content_type`` by content, ``sha256`` in hex."""

    size: int
    content_type: str
    sha256: str


class Store:
    """The folder of files in ``data_dir``. Everything here blocks: call it in a thread."""

    def __init__(self, data_dir: Path, scanner: str = "") -> None:
        """``scanner``: who checks each new file (``files.scanner``); empty: nobody."""
        self.folder = data_dir / FOLDER
        self._scanner = Scanner(scanner)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The store of these settings, for taking files in."""
        return cls(settings.data_dir, settings.files_scanner)

    def path(self, sha256: str) -> Path:
        """The path of the bytes with this hash."""
        return self.folder / sha256[:2] / sha256[2:]

    def keep(self, source: IO[bytes], most: int) -> Kept:
        """Store the content of ``source``, piece by piece; it is synced to the disk when this returns.

        Until the scanner has let it pass it has no name that anybody could ask for. Raises Invalid for nothing, for more than
        ``most`` bytes and for what the scanner refuses, Unavailable for a disk that is full or refuses and a scanner that is away.
        """
        part: Path | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=self.folder, prefix=_PART)  # mode 0600
            part = Path(name)
            digest, size = hashlib.sha256(), 0
            with os.fdopen(handle, "wb") as file:
                while piece := source.read(_PIECE):
                    size += len(piece)
                    if size > most:
                        raise too_large(most)
                    if shutil.disk_usage(self.folder).free < LEAVE_FREE + len(piece):
                        raise Unavailable(
                            "files.no_room", "There is no room for files on the server's disk. Tell your administrator."
                        )
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            check_size(size, most)
            self._scanner.check(part)
            kept = Kept(size, kind_of(part), digest.hexdigest())
            self._place(part, self.path(kept.sha256))
        except OSError as error:
            why = error.strerror or str(error)
            raise Unavailable("files.disk", "The file could not be written: {why}.", why=why) from error
        finally:
            if part is not None:
                part.unlink(missing_ok=True)
        return kept

    def put_back(self, source: Path, sha256: str) -> None:
        """Store a file of a backup whose hash was checked. Raises OSError."""
        target = self.path(sha256)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=_PART)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file, source.open("rb") as content:
                shutil.copyfileobj(content, file, _PIECE)
                file.flush()
                os.fsync(file.fileno())
            self._place(part, target)
        finally:
            part.unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        """Every file, as ``ab/cdef…`` below the folder."""
        for path in sorted(self.folder.glob("*/*")):
            name = f"{path.parent.name}/{path.name}"
            if NAMED.fullmatch(name) and path.is_file() and not path.is_symlink():
                yield name

    def sweep(self, needed: Collection[str]) -> int:
        """Delete files that no row needs (not in the ``needed`` hashes) and that are older than a day. Returns how many."""
        before, swept = time.time() - ORPHAN_SECONDS, 0
        for path in [self.folder / name for name in self.names()] + list(self.folder.glob(f"{_PART}*")):
            if path.name.startswith(_PART) or path.parent.name + path.name not in needed:
                with self._alone():  # an upload of the same content updates its time first, or stores it again
                    if path.exists() and path.stat().st_mtime < before:
                        path.unlink()
                        swept += 1
        return swept

    def _place(self, part: Path, target: Path) -> None:
        target.parent.mkdir(exist_ok=True, mode=0o700)
        with self._alone():
            part.replace(target)
        for folder in (target.parent, self.folder):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
