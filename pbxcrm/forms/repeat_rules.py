"""Which step of a client's repeat sale failed last: pure, from the client's deals and tasks.

A client who has bought is to be asked again by us: a won deal goes on in the next pipeline (``Pipeline.next_pipeline_id``), with tasks.
When such a client sends a form, a step of this chain has failed, and the seller and their manager want to know which.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from pbxcrm.deals.models import Deal, StageKind
from pbxcrm.people.directory import Directory
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.models import Task


@dataclass(frozen=True, slots=True)
class ClientDeal:
    """A deal of the client. ``kind`` and ``stage``: of where it stands; ``left``: the stage from which it was lost."""

    deal: Deal
    kind: str
    stage: str
    left: str = ""


def has_bought(deals: Collection[ClientDeal]) -> bool:
    """Whether the client is one who had bought before."""
    return any(each.kind == StageKind.WON for each in deals)


def last_failed_step(
    deals: Collection[ClientDeal], tasks: Collection[Task], people: Directory, now: datetime
) -> Reason | None:
    """The step that failed last, as a reason; None for a client who has not bought. ``tasks``: the open ones of these deals."""
    won = [each for each in deals if each.kind == StageKind.WON and each.deal.closed_at is not None]
    if not won:
        return None
    first = min(each.deal.closed_at or now for each in won)
    followed = {each.deal.follows_id for each in deals}
    chain = [
        each
        for each in deals
        if each.kind != StageKind.WON and (each.deal.follows_id is not None or each.deal.created_at >= first)
    ]
    planned = {task.deal_id for task in tasks}
    steps: list[tuple[datetime, Reason]] = []
    for each in chain:
        deal = each.deal
        if each.kind == StageKind.LOST:
            facts = {"title": deal.title, "stage": each.left or each.stage, "why": deal.lost_reason or "—"}
            steps.append((deal.closed_at or deal.stage_since, reason("repeat.lost", **facts)))
        elif deal.id not in planned:
            why = reason("repeat.unplanned", title=deal.title, stage=each.stage)
            steps.append((deal.stage_since, why))
    titles = {each.deal.id: each.deal.title for each in chain}
    for task in tasks:
        if task.due_at <= now and task.deal_id in titles:
            who = people.name(task.assignee_id) or "—"
            why = reason("repeat.overdue", title=titles[task.deal_id], task=task.title, who=who)
            steps.append((task.due_at, why))
    for each in won:
        later = any(other.deal.created_at > (each.deal.closed_at or now) for other in deals)
        if each.deal.id not in followed and not later:
            steps.append((each.deal.closed_at or now, reason("repeat.not_begun", title=each.deal.title)))
    if steps:
        return max(steps, key=lambda step: step[0])[1]
    last = max(chain, key=lambda each: each.deal.created_at, default=None)
    return reason("repeat.none", title=last.deal.title, stage=last.stage) if last is not None else None
