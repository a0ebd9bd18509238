"""Names and sizes of files: pure checks of what somebody attaches."""

import unicodedata

from pbxcrm.files.models import AttachedFile
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import longest

MB, GB = 1 << 20, 1 << 30
NAMELESS = "file"
LONGEST_ENDING = 16


def clean_file_name(name: str) -> str:
    """The name without folders (``../x`` becomes ``x``) and without invisible characters, which could disguise the file extension.

    It is only ever shown and offered for saving; on our disk a file is called by its hash.
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    name = " ".join("".join(" " if c.isspace() else c for c in name if c.isspace() or _seen(c)).split()).strip(". ")
    most = longest(AttachedFile.name)
    if len(name) > most:
        stem, dot, ending = name.rpartition(".")
        kept = dot + ending if stem and len(ending) <= LONGEST_ENDING else ""
        name = name[: most - len(kept)] + kept
    return name or NAMELESS


def _seen(letter: str) -> bool:
    return not unicodedata.category(letter).startswith("C")


def check_size(size: int, most: int) -> None:
    """``size`` and ``most`` in bytes. Raises Invalid at ``file``."""
    if not size:
        raise Invalid("file", "files.empty", "The file is empty: it has 0 bytes. Choose another one.")
    if size > most:
        raise too_large(most)


def too_large(most: int) -> Invalid:
    """The error for a file of more than ``most`` bytes."""
    return Invalid("file", "files.too_large", "The file is too large: at most {most} MB.", most=most // MB)


def none_sent() -> Invalid:
    """The error for a request without a file."""
    return Invalid("file", "files.none", "Choose a file.")
