"""Matches a click-to-call with the order that made it, by the channel id that the order gave."""

from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.facts import CallState, Outcome
from pbxcrm.calls.models import Call
from pbxcrm.phone.actions import do_finish, say_command_changed
from pbxcrm.phone.models import ACTIVE, CommandKind, CommandStatus, PhoneCommand

PREFIX = "crm-"


async def match_order(session: AsyncSession, call: Call, state: CallState, at: datetime) -> int | None:
    """Link ``call`` to its order, and finish the order when the call is over. Returns the deal of the order, for a call that has none."""
    channel = next((channel for channel in (state.linkedid, *state.channel_ids) if channel.startswith(PREFIX)), None)
    if channel is None:
        return None
    found = await session.exec(
        select(PhoneCommand).where(PhoneCommand.channel_id == channel, PhoneCommand.kind == CommandKind.ORIGINATE.value)
    )
    command = found.first()
    if command is None:
        return None
    deal_id: int | None = None
    if command.call_id is None:
        command.call_id = call.id
        if call.deal_id is None and command.deal_id is not None and not call.reason:
            deal_id = command.deal_id
        if command.status in {CommandStatus.ASKED, CommandStatus.SENT}:
            command.status = CommandStatus.RINGING.value
        say_command_changed(session, command, at)
    if command.status not in ACTIVE or state.outcome is Outcome.OPEN:
        return deal_id
    if state.outcome is Outcome.NOT_DIALLED:
        do_finish(
            session, command, CommandStatus.FAILED, at, code="not_picked_up", params={"extension": command.extension}
        )
    else:
        do_finish(session, command, CommandStatus.DONE, at)
    return deal_id
