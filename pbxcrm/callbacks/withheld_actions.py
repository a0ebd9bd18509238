"""Gives a call with a withheld number to a client: the call, its deal and its callback. No number is linked, because there is none."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check, decides_for
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.actions import say_episode_changed
from pbxcrm.callbacks.models import Episode, EpisodeCall, EpisodeStatus
from pbxcrm.callbacks.queries import open_episodes
from pbxcrm.callbacks.rules import client_keys
from pbxcrm.calls.access import may_hear
from pbxcrm.calls.actions import do_set_client_of_call, say_calls_changed
from pbxcrm.calls.facts import Direction
from pbxcrm.calls.models import Call, Line
from pbxcrm.calls.queries import access_call
from pbxcrm.contacts.queries import access_contact
from pbxcrm.deals.access import edits_deal
from pbxcrm.deals.actions import edit_deal
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid, NotAllowed
from pbxcrm.shared.locking import lock_found, lock_row


async def give_withheld_call(
    session: AsyncSession, viewer: Viewer, call_id: int, contact_id: int | None, *, now: datetime
) -> Call:
    """The caller was this client; None takes it back. A deal and a callback that only this caller has become the client's, too.

    For whoever may hear what was said. Raises Invalid at ``contact_id``, NotAllowed, NotFound.
    """
    check(viewer, Permission.CONTACTS_EDIT)
    found = await access_call(session, viewer, call_id)
    call = await lock_row(session, Call, found.id or 0)
    if call.client_number is not None or call.direction != Direction.INBOUND:
        raise Invalid(
            "contact_id", "calls.not_withheld", "This call has a number: link the number to the client instead."
        )
    if call.responsible_id is not None and not await may_hear(session, viewer, call.id or 0):
        raise NotAllowed("calls.not_yours", "A colleague has this call: they say which client it was.")
    if contact_id is not None:
        contact_id = (await access_contact(session, viewer, contact_id, field="contact_id")).id
    before = call.contact_id
    if before == contact_id:
        return call
    await do_set_client_of_call(session, call, contact_id, now, None)
    await session.flush()
    await _give_deal(session, viewer, call, before, now)
    await _give_callback(session, viewer, call, before, now)
    record(
        session,
        now,
        "call.contact_chosen",
        "call",
        call.id,
        actor=viewer,
        contact_id={"before": before, "after": contact_id},
    )
    await say_calls_changed(session, [call], now, await load_directory(session))
    return call


async def _give_deal(session: AsyncSession, viewer: Viewer, call: Call, before: int | None, now: datetime) -> None:
    deal = await session.get(Deal, call.deal_id) if call.deal_id is not None else None
    if deal is None or deal.client_number is not None or deal.contact_id != before or deal.closed_at is not None:
        return
    if edits_deal(viewer, deal, await load_directory(session)):
        await edit_deal(
            session, viewer, deal.id or 0, version=None, now=now, contact_id=call.contact_id, keep_contact=False
        )


async def _give_callback(session: AsyncSession, viewer: Viewer, call: Call, before: int | None, now: datetime) -> None:
    """Of the line's callback for withheld numbers only one that no other caller shares, if the client has none.

    A callback that the viewer may not change is left alone.
    """
    asked = select(Episode).join(EpisodeCall, col(EpisodeCall.episode_id) == col(Episode.id))
    mine = asked.where(EpisodeCall.call_id == call.id, Episode.status == EpisodeStatus.OPEN, Episode.missed_count == 1)
    episode = await lock_found(session, Episode, mine)
    if episode is None or episode.client_number is not None or episode.contact_id != before:
        return
    people = await load_directory(session)
    if not decides_for(viewer, episode.owner_id, people):
        return
    line = await session.get(Line, call.line_id) if call.line_id is not None else None
    client = [call.contact_id] if call.contact_id is not None else []
    keys = client_keys(None, client, line.name if line is not None else "")
    if await open_episodes(session, keys):
        return
    episode.contact_id, episode.client_key = call.contact_id, keys[0]
    episode.version += 1
    await say_episode_changed(session, episode, now, people)
