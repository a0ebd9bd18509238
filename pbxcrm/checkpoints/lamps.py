"""Changing the rows of lamps to what a clock says, for every kind of subject."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.context import EngineContext, Watched
from pbxcrm.checkpoints.lighting import LATE, DueLamp, LampEnding, LampSubject, light, put_out
from pbxcrm.checkpoints.models import Lamp, LampState, Subject
from pbxcrm.checkpoints.rules import Clock, NewLamp, settle
from pbxcrm.shared.core_sql import add_new

OPEN = (LampState.ARMED.value, LampState.BURNING.value)


async def hold_open(session: AsyncSession, *conditions: ColumnElement[bool] | bool) -> list[Lamp]:
    """The armed and burning lamps with these conditions, locked for this transaction and reloaded."""
    rows = await session.exec(
        select(Lamp)
        .where(*conditions, col(Lamp.state).in_(OPEN))
        .order_by(col(Lamp.id))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return list(rows.all())


@dataclass(frozen=True, slots=True)
class DueLampState:
    """What the current facts say about a due lamp. ``burning``: the burning lamps of the same subject and checkpoint."""

    watched: Watched
    clock: Clock | None
    subject: LampSubject
    burning: Sequence[Lamp] = ()


async def light_claimed(
    session: AsyncSession,
    context: EngineContext,
    claimed: Sequence[Lamp],
    standing_of: Callable[[Lamp], DueLampState | None],
    now: datetime,
) -> list[Lamp]:
    """Light those of ``claimed`` that are due by the current facts; move or delete the others. Returns those that lit.

    It changes no other lamps: another transaction may have locked one of the same subject and wait for the claimed ones.
    """
    due: list[tuple[DueLamp, DueLampState]] = []
    new: list[dict[str, Any]] = []
    for lamp in claimed:
        standing = standing_of(lamp)
        if standing is None:
            await delete_armed(session, [lamp])
            continue
        changes = settle(standing.clock, [*standing.burning, lamp])
        if lamp in changes.forget:
            await delete_armed(session, [lamp])
            if changes.arm is not None:
                new.append(_row_of(standing, changes.arm))
            continue
        for _, wanted in changes.move:
            move_to(lamp, wanted)
        if lamp.due_at <= now:
            last = max(standing.burning, key=lambda one: one.step, default=None)
            was_late = any(one.lit_at is not None and one.lit_at - one.due_at > LATE for one in standing.burning)
            of_before = last.task_id if last else None
            due.append((DueLamp(lamp, standing.watched, standing.subject, of_before, was_late), standing))
    await light(session, context, [each for each, _ in due], now)
    for each, standing in due:  # arm the next step
        following = settle(standing.clock, [*standing.burning, each.lamp]).arm
        if following is not None:
            new.append(_row_of(standing, following))
    await session.flush()
    await add_new(session, Lamp, new)
    return [each.lamp for each, _ in due]


def _row_of(standing: DueLampState, wanted: NewLamp) -> dict[str, Any]:
    subject = standing.subject
    return armed_row(
        standing.watched.id,
        wanted,
        subject.kind,
        deal_id=subject.deal_id,
        callback_id=subject.id if subject.kind is Subject.CALLBACK else None,
        stage_id=subject.stage_id,
        owner_id=subject.owner_id,
    )


async def carry_out(
    session: AsyncSession,
    context: EngineContext,
    clock: Clock | None,
    lamps: Sequence[Lamp],
    outcome: LampEnding,
    now: datetime,
    *,
    checkpoint_id: int | None,
    subject: Subject,
    deal_id: int | None,
    owner_id: int | None,
    callback_id: int | None = None,
    stage_id: int | None = None,
    begin_at: datetime | None = None,
) -> list[dict[str, Any]]:
    """Change ``lamps`` (all open ones of one subject and checkpoint, locked) to what the clock says. ``outcome``: why burning ones of
    an earlier entry go out. ``begin_at``: clocks that would be late only now begin then. Returns the rows of lamps to arm, so that the
    caller can insert those of many subjects at once.
    """
    changes = settle(clock, lamps, begin_at)
    if changes.forget:
        await delete_armed(session, changes.forget)
    for lamp, wanted in changes.move:
        move_to(lamp, wanted)
        lamp.version += 1
    for lamp in lamps:
        if lamp in changes.forget:
            continue
        if lamp.state == LampState.ARMED and lamp.owner_id != owner_id:
            lamp.owner_id = owner_id
        if lamp.deal_id != deal_id:
            lamp.deal_id = deal_id
        if lamp.parked_at is not None:
            lamp.parked_at, lamp.error = None, ""
    if changes.put_out:
        await put_out(session, context, changes.put_out, outcome, now)
    if checkpoint_id is None or changes.arm is None:
        return []
    row = armed_row(
        checkpoint_id,
        changes.arm,
        subject,
        deal_id=deal_id,
        callback_id=callback_id,
        stage_id=stage_id,
        owner_id=owner_id,
    )
    return [row]


def move_to(lamp: Lamp, wanted: NewLamp) -> None:
    """Move an armed lamp to another due time."""
    lamp.entered_at, lamp.minutes, lamp.due_at = wanted.since, round(wanted.minutes), wanted.due_at
    lamp.begins_at = wanted.begins_at
    lamp.parked_at, lamp.error = None, ""


async def delete_armed(session: AsyncSession, lamps: Sequence[Lamp]) -> None:
    """Delete armed lamps that no longer apply."""
    ids = [lamp.id for lamp in lamps]
    for lamp in lamps:
        session.expunge(lamp)
    await session.exec(delete(Lamp).where(col(Lamp.id).in_(ids)).execution_options(synchronize_session=False))


def armed_row(
    checkpoint_id: int,
    wanted: NewLamp,
    subject: Subject,
    *,
    deal_id: int | None,
    owner_id: int | None,
    callback_id: int | None = None,
    stage_id: int | None = None,
) -> dict[str, Any]:
    """The row of a new armed lamp for an insert through Core, including the defaults of the model."""
    return {
        "checkpoint_id": checkpoint_id,
        "step": wanted.step,
        "subject": subject.value,
        "deal_id": deal_id,
        "callback_id": callback_id,
        "stage_id": stage_id,
        "entry": wanted.entry,
        "owner_id": owner_id,
        "addressee_id": None,
        "state": LampState.ARMED.value,
        "entered_at": wanted.since,
        "minutes": round(wanted.minutes),
        "due_at": wanted.due_at,
        "begins_at": wanted.begins_at,
        "out_reason": {},
        "reason": {},
        "is_escalation": False,
        "worked": [],
        "decision": "",
        "note": "",
        "error": "",
        "version": 1,
    }
