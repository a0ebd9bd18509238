"""The format of a backup file: a gzipped tar with ``manifest.json`` the copy of the database and the
attached files, and a seal at the end.

``tar tzf FILE`` reads it. The seal is an empty gzip member whose extra field holds the SHA-256 of every byte before it, so
one flipped bit anywhere is found before anything is unpacked. The manifest also holds each member's size and SHA-256. An
attached file (``files/ab/cdef…``) is named by its own SHA-256; the manifest holds their number.
"""

import hashlib
import io
import json
import os
import struct
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from pbxcrm.files.store import FOLDER, NAMED, Store
from pbxcrm.shared.errors import BadSettings, Invalid

PRODUCT = "pbxcrm"
FORMAT = 2  # 1 had no checksums
MANIFEST = "manifest.json"
MAX_MANIFEST = 1024 * 1024  # bytes
_GZIP = b"\x1f\x8b"
_MARK = b"PX"  # the name of our field in the seal (RFC 1952, 2.3.1.1)
_PIECE = 1024 * 1024


def pack(copy: Path, manifest: Mapping[str, Any], packed: Path, store: Store) -> None:
    """Write the archive of ``copy`` and of what lies in ``store`` to ``packed``, mode 0600, on the disk when this returns.

    Taken after the copy of the database was made, the files are at least those that its rows need. Raises OSError.
    """
    files = list(store.names())
    whole = {
        "product": PRODUCT,
        "format": FORMAT,
        **manifest,
        "files": len(files),
        "members": {copy.name: {"size": copy.stat().st_size, "sha256": _digest_of(copy).hexdigest()}},
    }
    text = json.dumps(whole, indent=1).encode()
    # Do not rely on the umask: nobody else may read this file at any time.
    handle = os.open(packed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=5) as tar:
            info = tarfile.TarInfo(MANIFEST)
            info.size, info.mode = len(text), 0o600
            tar.addfile(info, io.BytesIO(text))
            for name, path in _members(copy, store, files):
                info = tarfile.TarInfo(name)
                info.size, info.mode = path.stat().st_size, 0o600
                with path.open("rb") as content:
                    tar.addfile(info, content)
        file.flush()
        file.write(_seal(_digest_of(packed).digest()))
        file.flush()
        os.fsync(file.fileno())


def _members(copy: Path, store: Store, files: Iterable[str]) -> Iterator[tuple[str, Path]]:
    yield copy.name, copy
    for name in files:
        yield f"{FOLDER}/{name}", store.folder / name


def unpack(source: Path, folder: Path) -> tuple[dict[str, Any], Path, list[Path]]:
    """Manifest, copy of the database, and attached files (each called by its hash), taken out into ``folder`` after every
    checksum was found right.

    Only these names are taken out, whatever else the archive holds. Raises Invalid for a file that is no backup, of another
    product, damaged or cut short, BadSettings for one of a newer pbxcrm.
    """
    try:
        with source.open("rb") as file:
            _check_seal(file, source)
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:gz") as tar:
                manifest = _manifest(tar, source)
                ((name, expected),) = manifest["members"].items()
                copy = folder / Path(name).name
                _take_out(tar, name, copy, expected, source)
                return manifest, copy, _take_out_files(tar, folder, int(manifest.get("files", 0)), source)
    except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise _not_ours(source) from error
    except OSError as error:
        if error.errno is None:  # an error of gzip, not of the disk
            raise _not_ours(source) from error
        raise Invalid(
            "file", "backup.missing", "{path} cannot be read: {why}", path=str(source), why=error.strerror or str(error)
        ) from error


def _manifest(tar: tarfile.TarFile, source: Path) -> dict[str, Any]:
    with _member(tar, MANIFEST) as member:
        manifest: dict[str, Any] = json.loads(member.read(MAX_MANIFEST))
    if manifest.get("product") != PRODUCT:
        raise _not_ours(source)
    if manifest["format"] > FORMAT:
        raise BadSettings(
            "backup.newer",
            "{path} was made by a newer pbxcrm (its format {found} is unknown here). Upgrade pbxcrm first.",
            path=str(source),
            found=str(manifest["format"]),
        )
    return manifest


def _take_out(tar: tarfile.TarFile, name: str, copy: Path, expected: Mapping[str, Any], source: Path) -> None:
    digest = hashlib.sha256()
    with _member(tar, name) as member, copy.open("wb") as file:
        while piece := member.read(_PIECE):
            digest.update(piece)
            file.write(piece)
    if copy.stat().st_size != expected["size"] or digest.hexdigest() != expected["sha256"]:
        raise _damaged(source)


def _take_out_files(tar: tarfile.TarFile, folder: Path, wanted: int, source: Path) -> list[Path]:
    """Check each member that is a file of the store. Raises Invalid if a content does not match its name, or if files are missing."""
    found = []
    for info in tar.getmembers():
        beginning, _, name = info.name.partition("/")
        if beginning != FOLDER or not NAMED.fullmatch(name) or not info.isfile():
            continue
        sha256 = name.replace("/", "")
        _take_out(tar, info.name, folder / sha256, {"size": info.size, "sha256": sha256}, source)
        found.append(folder / sha256)
    if len(found) != wanted:
        raise _damaged(source)
    return found


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    if found is None:
        raise KeyError(name)
    return found


def _digest_of(path: Path) -> Any:  # hashlib's type is private
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")


def _seal(digest: bytes) -> bytes:
    extra = _MARK + struct.pack("<H", len(digest)) + digest
    header = _GZIP + b"\x08\x04" + bytes(4) + b"\x00\xff" + struct.pack("<H", len(extra)) + extra
    return header + b"\x03\x00" + bytes(8)  # empty data, deflated; then its CRC and length


_SEAL_BYTES = len(_seal(bytes(32)))


def _check_seal(file: IO[bytes], source: Path) -> None:
    """Raise Invalid unless the file ends with the seal of all bytes before it."""
    start = file.read(2)
    size = file.seek(0, os.SEEK_END)
    if size <= _SEAL_BYTES or (start != _GZIP and not _has_seal(file, size)):
        raise _not_ours(source)
    file.seek(0)
    digest, left = hashlib.sha256(), size - _SEAL_BYTES
    while left > 0 and (piece := file.read(min(_PIECE, left))):
        digest.update(piece)
        left -= len(piece)
    if file.read() != _seal(digest.digest()):
        raise _damaged(source)


def _has_seal(file: IO[bytes], size: int) -> bool:
    file.seek(size - _SEAL_BYTES)
    return file.read(14)[12:14] == _MARK


def _not_ours(source: Path) -> Invalid:
    return Invalid(
        "file", "backup.unreadable", "{path} is not a backup of pbxcrm. Nothing was changed.", path=str(source)
    )


def _damaged(source: Path) -> Invalid:
    return Invalid(
        "file",
        "backup.damaged",
        "{path} is damaged or was cut short: its checksum is wrong (or it is a gzip file of something else). "
        "Nothing was changed. Use another backup.",
        path=str(source),
    )
