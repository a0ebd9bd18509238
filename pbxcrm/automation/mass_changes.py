"""How many rules would hear a change of many deals: whoever makes one is asked whether they shall."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.queries import ActiveRule, load_active
from pbxcrm.automation.rules import Hearing
from pbxcrm.deals.bulk_jobs import Act

#: What an act on many deals is to rules: the act of the audit record, and its data as far as rules of any deal ask it. A task is nothing to them.
_HEARD: Mapping[Act, tuple[str, Mapping[str, Any]] | None] = {
    Act.MOVE: ("deal.moved", {}),
    Act.LOSE: ("deal.moved", {}),
    Act.ASSIGN: ("deal.assigned", {}),
    Act.DISTRIBUTE: ("deal.assigned", {}),
    Act.TAG: ("deal.tagged", {}),
    Act.TASK: None,
}


async def rules_listening(session: AsyncSession, now: datetime) -> dict[Act, int]:
    """For each act how many rules that are on or watch listen to it on some deal; those of a stage count, too, whichever is chosen."""
    rules = await load_active(session)
    return {
        act: sum(_listens(each, said[0], said[1], now) for each in rules.by_act.get(said[0], ())) if said else 0
        for act, said in _HEARD.items()
    }


def _listens(ready: ActiveRule, act: str, data: Mapping[str, Any], now: datetime) -> bool:
    if act == "deal.moved":  # where to is not known yet
        return ready.rule.paused_until is None or now >= ready.rule.paused_until
    return ready.hears(Hearing(act, now, data))
