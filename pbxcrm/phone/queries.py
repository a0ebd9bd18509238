"""Queries on orders to the PBX and on calls in progress."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.facts import LegResult, Outcome
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.calls.queries import latest_legs
from pbxcrm.phone.models import ACTIVE, CommandKind, PhoneCommand

_TAKES_PART = (LegResult.DIALLED.value, LegResult.RINGING.value, LegResult.TALKING.value, LegResult.TALKED.value)
GOES_ON_AT_MOST = timedelta(hours=4)  # a call "in progress" for longer has lost its end


async def active_call_to(session: AsyncSession, number: str) -> PhoneCommand | None:
    """The active click-to-call order to a client's number, by any user; None if there is none."""
    found = await session.exec(
        select(PhoneCommand).where(
            PhoneCommand.client_number == number,
            PhoneCommand.kind == CommandKind.ORIGINATE.value,
            col(PhoneCommand.status).in_(ACTIVE),
        )
    )
    return found.first()


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A call with a client in progress, and one of our phones in it; the phone is None while the caller waits in a menu or
    queue, or while ``made_by`` dials by hand.
    """

    direction: str  # a Direction
    result: str | None  # the LegResult of the phone
    user_id: int | None
    extension: str | None
    made_by: str | None


async def calls_under_way(session: AsyncSession, number: str, now: datetime) -> list[UnderWay]:
    """Calls in progress with a client's number, one row per leg that has not ended; talking phones first."""
    columns: tuple[Any, ...] = (Call.direction, CallLeg.result, CallLeg.user_id, CallLeg.extension, Call.made_by)
    found = await session.exec(
        select(*columns)
        .join(CallLeg, (col(CallLeg.call_id) == col(Call.id)) & col(CallLeg.ended_at).is_(None), isouter=True)
        .where(
            Call.client_number == number,
            Call.outcome == Outcome.OPEN.value,
            col(Call.merged_into_id).is_(None),
            col(Call.started_at) > now - GOES_ON_AT_MOST,
        )
    )
    rows = [UnderWay(*row) for row in found.all()]
    return sorted(rows, key=lambda row: row.result != LegResult.TALKING)


async def latest_call_of(session: AsyncSession, user_id: int) -> PhoneCommand | None:
    """The user's last click-to-call order."""
    found = await session.exec(
        select(PhoneCommand)
        .where(PhoneCommand.user_id == user_id, PhoneCommand.kind == CommandKind.ORIGINATE.value)
        .order_by(col(PhoneCommand.id).desc())
        .limit(1)
    )
    return found.first()


async def latest_order_of(session: AsyncSession, user_id: int) -> PhoneCommand | None:
    """The user's last order of any kind: a call, a transfer, a hang-up."""
    found = await session.exec(
        select(PhoneCommand).where(PhoneCommand.user_id == user_id).order_by(col(PhoneCommand.id).desc()).limit(1)
    )
    return found.first()


async def last_extension(session: AsyncSession, user_id: int) -> str | None:
    """The extension of the user's last click-to-call order."""
    latest = await latest_call_of(session, user_id)
    return latest.extension if latest is not None else None


async def last_pbx(session: AsyncSession, extension: str) -> str | None:
    """The PBX of the extension's last leg among the latest of all; None where it has none."""
    found = await session.exec(
        select(Call.pbx)
        .join(CallLeg, col(CallLeg.call_id) == col(Call.id))
        .where(CallLeg.extension == extension, col(CallLeg.id) > await latest_legs(session))
        .order_by(col(CallLeg.id).desc())
        .limit(1)
    )
    return found.first()


async def own_channel(session: AsyncSession, call: Call, extensions: Sequence[str]) -> CallLeg | None:
    """The open leg of one of ``extensions`` in a running call: the one that talks, else the one that rings; else None.

    A phone that was refused, gave up or lost to a colleague has no part any more, though its channel ends a moment later.
    """
    if call.ended_at is not None:
        return None
    found = await session.exec(
        select(CallLeg)
        .where(
            CallLeg.call_id == call.id,
            col(CallLeg.extension).in_(extensions),
            col(CallLeg.ended_at).is_(None),
            col(CallLeg.result).in_(_TAKES_PART),
        )
        .order_by(col(CallLeg.answered_at).is_(None), col(CallLeg.id).desc())
    )
    return found.first()
