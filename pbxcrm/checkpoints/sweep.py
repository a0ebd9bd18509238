"""The sweep: claims due lamps in batches and lights them. Several workers may run it; each lamp lights exactly once.

A batch is one transaction. If it fails, each of its lamps is retried in its own savepoint. A lamp that fails alone is parked: it is
shown to the administrator and does not block the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from traceback import format_tb

import structlog
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from pbxcrm.calendars.stand_ins import follow_stand_ins_now
from pbxcrm.checkpoints.absence_actions import settle_absences_now
from pbxcrm.checkpoints.context import EngineContext, load_engine
from pbxcrm.checkpoints.lighting import say_lamp_changed
from pbxcrm.checkpoints.models import STOPPED, EngineBeat, Lamp, LampState, Subject
from pbxcrm.shared.db import Database
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.savepoints import savepoint

log = structlog.get_logger()

BATCH = 200
SIDE_BY_SIDE = 2  # batches at once on PostgreSQL: while it writes one, this process computes the other
MOST_BATCHES = 25  # in one sweep, so that other work gets its turn
CANARY = "canary"
BEAT_SECONDS = 15

Lighter = Callable[[AsyncSession, EngineContext, Sequence[Lamp], datetime], Awaitable[int]]
_lighters: dict[str, Lighter] = {}


def register_lighter(subject: Subject, lighter: Lighter) -> None:
    """Register the function that lights due lamps of this kind of subject and returns how many lit."""
    _lighters[subject.value] = lighter


async def sweep_lamps(db: Database, now: datetime) -> int:
    """Light the lamps due at ``now``; each minute, ask others for those who are away. Returns how many lit."""
    lit = batches = 0
    is_new_minute = await beat(db, now)
    if is_new_minute:
        await _follow_absences(
            db, now, follow_stand_ins_now
        )  # first: who is asked sees it, and nobody else hears of it
    while batches < MOST_BATCHES and await _anything_due(db, now):
        count = 1 if db.is_sqlite else SIDE_BY_SIDE
        ended = await asyncio.gather(*(_batch(db, now) for _ in range(count)), return_exceptions=True)
        done = [each for each in ended if not isinstance(each, BaseException)]
        for failed in (each for each in ended if isinstance(each, BaseException)):
            raise failed
        lit += sum(lit_then for _claimed, lit_then in done)
        batches += count
        if min(claimed for claimed, _lit in done) < BATCH:
            break
    if is_new_minute:
        await _follow_absences(db, now, settle_absences_now)
    return lit


async def _follow_absences(
    db: Database, now: datetime, follow: Callable[[Database, datetime], Awaitable[object]]
) -> None:
    """Let those see it who stand in, and ask those who are there. What is broken here stops no lamp."""
    try:
        await follow(db, now)
    except (SQLAlchemyError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 (as for a lamp alone: whatever is wrong with it)
        log.warning(
            "absences.failed",
            why=f"{type(error).__name__}: {error}",
            where="".join(format_tb(error.__traceback__)[-2:]),
        )


async def beat(db: Database, now: datetime) -> bool:
    """Store four times a minute that the engine is alive; at once after a worker was stopped. Returns whether a minute has begun since."""
    async with db.read() as session:
        beats = {each.name: each.beat_at for each in (await session.exec(select(EngineBeat))).all()}
    last = beats.get(CANARY)
    if STOPPED not in beats and last is not None and 0 <= (now - last).total_seconds() < BEAT_SECONDS:
        return False
    async with db.write() as session:
        await session.merge(EngineBeat(name=CANARY, beat_at=now))
        if STOPPED in beats:
            await session.exec(delete(EngineBeat).where(col(EngineBeat.name) == STOPPED))
    return last is None or last.replace(second=0, microsecond=0) != now.replace(second=0, microsecond=0)


async def say_stopped(db: Database, now: datetime) -> None:
    """Store that a worker stops: unless another one sweeps, no lamp lights from now on."""
    async with db.write() as session:
        await session.merge(EngineBeat(name=STOPPED, beat_at=now))


async def _anything_due(db: Database, now: datetime) -> bool:
    # Read first: on SQLite a write transaction each second would block the listener.
    async with db.read() as session:
        return (await session.exec(_due(now).with_only_columns(col(Lamp.id)).limit(1))).first() is not None  # type: ignore[call-overload]


async def _batch(db: Database, now: datetime) -> tuple[int, int]:
    """Claim and light one batch. Returns how many were claimed and how many lit."""
    async with db.write() as session:
        rows = await session.exec(_due(now).limit(BATCH).with_for_update(skip_locked=True, key_share=True))
        claimed = list(rows.all())
        if not claimed:
            return 0, 0
        context = await load_engine(session)
        ids = [lamp.id for lamp in claimed]  # read now, because a rollback expires the rows
        try:
            async with savepoint(session):
                return len(claimed), await _light(session, context, claimed, now)
        except Exception as error:
            if isinstance(error, SQLAlchemyError) and getattr(error, "connection_invalidated", False):
                raise
            log.warning("lamps.batch_failed", lamps=len(claimed), why=str(error))
        lit = 0
        for lamp_id in ids:
            lit += await _alone(session, context, lamp_id, now)
        return len(ids), lit


async def _alone(session: AsyncSession, context: EngineContext, lamp_id: int | None, now: datetime) -> int:
    try:
        async with savepoint(session):
            lamp = await session.get(Lamp, lamp_id, populate_existing=True)
            return await _light(session, context, [lamp], now) if lamp is not None else 0
    except Exception as error:
        if isinstance(error, SQLAlchemyError) and getattr(error, "connection_invalidated", False):
            raise
        why = f"{type(error).__name__}: {error}"
        # No traceback with all locals: a broken calendar parks thousands, one after the other.
        log.warning("lamp.parked", lamp=lamp_id, why=why, where="".join(format_tb(error.__traceback__)[-2:]))
        lamp = await session.get(Lamp, lamp_id, populate_existing=True)
        if lamp is not None:
            lamp.parked_at, lamp.error = now, cut(why, Lamp.error)
            await session.flush()
            say_lamp_changed(session, lamp, now, context.people)
        return 0


async def _light(session: AsyncSession, context: EngineContext, claimed: list[Lamp], now: datetime) -> int:
    lit = 0
    for subject, lighter in _lighters.items():
        theirs = [lamp for lamp in claimed if lamp.subject == subject]
        if theirs:
            lit += await lighter(session, context, theirs, now)
    return lit


def _due(now: datetime) -> SelectOfScalar[Lamp]:
    return (
        select(Lamp)
        .where(
            Lamp.state == LampState.ARMED.value,
            col(Lamp.parked_at).is_(None),
            Lamp.due_at <= now,
            col(Lamp.subject).in_(list(_lighters)),
        )
        .order_by(col(Lamp.due_at), col(Lamp.id))
    )
