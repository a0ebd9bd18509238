"""Lamps whose ending was taken back: work that was cancelled, or a checkpoint that was switched off and on again.

The facts then say that the clock has run all the time. Each step lights once per clock, so the new lamp cannot be armed beside the old one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import record
from pbxcrm.checkpoints.asking_actions import ask_instead
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.lighting import relight, undo_state_before
from pbxcrm.checkpoints.models import Lamp, LampState, Subject
from pbxcrm.checkpoints.rules import clock_key, entry_of
from pbxcrm.shared.core_sql import add_new
from pbxcrm.shared.reasons import reason

#: Endings by a manager's decision. They stand, whatever the facts say.
_DECIDED = {"lamp.out_accepted", "lamp.out_given", "lamp.out_reassigned_deal"}
#: Endings by a change of what is watched. Nobody has reacted.
_BY_RULES = {
    "lamp.out_off",
    "lamp.out_removed",
    "lamp.out_no_norm",
    "lamp.out_rules",
    "lamp.out_stage_removed",
    "lamp.out_merged",
}


def was_decided(lamp: Lamp) -> bool:
    """Whether a manager's decision put out the lamp, so that it never burns again."""
    return bool(lamp.decision) or lamp.out_reason.get("code") in _DECIDED


def is_reaction(out_reason: Mapping[str, Any]) -> bool:
    """Whether a lamp with this reason for its end was put out by what somebody did with the deal, not by a change of
    the rules or of the stages, or by a merge.
    """
    return out_reason.get("code") not in _BY_RULES


async def arm_deals(
    session: AsyncSession, context: EngineContext, rows: Sequence[dict[str, Any]], now: datetime
) -> set[int]:
    """Insert armed lamps of deals. Where one has lit for the same clock and its end was taken back, it burns again if it is late now;
    else it stays as history and the new one is armed. Returns the deals with lamps that burn again: their next steps are not armed yet.
    """
    keys = ("checkpoint_id", "step", "entry")
    made = {tuple(row) for row in await add_new(session, Lamp, rows, *keys)}
    again = [row for row in rows if row["step"] == 0 and tuple(row[key] for key in keys) not in made]
    if not again:
        return set()
    found = await session.exec(
        select(Lamp)
        .where(
            Lamp.subject == Subject.DEAL.value,
            Lamp.state == LampState.OUT.value,
            col(Lamp.deal_id).in_([row["deal_id"] for row in again]),
            col(Lamp.checkpoint_id).in_([row["checkpoint_id"] for row in again]),
        )
        .order_by(col(Lamp.id))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    lit: dict[tuple[int, str], list[Lamp]] = {}
    for lamp in found.all():
        if not was_decided(lamp):
            lit.setdefault((lamp.checkpoint_id, entry_of(lamp)), []).append(lamp)
    burning: set[int] = set()
    renewed: list[dict[str, Any]] = []
    for row in again:
        lamps = lit.get((row["checkpoint_id"], row["entry"]), [])
        if not any(lamp.step == 0 for lamp in lamps):
            continue
        if row["due_at"] <= now:
            await _burn_again(session, context, lamps, now)
            burning.add(row["deal_id"])
        else:
            _leave_as_history(lamps)
            renewed.append(row)
    await session.flush()
    await add_new(session, Lamp, renewed)
    return burning


async def _burn_again(session: AsyncSession, context: EngineContext, lamps: Sequence[Lamp], now: datetime) -> None:
    """Light again what went out last, with its tasks. Whoever has left or is away meanwhile is not asked again."""
    watched = context.watching.by_id[lamps[0].checkpoint_id]
    why = reason("lamp.taken_back")
    for lamp in _last(lamp for lamp in lamps if lamp.step < len(watched.steps)):
        await relight(session, context, await undo_state_before(session, lamp), None, now, why)
        record(
            session, now, "deal.lamp_lit", "deal", lamp.deal_id, actor=None, reason=why, lamp=lamp.id, step=lamp.step
        )
        asked = lamp.addressee_id
        if asked is None or context.people.active(asked) is None or context.calendars.acting(asked, now) != asked:
            await ask_instead(session, context, [lamp], now)


def _last(lamps: Iterable[Lamp]) -> list[Lamp]:
    known = list(lamps)
    last = max(lamp.out_at for lamp in known if lamp.out_at is not None)
    return [lamp for lamp in known if lamp.out_at == last]


def _leave_as_history(lamps: Sequence[Lamp]) -> None:
    """Give the clock of these lamps a name of its own."""
    for lamp in lamps:
        key = clock_key(lamp.entry)
        lamp.entry = f"{key}~{lamps[0].id}{lamp.entry.removeprefix(key)}"
