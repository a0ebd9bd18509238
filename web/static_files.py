"""Static files under an address that contains a hash of their content, so that browsers may cache them for ever.

The address is ``/static/<hash of all files>/path``: a new version of any file changes the address of all of them, and
modules that import each other by a relative path stay together.
"""

import hashlib
import mimetypes
from functools import cached_property
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

FOLDER = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
SERVED = {".css", ".js", ".svg", ".png", ".mp3", ".ogg", ".webmanifest"}


class StaticTree:
    """The files of one folder, the hash of their content, and the handler that serves them."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    @cached_property
    def files(self) -> dict[str, Path]:
        """The files that are served, by their name in the address. Nothing else in or outside the folder can be reached."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and path.suffix in SERVED)
        return {path.relative_to(self.folder).as_posix(): path for path in sorted(found)}

    @cached_property
    def version(self) -> str:
        """The hash of the content of all files: 12 hexadecimal digits."""
        digest = hashlib.sha256()
        for name, path in self.files.items():
            digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """The address of a file. Raises KeyError for a file that does not exist, so the first test that renders it fails."""
        self.files[name]
        return f"/static/{self.version}/{name}"

    async def serve(self, request: Request) -> Response:
        """``GET /static/{version}/{name}``: the file; 404 for any name that is not in ``files``."""
        path = self.files.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404)
        # An old address (of a page that was open during an upgrade) gets the new file, but the browser must not cache it.
        fresh = request.path_params["version"] == self.version
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        if path.suffix == ".js":
            kind = "text/javascript"
        return FileResponse(path, media_type=kind, headers={"cache-control": FOR_EVER if fresh else "no-cache"})
