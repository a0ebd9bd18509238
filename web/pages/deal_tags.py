"""The tags of a deal on its page."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access import Permission, can
from pbxcrm.deals.queries import access_deal
from pbxcrm.deals.tag_actions import add_tag, remove_tag, restore_tag
from pbxcrm.deals.tag_queries import list_tags, tags_of
from pbxcrm.shared.errors import Invalid
from web.answers import redirect, with_toast
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.pages.common import show
from web.parts import now, parts, viewer, wants_fragment


async def add(request: Request) -> Response:
    """``POST /deals/{deal_id}/tags``: ``tag``, by its name."""
    form, deal_id = await read_form(request), request.path_params["deal_id"]
    try:
        async with parts(request).db.write() as session:
            await add_tag(session, viewer(request), deal_id, form["tag"], now(request))
    except Invalid as error:
        form.refuse(error)
        return await _panel(request, form, error.status)
    return await _panel(request, Form())


async def remove(request: Request) -> Response:
    """``POST /deals/{deal_id}/tags/{tag_id}/remove``, with undo."""
    deal_id, tag_id = request.path_params["deal_id"], request.path_params["tag_id"]
    async with parts(request).db.write() as session:
        gone = next((tag.name for tag in await tags_of(session, deal_id) if tag.id == tag_id), "")
        await remove_tag(session, viewer(request), deal_id, tag_id, now(request))
    answer = await _panel(request, Form())
    said = _("The tag “{tag}” has been taken off.").format(tag=gone)
    if not gone or not isinstance(answer, HTMLResponse):
        return answer
    return with_toast(request, answer, said, undo=f"/deals/{deal_id}/tags/{tag_id}/restore")


async def restore(request: Request) -> Response:
    """``POST /deals/{deal_id}/tags/{tag_id}/restore``: undo of the removal."""
    async with parts(request).db.write() as session:
        await restore_tag(
            session, viewer(request), request.path_params["deal_id"], request.path_params["tag_id"], now(request)
        )
    return redirect(request, f"/deals/{request.path_params['deal_id']}")


async def _panel(request: Request, form: Form, status: int = 200) -> Response:
    deal_id = request.path_params["deal_id"]
    if not wants_fragment(request) and not form.errors:
        return redirect(request, f"/deals/{deal_id}")
    async with parts(request).db.read() as session:
        deal = await access_deal(session, viewer(request), deal_id)
        tags, known = await tags_of(session, deal_id), await list_tags(session)
    return show(
        request,
        "deals/_tags.html",
        status=status,
        deal=deal,
        tags=tags,
        known_tags=known,
        edits=can(viewer(request), Permission.DEALS_EDIT),
        tag_form=form,
    )
