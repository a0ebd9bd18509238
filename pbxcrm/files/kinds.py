"""The media type of a file, from its content. Its name and the type that the browser sent are not trusted.

Signatures are those of the formats' own specifications. What is none of these is text when it reads as UTF-8, else bytes.
HTML, SVG and scripts are text here, so no browser ever runs them.
"""

import codecs
import zipfile
from pathlib import Path

HEAD = 4096  # bytes that are looked at
BYTES, TEXT, ZIP = "application/octet-stream", "text/plain", "application/zip"
#: Pictures that a browser may show in a page of ours: they cannot carry anything that is executed.
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
PDF = "application/pdf"
#: What is shown in a tab of its own. The viewer of a PDF belongs to the browser; what the file contains reaches no page of ours.
SHOWN = PICTURES | {PDF}

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", PDF),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),  # Office before 2007
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"{\\rtf", "application/rtf"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_IN_ZIP = {
    "word/document.xml": f"{_OFFICE}wordprocessingml.document",
    "xl/workbook.xml": f"{_OFFICE}spreadsheetml.sheet",
    "ppt/presentation.xml": f"{_OFFICE}presentationml.presentation",
}


def kind_of(path: Path) -> str:
    """The media type of the file at ``path``. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    found = _by_start(head)
    return _in_zip(path) if found == ZIP else found


def _by_start(head: bytes) -> str:
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], BYTES)
    if head[4:8] == b"ftyp":
        return "video/mp4"
    return TEXT if _is_text(head) else BYTES


def _is_text(head: bytes) -> bool:
    try:  # a letter may be cut at the end of the head
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not any(letter < " " and letter not in "\t\n\r\f" for letter in text)


def _in_zip(path: Path) -> str:
    """The type of a zip file (office documents), from its table of contents; nothing is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return ZIP
    return next((kind for name, kind in _IN_ZIP.items() if name in names), ZIP)
