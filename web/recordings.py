"""Recordings for pages and the API: the file is found in the folder of its PBX, and each listening is logged."""

import re
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from pbxcrm.calls.models import Call
from pbxcrm.calls.recordings import Recording, check_audible, find_recording, log_listening
from pbxcrm.shared.settings import Settings
from web.parts import now, parts, viewer

FIRST_BYTE = re.compile(r"bytes=\s*0+-", re.IGNORECASE)
# Not compressed: sound hardly shrinks, and ranges of a compressed answer cannot be requested.
SOUND_HEADERS = {"cache-control": "private, no-store", "content-encoding": "identity"}


def folder_of(settings: Settings, pbx: str) -> Path | None:
    """Where the recordings of a PBX are; the general folder serves one that is not in the settings (any more)."""
    return next((each.recordings_dir for each in settings.pbxs if each.name == pbx), settings.recordings_dir)


async def find(request: Request, call: Call) -> Recording:
    """The file of ``call``. Raises NotFound, Conflict or Unavailable, each with a sentence (``find_recording``)."""
    folder = folder_of(parts(request).settings, call.pbx)
    return await run_in_threadpool(find_recording, viewer(request), call, folder, now(request))


async def listen(request: Request, call: Call) -> Recording:
    """The file to send. The listening is logged before the first byte is sent.

    Raises NotAllowed for people who may see the call but not hear it.
    """
    async with parts(request).db.read() as session:
        await check_audible(session, viewer(request), call)
    found = await find(request, call)
    if request.method != "HEAD":
        asked = request.headers.get("range", "")
        from_beginning = not asked or FIRST_BYTE.match(asked) is not None
        async with parts(request).db.write() as session:
            await log_listening(session, viewer(request), call, now(request), from_beginning=from_beginning)
    return found
