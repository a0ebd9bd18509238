"""Compares the lamps of the product with those of the reference."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import col, select

from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.tasks.models import Task, TaskStatus
from tests.week.simulation import Simulation
from tests.week.world import (
    minute_of,
)


@dataclass(slots=True)
class Played:
    """What the product and the reference say, and how much happened."""

    found: Counter[tuple[object, ...]]
    wanted: Counter[tuple[object, ...]]
    done: Counter[str]
    digests: int  # tasks that hold several late lamps
    unasked: list[str]  # what is wrong with the tasks of burning lamps

    @property
    def differences(self) -> list[str]:
        lost, extra = self.wanted - self.found, self.found - self.wanted
        said = [f"reference only: {each}" for each in lost] + [f"product only: {each}" for each in extra]
        return sorted(said, key=lambda each: each.split(": ", 1)[1]) + self.unasked


_WHY = {
    "lamp.out_closed": "closed",
    "lamp.out_moved": "moved",
    "lamp.out_stage_removed": "moved",
    "lamp.out_off": "off",
    "lamp.out_talked": "talked",
    "lamp.out_planned": "planned",
    "lamp.out_filled": "filled",
    "lamp.out_accepted": "accepted",
    "lamp.out_given": "given",
    "lamp.out_reassigned_deal": "given",
}


async def compare(play: Simulation) -> Played:
    async with play.database.read() as session:
        lamps = (await session.exec(select(Lamp).where(col(Lamp.lit_at).is_not(None)).order_by(col(Lamp.id)))).all()
        tasks = {task.id: task for task in (await session.exec(select(Task))).all()}
    by_stage = {rule.id for rule in play.office.rules.values() if rule.stage_id is not None}
    found: Counter[tuple[object, ...]] = Counter()
    for lamp in lamps:
        why = _WHY.get(lamp.out_reason.get("code", ""), "?") if lamp.out_at and lamp.checkpoint_id in by_stage else ""
        about = lamp.deal_id if lamp.subject == "deal" else lamp.callback_id
        found[
            lamp.subject, about, lamp.checkpoint_id, lamp.step, minute_of(lamp.lit_at), minute_of(lamp.out_at), lamp.owner_id,
            lamp.addressee_id, why,
        ] += 1  # fmt: skip
    wanted: Counter[tuple[object, ...]] = Counter()
    for each in play.office.lamps:
        why = each.why if each.out_at is not None and each.rule_id in by_stage else ""
        wanted[
            (*each.subject, each.rule_id, each.step, each.lit_at, each.out_at, each.owner_id, each.addressee_id, why)
        ] += 1
    shared = Counter(lamp.task_id for lamp in lamps)
    return Played(found, wanted, play.done, sum(count > 1 for count in shared.values()), _unasked(lamps, tasks))


def _unasked(lamps: Sequence[Lamp], tasks: dict[int | None, Task]) -> list[str]:
    """Every burning lamp has an open task with whom it asks, and no lamp that is out has one."""
    wrong = []
    burning = {lamp.task_id for lamp in lamps if lamp.state == LampState.BURNING}
    for lamp in lamps:
        task = tasks.get(lamp.task_id)
        is_open = task is not None and task.status == TaskStatus.OPEN
        own = task is not None and not task.about.startswith("lamps:")
        is_asked = task is not None and is_open and not (own and task.assignee_id != lamp.addressee_id)
        if lamp.state == LampState.BURNING and not is_asked:
            wrong.append(f"lamp {lamp.id} burns without a task of {lamp.addressee_id}")
        if lamp.state == LampState.OUT and is_open and lamp.task_id not in burning:
            wrong.append(f"lamp {lamp.id} is out and its task {lamp.task_id} is open")
    return wrong
