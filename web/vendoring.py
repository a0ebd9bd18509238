"""``python -m web.vendoring``: the browser libraries that are shipped, checked against ``static/vendor/VENDOR.toml``.

``--fetch`` downloads them from npm again (from the registry that npm is configured for) and writes the hashes. Only
maintainers of pbxcrm need it. Users need no Node: the files are in the package.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from web.static_files import FOLDER

VENDOR = FOLDER / "vendor"
LIST = VENDOR / "VENDOR.toml"


@dataclass(frozen=True, slots=True)
class Library:
    """One entry of VENDOR.toml: where a third-party file comes from and which hash it must have."""

    package: str
    version: str
    licence: str
    source: str  # the file inside the npm package
    file: str  # its name in static/vendor
    licence_file: str
    sha256: str


def libraries() -> list[Library]:
    """The libraries that ``VENDOR.toml`` lists."""
    return [Library(**row) for row in tomllib.loads(LIST.read_text(encoding="utf-8"))["library"]]


def faults() -> list[str]:
    """The differences between the files and ``VENDOR.toml``, one sentence each; empty when there are none."""
    found: list[str] = []
    known = {LIST.name}
    for library in libraries():
        known |= {library.file, library.licence_file}
        path = VENDOR / library.file
        if not path.exists():
            found.append(f"{library.file} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != library.sha256:
            found.append(f"{library.file} is not {library.package} {library.version} any more")
        if not (VENDOR / library.licence_file).exists():
            found.append(f"the licence of {library.package} is missing")
    return found + [f"{path.name} is not in {LIST.name}" for path in VENDOR.iterdir() if path.name not in known]


def fetch() -> None:
    """Download each library with npm and write its file and hash."""
    text = LIST.read_text(encoding="utf-8")
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is needed to fetch the libraries again")
    for library in libraries():
        with tempfile.TemporaryDirectory() as folder:
            name = f"{library.package}@{library.version}"
            subprocess.run([npm, "pack", "--silent", name], cwd=folder, check=True)  # noqa: S603 (names from our list)
            archive = next(Path(folder).glob("*.tgz"))
            with tarfile.open(archive) as package:
                package.extractall(folder, filter="data")
            inside = Path(folder) / "package"
            data = (inside / library.source).read_bytes()
            shutil.copyfile(inside / "LICENSE", VENDOR / library.licence_file)
        (VENDOR / library.file).write_bytes(data)
        text = text.replace(library.sha256, hashlib.sha256(data).hexdigest())
    LIST.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Check the files, after fetching them with ``--fetch``. The exit status: 1 where one differs."""
    if "--fetch" in arguments:
        fetch()
    wrong = faults()
    sys.stdout.write("".join(f"{fault}\n" for fault in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
