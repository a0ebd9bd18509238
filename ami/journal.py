"""The journal: every wanted message of a PBX, written to disk before it is processed.

One folder per PBX holds segments named by the position of their first byte. A position is a byte offset over all segments;
it only grows, even across restarts and lost records. A record is a header (magic, length, receive time, checksum) and
the raw bytes. After ``kill -9`` the last record may be incomplete: opening cuts it off. A damaged record in the middle
is skipped and counted. One process writes; any number may read.
"""

import asyncio
import errno
import fcntl
import itertools
import os
import re
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from ami.errors import JournalFull, JournalInUse

MAGIC = b"\xabPJ1"
_HEADER = struct.Struct(
    ">4sIQI"
)  # magic, length of the payload, receive time in µs since 1970, CRC-32 of both and payload
_CHECKED = struct.Struct(">IQ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LOOKED_BACK = 4  # segments
MAX_RECORD = 16 << 20  # bytes; a greater length means damage (a snapshot of 10,000 channels takes about 8 MB)
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAME = re.compile(r"[0-9a-f]{32}")
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One message as it was received. ``position`` is where it begins, ``next_position`` where it ends."""

    position: int
    next_position: int
    received_at: datetime
    raw: bytes


def encode(received_at: datetime, raw: bytes) -> bytes:
    """The bytes of a record on disk."""
    checked = _CHECKED.pack(len(raw), (received_at - _EPOCH) // _MICROSECOND)
    return MAGIC + checked + struct.pack(">I", zlib.crc32(raw, zlib.crc32(checked))) + raw


def _decode(data: bytes, offset: int) -> tuple[datetime, bytes] | None:
    """The record at an offset, or None when no complete and valid record begins there."""
    if len(data) - offset < _HEADER.size:
        return None
    magic, length, micros, crc = _HEADER.unpack_from(data, offset)
    begin = offset + _HEADER.size
    if magic != MAGIC or length > MAX_RECORD or begin + length > len(data):
        return None
    raw = data[begin : begin + length]
    if zlib.crc32(raw, zlib.crc32(data[offset + 4 : offset + 16])) != crc:
        return None
    return _EPOCH + micros * _MICROSECOND, raw


def _next_sound(data: bytes, offset: int) -> int | None:
    """Where the next valid record after an offset begins; None if there is none."""
    while (offset := data.find(MAGIC, offset + 1)) >= 0:
        if _decode(data, offset):
            return offset
    return None


class Journal:
    """The journal of one PBX, open for writing and reading.

    ``name`` is random and stays with the folder: under it the database stores how much was applied. ``max_unwritten`` limits
    the bytes that wait in memory for disk space.
    Raises JournalInUse when another process writes here, OSError when the folder cannot be made.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = 8 << 20, max_unwritten: int = 64 << 20) -> None:
        self.folder = folder
        self.segment_bytes = segment_bytes
        self.max_unwritten = max_unwritten
        self.damaged = 0  # damaged places skipped while reading
        self.lost = 0  # messages dropped because neither disk nor memory had room
        self.unwritten_bytes = 0
        self.last_at: datetime | None = None  # when the last message before this start was received
        self._waiting: deque[tuple[int, bytes]] = deque()  # (position, record) not on disk yet
        self._fd = -1
        self._base = 0
        self._size = 0
        self._closing: list[int] = []  # full segments that still need an fsync
        self._dirty = False
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise JournalInUse("another process writes this journal", folder=str(folder)) from None
        self.end = self.began = self._mend_tail()  # records before ``began`` are from an earlier process
        self.is_new = not self._segments()
        self.name = self._read_name()

    def _read_name(self) -> str:
        try:
            name = (self.folder / "name").read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            name = ""
        if not _NAME.fullmatch(name):
            name = uuid4().hex
            self.rename(name)
        return name

    def rename(self, name: str) -> None:
        """Give the journal a new name, because this folder is a copy of one in use elsewhere. Raises OSError."""
        fresh = self.folder / "name.new"
        fresh.write_text(name + "\n", encoding="ascii")
        fresh.chmod(0o600)
        fresh.replace(self.folder / "name")
        self.name = name

    def former_owner(self) -> str:
        """Who signed here last, if this is the same folder and not a copy of it; since we have its lock, they are dead. Else empty."""
        try:
            owner, *place = (self.folder / "owner").read_text(encoding="ascii").split()
        except (OSError, ValueError):
            return ""
        return owner if place and place == self._folder_identity() else ""

    def sign(self, owner: str) -> None:
        """Note who writes here. A copy of the folder has another inode, a cloned machine another boot. Raises OSError."""
        fresh = self.folder / "owner.new"
        fresh.write_text(" ".join([owner, *self._folder_identity()]) + "\n", encoding="ascii")
        fresh.chmod(0o600)
        fresh.replace(self.folder / "owner")

    def _folder_identity(self) -> list[str]:
        try:
            boot = _BOOT.read_text(encoding="ascii").strip()
        except OSError:
            return []
        lock = os.fstat(self._lock)
        return [boot, str(lock.st_dev), str(lock.st_ino)]

    def _mend_tail(self) -> int:
        """Cut an incomplete record off the last segment; returns where the journal ends."""
        segments = self._segments()
        if not segments:
            return 0
        base, path = segments[-1]
        data = path.read_bytes()
        offset: int | None = 0
        sound_end = 0
        while offset is not None:
            found = _decode(data, offset)
            if found:
                self.last_at = found[0]
                offset = sound_end = offset + _HEADER.size + len(found[1])
            else:
                offset = _next_sound(data, offset)
        if sound_end < len(data):
            os.truncate(path, sound_end)
        return base + sound_end

    def _segments(self) -> list[tuple[int, Path]]:
        return sorted((int(path.stem), path) for path in self.folder.glob("*.journal") if path.stem.isdigit())

    # writing

    def append(self, messages: Iterable[tuple[datetime, bytes]]) -> list[JournalRecord]:
        """Give messages their positions and write them to the operating system.

        Always returns all records. If the disk is full they wait in memory until the next ``append`` or ``flush``; see
        ``unwritten_bytes``. Other disk errors are treated the same, because the PBX does not wait.
        """
        records = []
        for received_at, raw in messages:
            record = encode(received_at, raw)
            records.append(JournalRecord(self.end, self.end + len(record), received_at, raw))
            self._waiting.append((self.end, record))
            self.unwritten_bytes += len(record)
            self.end += len(record)
        try:
            self.flush()
        except JournalFull:
            while self.unwritten_bytes > self.max_unwritten:
                self.unwritten_bytes -= len(self._waiting.popleft()[1])
                self.lost += 1
        return records

    def flush(self) -> None:
        """Write the waiting records. Raises JournalFull and keeps the rest in memory when the disk takes no more."""
        while self._waiting:
            base, limit = self._place()
            run: list[bytes] = []
            size = 0
            for position, record in self._waiting:
                if run and (position != base + size or size >= limit):
                    break  # a gap, or the segment is full: the next round opens a new one
                run.append(record)
                size += len(record)
            self._write(b"".join(run), run)

    def _place(self) -> tuple[int, int]:
        """Make sure a segment is open where the first waiting record belongs; returns that position and the room left."""
        first = self._waiting[0][0]
        if self._fd >= 0 and (first != self._base + self._size or self._size >= self.segment_bytes):
            self._closing.append(self._fd)
            self._fd = -1
            if not self._size:  # opened while the disk was full; its records were dropped
                (self.folder / f"{self._base:020d}.journal").unlink()
        if self._fd < 0:
            try:
                self._fd, self._base, self._size = self._open_segment(first)
            except OSError as error:
                raise self._full(error) from error
        return first, self.segment_bytes - self._size

    def _open_segment(self, first: int) -> tuple[int, int, int]:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        if segments := self._segments():
            base, path = segments[-1]
            size = path.stat().st_size
            if base + size == first and size < self.segment_bytes:
                return os.open(path, flags, 0o600), base, size
        return os.open(self.folder / f"{first:020d}.journal", flags, 0o600), first, 0

    def _write(self, data: bytes, run: list[bytes]) -> None:
        written = 0
        failure: OSError | None = None
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:] if written else data)
        except OSError as error:
            failure = error
        whole = 0
        for record in run:
            if whole + len(record) > written:
                break
            whole += len(record)
            self._waiting.popleft()
        self._size += whole
        self.unwritten_bytes -= whole
        self._dirty = True
        if failure:
            if written > whole:
                os.ftruncate(self._fd, self._size)
            raise self._full(failure) from failure

    def _full(self, error: OSError) -> JournalFull:
        why = "no space left" if error.errno in _NO_SPACE else (error.strerror or str(error))
        return JournalFull(f"{why} for the journal in {self.folder}", folder=str(self.folder), why=why)

    async def sync(self) -> None:
        """Sync the written records to disk, in a thread, so that they survive a power failure."""
        handles, self._closing = self._closing, []
        if self._dirty and self._fd >= 0:
            handles.append(os.dup(self._fd))
        self._dirty = False
        if handles:
            await asyncio.to_thread(_sync_and_close, handles)

    def close(self) -> None:
        """Write and sync what is possible, and release the lock."""
        try:
            self.flush()
        except JournalFull:
            self.lost += len(self._waiting)
        _sync_and_close([*self._closing, self._fd] if self._fd >= 0 else self._closing)
        self._closing, self._fd = [], -1
        os.close(self._lock)

    # reading

    def read(self, position: int = 0) -> Iterator[JournalRecord]:
        """All records that begin at ``position`` or later, in order, including those waiting for space.

        Damaged places and lost segments are skipped; each damaged place increases ``damaged``.
        """
        segments = self._segments()
        for index, (base, path) in enumerate(segments):
            until = segments[index + 1][0] if index + 1 < len(segments) else None
            if until is None or until > position:
                yield from self._read_segment(base, path, max(0, position - base))
        for start, data in list(self._waiting):
            found = _decode(data, 0)
            if start >= position and found:
                yield JournalRecord(start, start + len(data), *found)

    def _read_segment(self, base: int, path: Path, offset: int) -> Iterator[JournalRecord]:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
        start = base + offset
        here: int | None = 0
        while here is not None and here < len(data):
            found = _decode(data, here)
            if found:
                after = here + _HEADER.size + len(found[1])
                yield JournalRecord(start + here, start + after, *found)
                here = after
            else:
                self.damaged += 1
                here = _next_sound(data, here)

    def last_before(self, position: int, beginning: bytes) -> JournalRecord | None:
        """The last record before ``position`` whose message starts with ``beginning``, in the latest segments; else None."""
        before = [segment for segment in self._segments() if segment[0] < position]
        for base, path in before[: -_LOOKED_BACK - 1 : -1]:
            data = path.read_bytes()[: max(0, position - base)]
            at = len(data)
            while (at := data.rfind(beginning, 0, at)) >= 0:
                begin = at - _HEADER.size
                if begin >= 0 and (found := _decode(data, begin)):
                    return JournalRecord(base + begin, base + begin + _HEADER.size + len(found[1]), *found)
        return None

    def prune(self, replay_from: int, keep: timedelta, now: datetime) -> int:
        """Delete segments that no replay needs and that are older than ``keep``; returns how many."""
        segments = self._segments()
        gone = 0
        for (_, path), (next_base, _) in itertools.pairwise(segments):
            old = now - datetime.fromtimestamp(path.stat().st_mtime, UTC) > keep
            if next_base <= replay_from and old:
                path.unlink()
                gone += 1
        return gone


def _sync_and_close(handles: list[int]) -> None:
    for handle in handles:
        os.fsync(handle)
        os.close(handle)
