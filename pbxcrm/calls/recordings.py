"""Recordings: finds the file of a call, and never one outside the folder of its PBX.

MixMonitor writes wherever the dialplan says. A call's file is the one the dialplan named (``UserEvent PbxcrmRecording``), else
one whose name contains the Uniqueid of one of its channels (as in FreePBX), in the folder itself or in the folder of that day.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, can, check
from pbxcrm.audit.actions import record
from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.access import audible_of
from pbxcrm.calls.models import Call
from pbxcrm.shared.errors import Conflict, NotAllowed, NotFound, Unavailable
from pbxcrm.shared.reasons import N_

MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".gsm": "audio/x-gsm",
}
PLAYABLE = frozenset({".wav", ".mp3", ".ogg", ".opus", ".flac", ".m4a"})  # browsers can only download the others
WAV_HEADER = 44  # bytes; a file of this size or less is empty
SETTLED = timedelta(seconds=2)  # a file changed less than this ago may still grow
SAME_LISTENING = timedelta(hours=1)  # requests for parts within this time are one listening
NO_RECORDING = N_("There is no recording of this call: it was not recorded, or the file was removed.")
NOT_YOURS = N_(
    "Only those who talked, those whose client or deal it is, and their managers may hear the recording. Your phone only rang."
)
DAY_FOLDERS = ("%Y/%m/%d", "%Y-%m-%d", "%Y%m%d", "%Y/%m")


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording file. ``path`` is resolved (no symbolic links) and lies in the folder."""

    path: Path
    size: int  # bytes
    media_type: str

    @property
    def playable(self) -> bool:
        """Whether browsers can play this format."""
        return self.path.suffix.lower() in PLAYABLE


def find_recording(viewer: Viewer, call: Call, folder: Path | None, now: datetime) -> Recording:
    """Find the file of a call. It reads the disk, so call it in a thread.

    Raises NotFound (no folder, no file, an empty one, or one outside of the folder), Conflict (it is still being written),
    Unavailable (the disk refuses), each with a sentence that says what to do. Only those who can edit the settings are
    told that the folder is not set.
    """
    if folder is None:
        if not can(viewer, Permission.SETTINGS_EDIT):
            raise NotFound("recordings.missing", NO_RECORDING)
        raise NotFound(
            "recordings.no_folder",
            "Nobody has said where PBX “{pbx}” keeps its recordings: set recordings_dir in the settings.",
            pbx=call.pbx,
        )
    try:
        found = _find(call, folder)
    except PermissionError as error:
        raise Unavailable(
            "recordings.forbidden", "The folder of recordings may not be read by this program. Ask an administrator."
        ) from error
    except OSError as error:
        raise Unavailable("recordings.disk", "The disk with the recordings does not answer.") from error
    if found is None:
        raise NotFound("recordings.missing", NO_RECORDING)
    path, status = found
    changed = datetime.fromtimestamp(status.st_mtime, now.tzinfo)
    if call.ended_at is None or timedelta(0) <= now - changed < SETTLED:
        raise Conflict("recordings.growing", "The recording is still being written. Try again when the call is over.")
    if status.st_size <= WAV_HEADER:
        raise NotFound("recordings.empty", "The recording of this call is empty.")
    return Recording(path, status.st_size, MEDIA_TYPES[path.suffix.lower()])


def delete_recording(call: Call, folder: Path | None) -> bool | str:
    """Delete the file of a call whose client is erased. It changes the disk, so call it in a thread.

    True: deleted; False: there was none; the file's name where the disk does not let us (it may be mounted for reading only).
    """
    if folder is None:
        return False
    found: tuple[Path, os.stat_result] | None = None
    try:
        found = _find(call, folder)
        if found is not None:
            found[0].unlink()
    except OSError:
        return found[0].name if found is not None else (call.recording or call.linkedid)
    return found is not None


def _find(call: Call, folder: Path) -> tuple[Path, os.stat_result] | None:
    root = folder.resolve()
    if not root.is_dir():
        raise FileNotFoundError(root)
    for candidate in _named(call, root):
        found = _inside(candidate, root)
        if found is not None:
            return found
    for candidate in _by_channel(call, root):
        found = _inside(candidate, root)
        if found is not None:
            return found
    return None


def _inside(candidate: Path, root: Path) -> tuple[Path, os.stat_result] | None:
    """The resolved file, if it lies in ``root`` and is a regular audio file; else None."""
    try:
        real = candidate.resolve(strict=True)
        status = real.stat()
    except (FileNotFoundError, NotADirectoryError, RuntimeError, ValueError):  # ValueError: a NUL in the name
        return None
    except OSError as error:
        if error.errno in {36, 40}:  # name too long, or a loop of links: not our file
            return None
        raise
    if not real.is_relative_to(root) or not stat.S_ISREG(status.st_mode) or real.suffix.lower() not in MEDIA_TYPES:
        return None
    return real, status


def _named(call: Call, root: Path) -> Iterator[Path]:
    if not call.recording:
        return
    name = Path(call.recording)  # an absolute name replaces root; ``_inside`` refuses a file outside
    yield root / name
    if name.suffix.lower() not in MEDIA_TYPES:  # dialplans often give MixMonitor a name without extension
        for ending in MEDIA_TYPES:
            yield root / f"{call.recording}{ending}"


def _by_channel(call: Call, root: Path) -> Iterator[Path]:
    ids = [re.escape(channel) for channel in call.channel_ids if len(channel) >= 6]
    if not ids:
        return
    # 1700000000.12 must not be found in 1700000000.123
    wanted = re.compile(rf"(?<!\d)(?:{'|'.join(ids)})(?!\d)")
    for folder in _folders(call.started_at, root):
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if wanted.search(entry.name))
        yield from (folder / name for name in names)


def _folders(started_at: datetime, root: Path) -> Iterable[Path]:
    """The folder, and those of the call's day and the days around it, because the PBX's time zone may differ."""
    days = [started_at + timedelta(days=shift) for shift in (0, 1, -1)]
    wanted = dict.fromkeys([root, *(root / day.strftime(form) for day in days for form in DAY_FOLDERS)])
    return [folder for folder in wanted if folder.is_dir() and folder.resolve().is_relative_to(root)]


async def check_audible(session: AsyncSession, viewer: Viewer, call: Call) -> None:
    """Raise NotAllowed unless the viewer may hear the recording."""
    if call.id not in await audible_of(session, viewer, [call.id]):
        raise NotAllowed("recordings.not_yours", NOT_YOURS)


async def log_listening(
    session: AsyncSession, viewer: Viewer, call: Call, now: datetime, *, from_beginning: bool
) -> None:
    """Record in the audit log that somebody listens. A player requests many parts of a file: they count once."""
    check(viewer, Permission.RECORDINGS_LISTEN)
    pause = timedelta(seconds=5) if from_beginning else SAME_LISTENING
    found = await session.exec(
        select(AuditEntry.id).where(
            AuditEntry.entity == "call",
            AuditEntry.entity_id == str(call.id),
            AuditEntry.action == "recording.listened",
            AuditEntry.actor_id == viewer.user_id,
            col(AuditEntry.at) > now - pause,
        )
    )
    if found.first() is None:
        record(session, now, "recording.listened", "call", call.id, actor=viewer)
