"""Losing a deal because of the result of a talk (not interested, wrong number), and undoing it."""

from datetime import datetime

from sqlalchemy import ColumnElement, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.models import NumberKind, SpecialNumber
from pbxcrm.deals.actions import do_move_back, do_move_deal
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.queries import latest_move, stage_of_kind
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import N_, Reason

# Stored as the deal's lost reason; pages translate them.
LOST_WRONG_NUMBER = N_("Wrong number")
LOST_NOT_A_CLIENT = N_("Not a client")
LOST_NOT_REACHED = N_("Not reached")

LOST_WITH_THE_WIN = N_("The win was taken back")

_RAW = frozenset({StageKind.DIDNT_REACH, StageKind.UNSORTED})


def went_with_the_win(deal: Deal) -> bool:
    """Whether the deal was made for a win and went when the win was taken back: nobody lost it."""
    return deal.follows_id is not None and deal.lost_reason == LOST_WITH_THE_WIN


def stands_by_itself() -> ColumnElement[bool]:
    """SQL condition, the reverse of ``went_with_the_win``."""
    return or_(col(Deal.follows_id).is_(None), col(Deal.lost_reason) != LOST_WITH_THE_WIN)


async def do_lose_deal(
    session: AsyncSession,
    deal: Deal,
    lost_reason: str,
    now: datetime,
    *,
    actor: Viewer,
    people: Directory,
    only_raw: bool = False,
    why: Reason | None = None,
) -> bool:
    """Move an open ``deal`` to the lost stage. Returns whether it was moved. Raises GateRefused.

    With ``only_raw`` a deal that is past the first stages is not moved: one wrong number does not end it.
    """
    left = await session.get(Stage, deal.stage_id)
    if deal.closed_at is not None or left is None or (only_raw and left.kind not in _RAW):
        return False
    lost = await stage_of_kind(session, deal.pipeline_id, StageKind.LOST)
    if lost is None:
        return False
    await do_move_deal(session, deal, lost, now, actor=actor, people=people, why=why, lost_reason=lost_reason)
    return True


async def reopen_deals(session: AsyncSession, viewer: Viewer, special: SpecialNumber, now: datetime) -> None:
    """The spam mark of a number was removed: reopen the deals that were lost when it was set, if nobody has moved them since."""
    if special.kind != NumberKind.SPAM:
        return
    lost = await session.exec(
        select(Deal.id)
        .where(
            Deal.client_number == special.number,
            Deal.closed_at == special.added_at,
            col(Deal.lost_reason) == LOST_NOT_A_CLIENT,
        )
        .order_by(col(Deal.id))
    )
    people = await load_directory(session)
    for deal_id in lost.all():
        deal = await lock_row(session, Deal, deal_id or 0)
        move = await latest_move(session, deal_id or 0)
        if move is not None and deal.closed_at == special.added_at:
            await do_move_back(session, deal, move, now, actor=viewer, people=people)
