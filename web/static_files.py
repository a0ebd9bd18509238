"""Static files under an address that names their content, so that browsers may keep them for ever.

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
    """Static files with their content's hash in the address, so that browsers keep them for ever."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    @cached_property
    def files(self) -> dict[str, Path]:
        """The only paths that are served, by their name in the address: nothing outside the folder can be reached."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and path.suffix in SERVED)
        return {path.relative_to(self.folder).as_posix(): path for path in sorted(found)}

    @cached_property
    def version(self) -> str:
        """A hash of the content, for an address that may be kept for ever."""
        digest = hashlib.sha256()
        for name, path in self.files.items():
            digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """Raises KeyError for a file that is not there: a broken link is found by the first test that renders it."""
        self.files[name]
        return f"/static/{self.version}/{name}"

    async def serve(self, request: Request) -> Response:
        """``GET /static/…``."""
        path = self.files.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404)
        # An old address (a page open during an upgrade) gets the new file, but must not keep it under the old name.
        fresh = request.path_params["version"] == self.version
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        if path.suffix == ".js":
            kind = "text/javascript"
        return FileResponse(path, media_type=kind, headers={"cache-control": FOR_EVER if fresh else "no-cache"})
