"""Recordings for pages and the API: the file is found in the folder of its PBX, and each listening is logged."""

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from pbxcrm.calls.models import Call
from pbxcrm.calls.recordings import Recording, check_audible, find_recording, log_listening
from web.parts import now, parts, viewer

FIRST_BYTE = re.compile(r"bytes=\s*0+-", re.IGNORECASE)
# Not compressed: sound hardly shrinks, and ranges of a compressed answer cannot be requested.
SOUND_HEADERS = {"cache-control": "private, no-store", "content-encoding": "identity"}


async def find(request: Request, call: Call) -> Recording:
    """The file of ``call``. Raises NotFound, Conflict or Unavailable, each with a sentence (``find_recording``)."""
    settings = parts(request).settings
    # The general folder serves a PBX that is not in the settings (any more).
    folder = next((pbx.recordings_dir for pbx in settings.pbxs if pbx.name == call.pbx), settings.recordings_dir)
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
