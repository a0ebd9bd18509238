"""The files of the data directory are for their owner alone, whatever the umask of whoever started us.

``keep_private`` makes what is written from now on so, also by the embedded Redis; ``make_private`` mends what lies there
already and refuses what cannot be mended.
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
    """From now on this process and its children make files that nobody else may open."""
    os.umask(_OTHERS)


def make_private(data_dir: Path) -> None:
    """Take everybody else's rights to the data directory and all in it away.

    Links are not followed. Raises BadSettings with a sentence when a file that others may open is not ours to change.
    """
    mended = 0
    for path in _everything(data_dir):
        try:
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode) or not stat.S_IMODE(found.st_mode) & _OTHERS:
                continue
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
            mended += 1
        except FileNotFoundError:
            continue  # SQLite's log comes and goes
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


def _everything(data_dir: Path) -> Iterator[Path]:
    if data_dir.exists():
        yield data_dir
        for folder, folders, files in os.walk(data_dir):  # links to folders are not followed
            yield from (Path(folder) / name for name in (*folders, *files))
