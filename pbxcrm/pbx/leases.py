"""Which listener of a PBX may apply facts, and how far each journal has been applied.

All times are from the database, so a machine with a wrong clock neither keeps a lease too long nor takes one too early.
"""

import socket
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Interval, bindparam, func, update
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.pbx.models import PbxJournal, PbxStatus
from pbxcrm.pbx.state import JournalPosition, Lease, LeaseLost
from pbxcrm.shared.core_sql import execute
from pbxcrm.shared.db import UtcDateTime, database_now, lock
from pbxcrm.shared.lengths import cut

ALIVE = timedelta(seconds=5)  # a listener writes a sign of life every half second
PROMPT = timedelta(seconds=1)  # an answer of the database after a longer time may mean that it was away
KEPT = timedelta(days=90)  # how long the position of an unused journal is kept

_STATUS: Any = SQLModel.metadata.tables["pbx_status"].c
_JOURNAL: Any = SQLModel.metadata.tables["pbx_journals"].c
# Built once and executed through Core, because every batch needs them. The first one also locks the row.
_HEARD = {"last_event_at": func.coalesce(bindparam("heard", type_=UtcDateTime), _STATUS.last_event_at)}
_HOLD = update(_STATUS.pbx.table).where(_STATUS.pbx == bindparam("of")).values(_HEARD)
_OWN = _HOLD.where(_STATUS.lease_owner == bindparam("owned_by"), _STATUS.lease_epoch == bindparam("since"))
_LASTS = func.clock_timestamp() + bindparam("lasts", type_=Interval(native=True))
_FENCE = {
    "postgresql": _OWN.values(lease_until=_LASTS),
    "sqlite": _OWN.values(lease_until=bindparam("until", type_=UtcDateTime)),
}
_MOVE = (
    update(_JOURNAL.pbx.table)
    .where(_JOURNAL.pbx == bindparam("of"), _JOURNAL.journal == bindparam("named"))
    .values(position=bindparam("to"), replay_from=bindparam("replay"))
)


async def check_lease(session: AsyncSession, pbx: str, lease: Lease | None, heard: datetime | None) -> None:
    """Check and renew the lease, and lock the PBX: until this transaction ends nobody else applies facts of it or takes the lease.

    ``heard``: the time of the latest fact to apply. Without a lease it only locks. Raises LeaseLost.
    """
    params: dict[str, Any] = {"of": pbx, "heard": heard}
    if lease is not None:
        lasts, dialect = timedelta(seconds=lease.seconds), session.get_bind().dialect.name
        until = {"lasts": lasts} if dialect == "postgresql" else {"until": datetime.now(UTC) + lasts}
        fenced = params | until | {"owned_by": lease.owner, "since": lease.epoch}
        if not await execute(session, _FENCE[dialect], [fenced]):
            raise LeaseLost(f"another listener follows {pbx}")
    elif not await execute(session, _HOLD, [params]):
        await locked_status(session, pbx)
        await execute(session, _HOLD, [params])


async def move_cursor(session: AsyncSession, pbx: str, journal: str, cursor: JournalPosition) -> None:
    """Store how far a journal has been applied."""
    moved = {"of": pbx, "named": journal, "to": cursor.position, "replay": cursor.replay_from}
    if not await execute(session, _MOVE, [moved]):
        session.add(PbxJournal(pbx=pbx, journal=journal, position=cursor.position, replay_from=cursor.replay_from))


async def open_journal(
    session: AsyncSession, pbx: str, journal: str, owner: str, *, is_new: bool, former: str = ""
) -> tuple[str, JournalPosition]:
    """The name under which this process writes its journal from now on, and how far it has been applied.

    The name changes if another process uses it: then this folder is a copy and continues from the same position. ``former``: who
    wrote this very folder before and is dead, though the database may have heard of them a moment ago.
    ``is_new``: the journal is empty, so it does not continue a journal from the time before journals had names.
    """
    await lock(session, f"pbx:{pbx}")
    now = await database_now(session)
    row = await session.get(PbxJournal, (pbx, journal))
    if (
        row is not None
        and row.owner not in {"", owner, former}
        and row.seen_at is not None
        and now - row.seen_at < ALIVE
    ):
        row = _continued(pbx, uuid4().hex, row)
    elif row is None:
        unnamed = None if is_new else await session.get(PbxJournal, (pbx, ""))
        row = _continued(pbx, journal, unnamed)
    row.owner, row.host, row.seen_at, row.is_hearing = owner, cut(socket.gethostname(), PbxJournal.host), now, False
    session.add(row)
    for old in (await session.exec(select(PbxJournal).where(PbxJournal.pbx == pbx))).all():
        if old.seen_at is not None and now - old.seen_at > KEPT:
            await session.delete(old)
    return row.journal, JournalPosition(row.position, row.replay_from)


def _continued(pbx: str, journal: str, before: PbxJournal | None) -> PbxJournal:
    position, replay_from = (before.position, before.replay_from) if before is not None else (0, 0)
    return PbxJournal(pbx=pbx, journal=journal, position=position, replay_from=replay_from)


async def hold_lease(
    session: AsyncSession,
    pbx: str,
    journal: str,
    owner: str,
    seconds: float,
    *,
    is_hearing: bool,
    has_waited: bool = True,
    answered_for: timedelta = timedelta(0),
) -> Lease | None:
    """Get or keep the lease for ``seconds``; None while another listener has it.

    A listener that does not hear the PBX leaves the lease to one that does. A lease may have lapsed because the database was
    away: then a listener that has just started waits (until ``has_waited``) for one that was alive then and may know more.
    It does not wait for the former leader if it has been answered all the time since that lease was in force (``answered_for``:
    for how long; 0 if it does not follow the PBX): then the database was not away. While another listener's transaction has
    the row locked, that listener is alive.
    """
    status = await _free_status(session, pbx, owner)
    now = await database_now(session)
    asked_before = await _say_alive(session, pbx, journal, owner, now, is_hearing=is_hearing)
    if status is None:
        return None
    holds = status.lease_owner == owner
    ours = {"", owner}
    if asked_before is not None and now - asked_before < PROMPT and _lapsed_within(status, now, answered_for):
        ours.add(status.lease_owner)  # nobody waits for who is gone
    if not is_hearing and await _another_hears(session, pbx, ours, now):
        if holds:
            status.lease_owner, status.lease_until = "", None
        return None
    if not holds:
        if status.lease_owner and status.lease_until is not None:
            if status.lease_until > now:
                return None
            if not (is_hearing or has_waited) and await _another_was_alive(session, pbx, ours, status.lease_until):
                return None
        status.lease_owner, status.lease_epoch = owner, status.lease_epoch + 1
    status.lease_until = now + timedelta(seconds=seconds)
    return Lease(owner, status.lease_epoch, seconds)


async def lease_left(session: AsyncSession, pbx: str) -> float:
    """Seconds until the lease lapses if nobody renews it; 0 or less when it has lapsed or nobody has it."""
    until = (await session.exec(select(PbxStatus.lease_until).where(PbxStatus.pbx == pbx))).one_or_none()
    return (until - await database_now(session)).total_seconds() if until is not None else 0.0


async def release_lease(session: AsyncSession, pbx: str, owner: str) -> None:
    """Release the lease so that a standby can take over at once, and give up this process's journals."""
    status = await locked_status(session, pbx)
    if status.lease_owner == owner:
        status.lease_owner, status.lease_until = "", None
    mine = select(PbxJournal).where(PbxJournal.pbx == pbx, PbxJournal.owner == owner)
    for row in (await session.exec(mine)).all():
        row.owner, row.is_hearing = "", False


async def _free_status(session: AsyncSession, pbx: str, owner: str) -> PbxStatus | None:
    """The status row, locked; None while another listener has the lease and a transaction has locked the row."""
    free = select(PbxStatus).where(PbxStatus.pbx == pbx).with_for_update(skip_locked=True)
    status = (await session.exec(free)).one_or_none()
    if status is not None:
        return status
    leads = (await session.exec(select(PbxStatus.lease_owner).where(PbxStatus.pbx == pbx))).one_or_none()
    return await locked_status(session, pbx) if leads in {None, "", owner} else None


async def locked_status(session: AsyncSession, pbx: str) -> PbxStatus:
    """The status row of a PBX, locked until this transaction ends; created if missing."""
    found = await session.exec(select(PbxStatus).where(PbxStatus.pbx == pbx).with_for_update())
    status = found.one_or_none()
    if status is None:
        await lock(session, f"pbx:{pbx}")
        status = await session.get(PbxStatus, pbx)
    if status is None:
        status = PbxStatus(pbx=pbx)
        session.add(status)
        await session.flush()
    return status


async def _say_alive(
    session: AsyncSession, pbx: str, journal: str, owner: str, now: datetime, *, is_hearing: bool
) -> datetime | None:
    """Write a sign of life; returns the time of the one before, None if this process has given none."""
    row = await session.get(PbxJournal, (pbx, journal))
    if row is None:
        row = PbxJournal(pbx=pbx, journal=journal, host=cut(socket.gethostname(), PbxJournal.host))
        session.add(row)
    before = row.seen_at if row.owner == owner else None
    row.owner, row.seen_at, row.is_hearing = owner, now, is_hearing
    return before


def _lapsed_within(status: PbxStatus, now: datetime, answered_for: timedelta) -> bool:
    """Whether the lease of the former leader was in force when the database began to answer us, and is no longer."""
    return status.lease_until is not None and now - answered_for < status.lease_until <= now


async def _another_hears(session: AsyncSession, pbx: str, but: Collection[str], now: datetime) -> bool:
    fresh = now - timedelta(seconds=2)
    return any(row.is_hearing for row in await _others_seen(session, pbx, but, fresh))


async def _another_was_alive(session: AsyncSession, pbx: str, but: Collection[str], lapsed_at: datetime) -> bool:
    return bool(await _others_seen(session, pbx, but, lapsed_at - ALIVE))


async def _others_seen(session: AsyncSession, pbx: str, but: Collection[str], since: datetime) -> list[PbxJournal]:
    others = select(PbxJournal).where(PbxJournal.pbx == pbx, col(PbxJournal.owner).not_in(but))
    return [row for row in (await session.exec(others)).all() if row.seen_at is not None and row.seen_at > since]
