"""How many rules would hear a change of many deals: whoever makes one is asked whether they shall.

``tests/unit/test_mass_changes.py`` finds in the code what changes many deals at once, so that none is forgotten here.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.queries import ActiveRule, load_active
from pbxcrm.automation.rules import Hearing
from pbxcrm.deals.bulk_jobs import Act
from pbxcrm.deals.models import Pipeline, Stage

#: What an act on many deals is to rules: the act of the audit record, and its data as far as rules of any deal ask it. A task is nothing to them.
HEARD: Mapping[Act, tuple[str, Mapping[str, Any]] | None] = {
    Act.MOVE: ("deal.moved", {}),
    Act.LOSE: ("deal.moved", {}),
    Act.ASSIGN: ("deal.assigned", {}),
    Act.DISTRIBUTE: ("deal.assigned", {}),
    Act.TAG: ("deal.tagged", {}),
    Act.TASK: None,
}


_MORE_THAN_ANY = str(10**18)  # an amount that reaches whatever a rule waits for


async def rules_listening(session: AsyncSession, now: datetime) -> dict[Act, int]:
    """For each act how many rules that are on or watch listen to it on some deal; those of a stage count, too, whichever is chosen."""
    rules = await load_active(session)
    return {
        act: sum(_listens(each, said[0], said[1], now) for each in rules.by_act.get(said[0], ())) if said else 0
        for act, said in HEARD.items()
    }


async def rules_hearing_moves(session: AsyncSession, left: Stage, stages: Iterable[Stage], now: datetime) -> int:
    """How many rules would hear that the deals of ``left`` move to another of its pipeline's ``stages``, whichever is chosen."""
    moves = [{"from_stage": left.id, "to_stage": each.id} for each in stages if each.id != left.id]
    return await _hearing(session, [Hearing("deal.moved", now, move) for move in moves], left.pipeline_id)


async def rules_hearing_gifts(session: AsyncSession, now: datetime) -> int:
    """How many rules would hear that deals get another responsible person."""
    return await _hearing(session, [Hearing("deal.assigned", now, {})])


async def rules_hearing_amounts(session: AsyncSession, pipeline: Pipeline, now: datetime) -> int:
    """How many rules would hear that amounts of deals of the pipeline become the sums of their lines; 0 where they are so already."""
    if pipeline.amount_by_lines:
        return 0
    change = {"changed": {"amount": {"before": "0", "after": _MORE_THAN_ANY}}}
    return await _hearing(session, [Hearing("deal.edited", now, change)], pipeline.id)


async def _hearing(session: AsyncSession, hearings: Iterable[Hearing], pipeline_id: int | None = None) -> int:
    asked = list(hearings)
    return sum(
        (pipeline_id is None or each.rule.when.get("pipeline_id") in {None, pipeline_id})
        and any(each.hears(hearing) for hearing in asked)
        for each in (await load_active(session)).by_id.values()
    )


def _listens(ready: ActiveRule, act: str, data: Mapping[str, Any], now: datetime) -> bool:
    if act == "deal.moved":  # where to is not known yet
        return ready.rule.paused_until is None or now >= ready.rule.paused_until
    return ready.hears(Hearing(act, now, data))
