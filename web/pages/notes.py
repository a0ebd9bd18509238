"""Pinning a note above the timeline of its deal."""

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.notes.actions import pin_note
from web.answers import redirect, toast
from web.i18n import gettext as _
from web.parts import now, parts, viewer, wants_fragment


async def pin(request: Request) -> Response:
    """``POST /notes/{note_id}/pin``."""
    return await _pin(request, pinned=True)


async def unpin(request: Request) -> Response:
    """``POST /notes/{note_id}/unpin``."""
    return await _pin(request, pinned=False)


async def _pin(request: Request, *, pinned: bool) -> Response:
    async with parts(request).db.write() as session:
        note = await pin_note(session, viewer(request), request.path_params["note_id"], now(request), pinned=pinned)
    if not wants_fragment(request):
        return redirect(request, f"/deals/{note.deal_id}")
    said = _("The note is pinned.") if pinned else _("The note is no longer pinned.")
    return toast(request, said, undo=f"/notes/{note.id}/{'unpin' if pinned else 'pin'}")
