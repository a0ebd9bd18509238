"""Orders to the PBX: call a client, transfer, hang up. Each order is a row that the listener takes or that expires."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.access import visible_episodes
from pbxcrm.callbacks.claims import check_free, do_claim, lock_episode
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.queries import access_episode, load_context
from pbxcrm.callbacks.rules import client_keys
from pbxcrm.calls.facts import Direction, LegResult
from pbxcrm.calls.queries import access_call
from pbxcrm.contacts.models import NumberKind
from pbxcrm.contacts.queries import access_contact, contacts_of_number, load_numbers
from pbxcrm.deals.queries import access_deal
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.people.directory import load_directory
from pbxcrm.phone.models import ACTIVE, CommandKind, CommandStatus, PhoneCommand
from pbxcrm.phone.queries import active_call_to, calls_under_way, last_extension, last_pbx, own_channel
from pbxcrm.phone.rules import check_number, check_pbx, choose_extension, choose_pbx, whose_extension
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.events import emit
from pbxcrm.shared.runtime_options import load_options
from pbxcrm.shared.settings import Settings
from pbxcrm.shared.timers import set_timer

EXPIRY = "phone.expiry"
LOST_AFTER = timedelta(seconds=60)  # after its expiry; then a sent order without a call has failed
ON_A_CALL_SECONDS = 10  # a late transfer or hang-up is pointless


async def call_client(
    session: AsyncSession,
    viewer: Viewer,
    settings: Settings,
    *,
    number: str,
    now: datetime,
    extension: str = "",
    episode_id: int | None = None,
    deal_id: int | None = None,
    contact_id: int | None = None,
) -> PhoneCommand:
    """Order a call: ring the viewer's own phone, then ``number``. Also claims the client's open callback.

    Raises Invalid (number, extension), Conflict (a colleague is calling them, with the name), Unavailable (the PBX is
    away: nothing is dialled, now or later).
    """
    check(viewer, Permission.PHONE_USE)
    number = check_number(number, settings.region)
    await _check_whom(session, number)
    extension = choose_extension(viewer.extensions, extension, await last_extension(session, viewer.user_id))
    pbx = choose_pbx([pbx.name for pbx in settings.pbxs], await last_pbx(session, extension))
    check_pbx(await session.get(PbxStatus, pbx), now)
    if deal_id is not None:
        deal = await access_deal(session, viewer, deal_id)
        contact_id = contact_id if contact_id is not None else deal.contact_id
    if contact_id is not None:
        contact_id = (await access_contact(session, viewer, contact_id)).id
    await lock(session, f"phone:{number}")
    await _check_nobody_calls(session, viewer, number, now)
    episode = await _claim(session, viewer, number, episode_id, now)
    options = await load_options(session)
    key = str(uuid.uuid4())
    command = PhoneCommand(
        key=key,
        pbx=pbx,
        kind=CommandKind.ORIGINATE.value,
        user_id=viewer.user_id,
        extension=extension,
        client_number=number,
        channel_id=f"crm-{key}",
        episode_id=episode.id if episode else None,
        deal_id=deal_id if deal_id is not None else (episode.deal_id if episode else None),
        contact_id=contact_id if contact_id is not None else (episode.contact_id if episode else None),
        created_at=now,
        expires_at=now + timedelta(seconds=options.click_to_call_expiry_seconds),
    )
    return await _ask(session, viewer, command, now)


async def transfer(
    session: AsyncSession, viewer: Viewer, settings: Settings, call_id: int, *, to: str, attended: bool, now: datetime
) -> PhoneCommand:
    """Transfer the viewer's running call to ``to`` (an extension or a number); ``attended``: talk to the target first."""
    target = check_number(to, settings.region)
    command = await _on_own_call(session, viewer, call_id, now)
    command.kind = (CommandKind.ATTENDED if attended else CommandKind.TRANSFER).value
    command.target = target
    return await _ask(session, viewer, command, now)


async def hang_up(session: AsyncSession, viewer: Viewer, call_id: int, *, now: datetime) -> PhoneCommand:
    """End the viewer's own part in a call; a phone that only rings is refused."""
    command = await _on_own_call(session, viewer, call_id, now)
    command.kind = CommandKind.HANGUP.value
    return await _ask(session, viewer, command, now)


def do_finish(
    session: AsyncSession,
    command: PhoneCommand,
    status: CommandStatus,
    at: datetime,
    *,
    code: str = "",
    params: dict[str, str] | None = None,
) -> None:
    """Finish an active order and notify its user. A finished order stays unchanged."""
    if command.status not in ACTIVE:
        return
    command.status, command.finished_at = status.value, at
    command.error_code, command.error_params = code, params or {}
    say_command_changed(session, command, at)


def say_command_changed(session: AsyncSession, command: PhoneCommand, at: datetime) -> None:
    """Notify the order's user, in all their browsers."""
    emit(session, "phone", command.id, at, users=[command.user_id])


async def do_expire(session: AsyncSession, command: PhoneCommand, now: datetime) -> None:
    """Expire an order that was not sent in time; fail one that was sent long ago without a call."""
    if command.status == CommandStatus.ASKED and now >= command.expires_at:
        do_finish(session, command, CommandStatus.EXPIRED, now, code="command_expired")
    elif command.status != CommandStatus.ASKED and command.call_id is None and now >= command.expires_at + LOST_AFTER:
        seconds = int((now - command.created_at).total_seconds())
        do_finish(session, command, CommandStatus.FAILED, now, code="command_silent", params={"seconds": str(seconds)})


async def _check_whom(session: AsyncSession, number: str) -> None:
    if (await load_numbers(session, [number])).special.get(number) is NumberKind.OWN:
        raise Invalid("number", "phone.own", "That is one of our own numbers, not a client's.")
    people = await load_directory(session)
    who = whose_extension(number, people.by_extension, {u.id: u.name for u in people.users.values() if u.id})
    if who is not None:
        raise Invalid(
            "number", "phone.colleague", "{number} is the phone of {who}, not a client's.", number=number, who=who
        )


async def _check_nobody_calls(session: AsyncSession, viewer: Viewer, number: str, now: datetime) -> None:
    """Raise Conflict if an order or a call with this client is in progress, however it was made.

    Orders left by a dead listener expire here, so they do not block the number.
    """
    people = await load_directory(session)
    active = await active_call_to(session, number)
    if active is not None:
        await do_expire(session, active, now)
        await session.flush()
        if active.status in ACTIVE:
            raise Conflict("phone.busy", "{who} is calling this client right now.", who=people.name(active.user_id))
    for call in (await calls_under_way(session, number, now))[:1]:
        user_id = call.user_id if call.extension is not None else people.by_extension.get(call.made_by or "")
        who = people.name(user_id) if user_id is not None else call.extension or call.made_by or ""
        talks = call.result == LegResult.TALKING
        if talks and user_id == viewer.user_id:
            raise Conflict("phone.on_call", "You are on a call with this client right now.")
        if talks:
            raise Conflict("phone.talks", "{who} is talking to this client right now.", who=who)
        if call.direction == Direction.OUTBOUND:
            raise Conflict("phone.busy", "{who} is calling this client right now.", who=who)
        if call.direction == Direction.INBOUND:
            raise Conflict("phone.calls_us", "This client is calling us right now.")


async def _claim(
    session: AsyncSession, viewer: Viewer, number: str, episode_id: int | None, now: datetime
) -> Episode | None:
    """Claim the client's open callback for the viewer. Raises Conflict if a colleague has it; None if there is none."""
    if episode_id is not None:
        await access_episode(session, viewer, episode_id)
    else:
        contacts = await contacts_of_number(session, number, all_of_them=True)
        keys = client_keys(number, [c.id for c in contacts if c.id is not None], "")
        found = await session.exec(
            select(Episode.id).where(
                col(Episode.client_key).in_(keys),
                Episode.status == EpisodeStatus.OPEN.value,
                visible_episodes(viewer),  # does not claim another team's callback
            )
        )
        episode_id = found.first()
    if episode_id is None:
        return None
    episode = await lock_episode(session, episode_id)
    if episode.status != EpisodeStatus.OPEN:
        return episode
    context = await load_context(session)
    check_free(episode, viewer, context, now)
    await do_claim(session, episode, viewer.user_id, now, context)
    return episode


async def _on_own_call(session: AsyncSession, viewer: Viewer, call_id: int, now: datetime) -> PhoneCommand:
    """A new order for the channel of the viewer's phone in a running call. Raises Conflict, Unavailable."""
    check(viewer, Permission.PHONE_USE)
    call = await access_call(session, viewer, call_id)
    leg = await own_channel(session, call, viewer.extensions)
    if leg is None:
        raise Conflict("phone.not_on_call", "You are not on this call any more.")
    check_pbx(await session.get(PbxStatus, call.pbx), now)
    return PhoneCommand(
        key=str(uuid.uuid4()),
        pbx=call.pbx,
        kind=CommandKind.HANGUP.value,
        user_id=viewer.user_id,
        extension=leg.extension,
        channel_id=leg.channel_id,
        call_id=call.id,
        created_at=now,
        expires_at=now + timedelta(seconds=ON_A_CALL_SECONDS),
    )


async def _ask(session: AsyncSession, viewer: Viewer, command: PhoneCommand, now: datetime) -> PhoneCommand:
    session.add(command)
    try:
        await session.flush()
    except IntegrityError as error:  # two clicks at the same instant: the unique index decides
        raise Conflict("phone.busy_now", "A colleague is calling this client right now.") from error
    await set_timer(session, EXPIRY, f"{EXPIRY}:{command.id}", command.expires_at, {"command": command.id})
    record(
        session,
        now,
        f"phone.{command.kind}",
        "call",
        command.call_id or command.channel_id,
        actor=viewer,
        number=command.client_number or command.target,
        extension=command.extension,
    )
    say_command_changed(session, command, now)
    return command
