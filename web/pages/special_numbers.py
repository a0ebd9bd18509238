"""Numbers that belong to no client: our own and those of people who are not clients, one by one and by range."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.callbacks.special_numbers import put_on_list, take_off_list
from pbxcrm.contacts.models import NumberKind
from pbxcrm.contacts.queries import list_special_numbers
from pbxcrm.contacts.range_actions import add_range as put_range_on_list
from pbxcrm.contacts.range_actions import remove_range as take_range_off_list
from pbxcrm.contacts.range_queries import load_ranges
from pbxcrm.contacts.rules import check_whole_number
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from web.answers import redirect
from web.forms import Form, filled, read_form
from web.pages.common import asked_text, show
from web.parts import now, parts, viewer
from web.untrusted import local_path

UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


async def numbers(request: Request) -> Response:
    """``GET /numbers``: our own numbers and those that are not clients."""
    return await _numbers_page(
        request, filled({"number": asked_text(request, "number"), "kind": NumberKind.SPAM.value})
    )


async def mark_number(request: Request) -> Response:
    """``POST /numbers``: put a number on the list of our own numbers or of numbers that are not clients."""
    form = await read_form(request)
    try:
        kind = NumberKind(form["kind"]) if form["kind"] in set(NumberKind) else NumberKind.SPAM
        async with parts(request).db.write() as session:
            await put_on_list(
                session,
                viewer(request),
                check_whole_number(form["number"], parts(request).settings.region),
                kind,
                note=form["note"],
                region=parts(request).settings.region,
                now=now(request),
            )
    except Invalid as error:
        form.refuse(error)
        return await _numbers_page(request, form, UNPROCESSABLE)
    return redirect(request, "/numbers", done="added")


async def unmark_number(request: Request) -> Response:
    """``POST /numbers/remove``: take a number off these lists, so that it can belong to a client again."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        again = await take_off_list(session, viewer(request), form["number"], now=now(request))
    path = local_path(form["back"]) if form["back"] else "/numbers"
    return redirect(request, path, done="reopened" if again else "off_list", count=again)


async def add_range(request: Request) -> Response:
    """``POST /numbers/ranges``: say that the numbers from ``first`` to ``last`` are ours or not clients."""
    form = await read_form(request)
    kind = NumberKind.SPAM if form["range_kind"] == NumberKind.SPAM else NumberKind.OWN
    try:
        async with parts(request).db.write() as session:
            await put_range_on_list(
                session,
                viewer(request),
                form["first"],
                form["last"],
                kind,
                note=form["range_note"],
                region=parts(request).settings.region,
                now=now(request),
            )
    except Invalid as error:
        form.refuse(error)
        fields = filled({"number": "", "kind": NumberKind.SPAM.value})
        return await _numbers_page(request, fields, UNPROCESSABLE, ranges_form=form)
    return redirect(request, "/numbers", done="added")


async def remove_range(request: Request) -> Response:
    """``POST /numbers/ranges/remove``: calls from the numbers of the range ``range_id`` make deals again."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await take_range_off_list(session, viewer(request), form.id("range_id") or 0, now=now(request))
    return redirect(request, "/numbers", done="range_off_list")


async def _numbers_page(
    request: Request, form: Form, status: int = 200, *, ranges_form: Form | None = None
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        found, ranges = await list_special_numbers(session), await load_ranges(session)
        people = await load_directory(session)
    return show(
        request,
        "contacts/numbers.html",
        fragment="contacts/_special_form.html" if ranges_form is None else "contacts/_range_form.html",
        status=status,
        numbers=found,
        ranges=ranges,
        people=people,
        form=form,
        ranges_form=ranges_form or filled({"range_kind": NumberKind.OWN.value}),
    )
