"""Calling by a click from any page, transfer and hang-up from the call card, and how one's own phone stands."""

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.contacts.queries import with_numbers
from pbxcrm.deals.queries import access_deal_row
from pbxcrm.pbx.reports import REPORTS
from pbxcrm.phone import actions
from pbxcrm.phone.models import CommandStatus, PhoneCommand
from pbxcrm.phone.queries import latest_call_of, latest_order_of
from pbxcrm.phone.source import wake
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.numbers import format_for_people
from web.answers import toast
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.parts import now, parts, viewer
from web.rendering import render


async def call(request: Request) -> Response:
    """``POST /phone/call`` number, and where known extension, episode_id, deal_id, contact_id: a word, as a toast."""
    command = await order_call(request, await read_form(request))
    return toast(request, said_of(command), tone="")


async def order_call(request: Request, form: Form) -> PhoneCommand:
    """Ask for the call that the form wants, and tell the listener."""
    async with parts(request).db.write() as session:
        command = await actions.call_client(
            session,
            viewer(request),
            parts(request).settings,
            number=form["number"] or await _number_of_deal(session, request, form.id("deal_id")),
            extension=form["extension"],
            episode_id=form.id("episode_id"),
            deal_id=form.id("deal_id"),
            contact_id=form.id("contact_id"),
            now=now(request),
        )
    await wake(parts(request).redis, command.pbx)
    return command


async def _number_of_deal(session: AsyncSession, request: Request, deal_id: int | None) -> str:
    """The number of a deal's client, where only the deal is named, as on the board."""
    if deal_id is None:
        return ""
    row = await access_deal_row(session, viewer(request), deal_id)
    client = (await with_numbers(session, [row.contact]))[0] if row.contact is not None else None
    number = client.phones[0].number if client is not None and client.phones else row.deal.client_number
    if not number:
        raise Invalid("number", "phone.no_number", "There is no number to call: add one to the client.")
    return number


async def transfer(request: Request) -> Response:
    """``POST /phone/transfer`` call_id, attended, and target (an extension of the list) or number (what was typed)."""
    form = await read_form(request)
    attended = form.ticked("attended")
    async with parts(request).db.write() as session:
        command = await actions.transfer(
            session,
            viewer(request),
            parts(request).settings,
            form.id("call_id") or 0,
            to=form["target"] or form["number"],
            attended=attended,
            now=now(request),
        )
    await wake(parts(request).redis, command.pbx)
    target = format_for_people(command.target)
    if attended:
        return toast(request, _("Calling {target}; hang up to hand the client over.").format(target=target), tone="")
    return toast(request, _("The client goes to {target}.").format(target=target), tone="")


async def hang_up(request: Request) -> Response:
    """``POST /phone/hangup`` call_id."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        command = await actions.hang_up(session, viewer(request), form.id("call_id") or 0, now=now(request))
    await wake(parts(request).redis, command.pbx)
    return toast(request, _("Hanging up."), tone="")


async def state(request: Request) -> Response:
    """``GET /phone/state``: the last call by a click, as the bar shows it, and what went wrong with the last order of any kind."""
    async with parts(request).db.read() as session:
        command = await latest_call_of(session, viewer(request).user_id)
        last = await latest_order_of(session, viewer(request).user_id)
    trouble = last if last is not None and is_trouble(last) else None
    return render(
        request,
        "phone/_state.html",
        command=command,
        said=said_of(command) if command else "",
        trouble=trouble,
        wrong=said_of(trouble) if trouble else "",
    )


def said_of(command: PhoneCommand) -> str:
    """How an order stands, in words."""
    number = format_for_people(command.client_number or command.target)
    if is_trouble(command):
        return _(REPORTS.get(command.error_code, "{why}")).format_map(_Blank(command.error_params))
    if command.status == CommandStatus.ASKED:
        text = _("Calling {number}: your phone {extension} rings first, pick it up.")
        return text.format(number=number, extension=command.extension)
    if command.status in {CommandStatus.SENT, CommandStatus.RINGING}:
        return _("Calling {number} from {extension}.").format(number=number, extension=command.extension)
    return _("The call with {number} is over.").format(number=number)


def is_trouble(command: PhoneCommand) -> bool:
    return command.status in {CommandStatus.FAILED, CommandStatus.EXPIRED}


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""
