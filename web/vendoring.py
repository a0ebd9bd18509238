"""``python -m web.vendoring``: the browser libraries that are shipped, checked against ``static/vendor/VENDOR.toml``.

``--fetch`` takes them anew from npm (whichever registry npm is set to; only who maintains pbxcrm needs it) and writes
the hashes. Users need no Node: the files are in the package.
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
    """A line of VENDOR.toml: where a file of others comes from and what its hash must be."""

    package: str
    version: str
    licence: str
    source: str  # the file inside the npm package
    file: str  # what it is called here
    licence_file: str
    sha256: str


def libraries() -> list[Library]:
    """What ``VENDOR.toml`` lists."""
    return [Library(**row) for row in tomllib.loads(LIST.read_text(encoding="utf-8"))["library"]]


def faults() -> list[str]:
    """What does not agree with the list, one sentence each."""
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
        raise SystemExit("npm is needed to fetch the libraries anew")
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
