"""All that is kept about a client: taken out in one archive, and erased on request."""

import json
from collections.abc import Callable
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.privacy.access import access_to_erase
from pbxcrm.privacy.erase_actions import erase_client
from pbxcrm.privacy.export_queries import HEADINGS, export_client
from pbxcrm.privacy.queries import held_of
from pbxcrm.privacy.rules import word_of_confirmation
from pbxcrm.shared.errors import Conflict, Invalid
from web.forms import Form, filled, read_form
from web.pages.common import show
from web.parts import now, parts, viewer
from web.recordings import folder_of


async def export(request: Request) -> Response:
    """``POST /contacts/{id}/personal-data``: a ZIP with the same as JSON and as a page to read. The audit log keeps who took it out."""
    contact_id = request.path_params["contact_id"]
    async with parts(request).db.write() as session:
        found = await export_client(session, viewer(request), contact_id, now=now(request))
    page = show(request, "privacy/export.html", data=found, headings=HEADINGS)
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr("personal-data.json", json.dumps(found.as_json(), ensure_ascii=False, indent=1))
        archive.writestr("personal-data.html", bytes(page.body))
    headers = {
        "content-disposition": f'attachment; filename="client-{contact_id}.zip"',
        "cache-control": "private, no-store",
    }
    return Response(packed.getvalue(), media_type="application/zip", headers=headers)


async def ask(request: Request) -> Response:
    """``GET /contacts/{id}/erase``: what goes, what stays, and the word to type."""
    return await _page(request, filled({}))


async def erase(request: Request) -> Response:
    """``POST /contacts/{id}/erase`` with ``confirm``: the client is erased; the page then says what was."""
    form, contact_id = await read_form(request), request.path_params["contact_id"]
    try:
        async with parts(request).db.write() as session:
            done = await erase_client(
                session, viewer(request), contact_id, form["confirm"], _folders(request), now=now(request)
            )
    except (Invalid, Conflict) as error:
        field = error.field if isinstance(error, Invalid) else ""
        form.refuse(Invalid(field, error.code, error.message, **error.params))
        return await _page(request, form, HTTPStatus(error.status))
    return show(request, "privacy/erased.html", done=done)


async def _page(request: Request, form: Form, status: int = 200) -> HTMLResponse:
    async with parts(request).db.read() as session:
        contact = await access_to_erase(session, viewer(request), request.path_params["contact_id"])
        held = await held_of(session, contact)
    word = word_of_confirmation(contact.name, held.numbers)
    return show(
        request,
        "privacy/erase.html",
        fragment="privacy/_erase_form.html",
        status=status,
        form=form,
        contact=contact,
        held=held,
        word=word,
    )


def _folders(request: Request) -> Callable[[str], Path | None]:
    settings = parts(request).settings
    return lambda pbx: folder_of(settings, pbx)
