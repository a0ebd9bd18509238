"""Which call a result of a callback stands on: a result needs one, or an explicit "without a call, because…"."""

from sqlalchemy import exists, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.callbacks.models import Attempt, Episode
from pbxcrm.calls.facts import Direction, Outcome
from pbxcrm.calls.models import Call, CallLeg

# Our own phone that nobody picked up is no call to a client.
_TRIED = (Outcome.OPEN, Outcome.ANSWERED, Outcome.NO_ANSWER, Outcome.BUSY, Outcome.FAILED)


async def call_behind(session: AsyncSession, viewer: Viewer, episode: Episode) -> Call | None:
    """The viewer's latest call to the client of which nobody has said yet how it went; None when there is none.

    It counts while it goes on, and when it ended after the client's last miss, after the viewer took the callback and after
    its lamp lit: an older call is the work of another time.
    """
    if episode.client_number is None:
        return None
    since = [episode.last_missed_at]
    if episode.lamp_lit_at is not None:
        since.append(episode.lamp_lit_at)
    if episode.claimed_by_id == viewer.user_id and episode.claimed_at is not None:
        since.append(episode.claimed_at)
    client = col(Call.client_number) == episode.client_number
    if episode.contact_id is not None:
        client = client | (col(Call.contact_id) == episode.contact_id)
    said = select(Attempt.call_id).where(
        Attempt.episode_id == episode.id, col(Attempt.call_id).is_not(None), col(Attempt.by_hand)
    )
    own_leg = exists().where(col(CallLeg.call_id) == col(Call.id), col(CallLeg.user_id) == viewer.user_id)
    found = await session.exec(
        select(Call)
        .where(
            or_(col(Call.made_by).in_(viewer.extensions), own_leg),
            client,
            Call.direction == Direction.OUTBOUND.value,
            col(Call.outcome).in_([outcome.value for outcome in _TRIED]),
            col(Call.merged_into_id).is_(None),
            col(Call.ended_at).is_(None) | (col(Call.ended_at) >= max(since)),
            col(Call.id).not_in(said),
        )
        .order_by(col(Call.started_at).desc(), col(Call.id).desc())
        .limit(1)
    )
    return found.first()
