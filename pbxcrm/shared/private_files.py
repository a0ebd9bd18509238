"""Only the owner may read the files of the data directory, whatever umask the process was started with.

``keep_private`` does this for new files, including those of the embedded Redis. ``make_private`` corrects the mode of existing
files and raises an error for those that it cannot change.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import structlog

from pbxcrm.shared.errors import BadSettings

log = structlog.get_logger()
_OTHERS = 0o077


def keep_private() -> None:
    """Set the umask so that only the owner can open files that this process and its children create."""
    os.umask(_OTHERS)


def make_private(data_dir: Path) -> None:
    """Remove the permissions of all other users from the data directory and everything in it.

    Links are not followed. Raises BadSettings when others may open a file that belongs to another user.
    """
    mended = 0
    for path, mode in _open_to_others(data_dir):
        try:
            path.chmod(mode & ~_OTHERS)
            mended += 1
        except FileNotFoundError:
            continue  # SQLite deletes its log when the last connection closes
        except PermissionError as error:
            raise BadSettings(
                "data_dir.not_private",
                "Others on this machine may open {path}, and it belongs to somebody else. Run: chown -R {user} {folder}",
                path=str(path),
                user=str(os.getuid()),
                folder=str(data_dir),
            ) from error
    if mended:
        log.warning("data_dir.made_private", path=str(data_dir), files=mended)


def open_to_others(data_dir: Path) -> list[Path]:
    """What other users may open in the data directory, itself included."""
    return [path for path, _mode in _open_to_others(data_dir)]


def _open_to_others(data_dir: Path) -> Iterator[tuple[Path, int]]:
    for path in _everything(data_dir):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISLNK(found.st_mode) and mode & _OTHERS:
            yield path, mode


def _everything(data_dir: Path) -> Iterator[Path]:
    if data_dir.exists():
        yield data_dir
        for folder, folders, files in os.walk(data_dir):  # links to folders are not followed
            yield from (Path(folder) / name for name in (*folders, *files))
