"""Phone commands that several pages send, and the state of a command in words."""

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.contacts.queries import with_numbers
from pbxcrm.deals.queries import access_deal_row
from pbxcrm.pbx.report_sentences import REPORTS
from pbxcrm.phone import actions
from pbxcrm.phone.models import CommandStatus, PhoneCommand
from pbxcrm.phone.order_source import wake
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.reasons import filled
from web.forms import Form
from web.i18n import gettext as _
from web.parts import now, parts, viewer


async def order_call(request: Request, form: Form) -> PhoneCommand:
    """Order the call that the form describes, and notify the listener process."""
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
    """The client's number of a deal, for forms that name only the deal (the board)."""
    if deal_id is None:
        return ""
    row = await access_deal_row(session, viewer(request), deal_id)
    client = (await with_numbers(session, [row.contact]))[0] if row.contact is not None else None
    number = client.phones[0].number if client is not None and client.phones else row.deal.client_number
    if not number:
        raise Invalid("number", "phone.no_number", "There is no number to call: add one to the client.")
    return number


def said_of(command: PhoneCommand) -> str:
    """The state of a command, in words."""
    number = format_for_people(command.client_number or command.target)
    if is_trouble(command):
        return filled(_(REPORTS.get(command.error_code, "{why}")), command.error_params)
    if command.status == CommandStatus.ASKED:
        text = _("Calling {number}: your phone {extension} rings first, pick it up.")
        return text.format(number=number, extension=command.extension)
    if command.status in {CommandStatus.SENT, CommandStatus.RINGING}:
        return _("Calling {number} from {extension}.").format(number=number, extension=command.extension)
    return _("The call with {number} is over.").format(number=number)


def is_trouble(command: PhoneCommand) -> bool:
    """Whether the command failed so that the person must be told why."""
    return command.status in {CommandStatus.FAILED, CommandStatus.EXPIRED}
