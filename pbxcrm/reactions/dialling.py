"""A person who dials a client on the phone takes the client's callback, as with a click."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.claims import do_claim
from pbxcrm.callbacks.queries import open_episodes
from pbxcrm.callbacks.rules import client_keys, is_claimed
from pbxcrm.calls.facts import CallFact, Direction, FactKind, Outcome
from pbxcrm.calls.models import Call
from pbxcrm.reactions.call_context import CallContext
from pbxcrm.shared.db import lock


def dials(fact: CallFact) -> bool:
    """Whether the fact may be the first that says which of us calls whom."""
    call = fact.call
    return (
        fact.kind in {FactKind.OPENED, FactKind.UPDATED}
        and not fact.party
        and call.direction is Direction.OUTBOUND
        and call.outcome is Outcome.OPEN
        and bool(call.made_by)
    )


async def take_callback(
    session: AsyncSession, context: CallContext, call: Call, made_by: str | None, at: datetime
) -> None:
    """Claim the open callbacks of the call's client for the user who dials, unless somebody has claimed them."""
    user = context.people.user_of(made_by)
    if user is None or user.id is None or call.client_number is None:
        return
    # The same lock, and in the same order, as for everything that follows from a call.
    await lock(session, f"client:{call.client_number}")
    contacts = context.numbers.contacts.get(call.client_number, [])
    for episode in await open_episodes(
        session, client_keys(call.client_number, [c.id for c in contacts if c.id is not None], "")
    ):
        if not is_claimed(episode.claimed_by_id, episode.claimed_at, at, context.options.claim_minutes):
            await do_claim(session, episode, user.id, at, context)
