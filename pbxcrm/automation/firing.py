"""One rule hears one event: its conditions, its guards, its steps. The caller has locked the subject and commits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.batch import EventBatch, NewRun, Run
from pbxcrm.automation.explanations import ConditionAnswer, Names, answer_in_words
from pbxcrm.automation.facts import RuleFacts, load_facts
from pbxcrm.automation.models import AutomationRule, RuleRun, RunStatus
from pbxcrm.automation.order_queries import order_of
from pbxcrm.automation.queries import ActiveRule
from pbxcrm.automation.steps.step import Around
from pbxcrm.automation.triggers import MeantDeal, TriggerTest, failed_in_a_row
from pbxcrm.calls.models import Call
from pbxcrm.deals.models import Deal, StageMove
from pbxcrm.fields.conditions import holds
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.shared.errors import PbxcrmError
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_create_task
from pbxcrm.tasks.models import TaskKind


@dataclass(slots=True)
class Firing:
    """What a rule works with: the event, its subject (locked), and what stands around them."""

    batch: EventBatch
    event_id: int
    act: str
    data: dict[str, Any]
    by_id: int | None
    subject: str
    deal_id: int | None
    contact_id: int | None
    root_id: int
    chain: Sequence[Sequence[Any]]
    _first_stage: int | None = None
    _failed_calls: int | None = None

    @property
    def session(self) -> AsyncSession:
        """The session of the batch."""
        return self.batch.session

    @property
    def around(self) -> Around:
        """What the batch has read once."""
        return self.batch.around

    @property
    def now(self) -> datetime:
        """When the batch is handled."""
        return self.batch.now

    @property
    def waiting(self) -> list[RuleRun]:
        """The runs that wait on this subject."""
        return [run for run in self.batch.waiting if run.subject == self.subject and run.status == RunStatus.WAITING]

    async def deal(self) -> Deal | None:
        """The deal as it is now; None for a client, and if it was merged or is gone."""
        found = await self.session.get(Deal, self.deal_id) if self.deal_id is not None else None
        return found if found is not None and found.merged_into_id is None else None

    async def facts(self, ready: ActiveRule | None = None) -> RuleFacts:
        """What conditions are asked of, now. ``ready``: a rule as it was, which may ask what no active rule asks."""
        asked = self.batch.rules.asked if ready is None else self.batch.rules.asked | ready.asks
        known = self.batch.facts.get(self.subject) if asked == self.batch.rules.asked else None
        if known is None:
            known = await load_facts(self.session, await self.deal(), self.contact_id, asked)
            self.batch.facts[self.subject] = known
        return replace(known, act=self.act, data=self.data).at(self.now, self.around.calendars)

    def changed(self, names: frozenset[str] | None) -> None:
        """A step changes what the terms with these names ask, or (None) anything: facts are read again if a rule asks one of them."""
        if names is None or not names.isdisjoint(self.batch.rules.asked):
            self.batch.facts.pop(self.subject, None)

    @property
    def clock(self) -> AskedAt:
        """Days begin in the time zone of the office."""
        return AskedAt(self.now, self.around.calendars.default.timezone)

    @property
    def names(self) -> Names:
        """For conditions in words."""
        return Names(self.around.people, self.around.funnel, self.around.fields, self.around.lines)

    async def means(self, ready: ActiveRule, deal: Deal | None) -> bool:
        """Whether the rule means this deal."""
        asked = MeantDeal(deal.pipeline_id, deal.stage_id, deal.amount) if deal is not None else MeantDeal()
        if ready.trigger.asks is TriggerTest.FIRST_STAGE and self.act == "deal.created":
            asked = replace(asked, first_stage_id=await self._began_in())
        elif ready.trigger.asks is TriggerTest.FAILED_CALLS:
            asked = replace(asked, failed_calls=await self._failed_in_a_row())
        elif ready.trigger.asks is TriggerTest.ORDERS and deal is not None:
            asked = replace(asked, order=await order_of(self.session, deal))
        return ready.means(self.act, asked)

    async def _began_in(self) -> int | None:
        if self._first_stage is None:
            moves = select(StageMove.to_stage_id).where(StageMove.deal_id == self.deal_id)
            self._first_stage = (await self.session.exec(moves.order_by(col(StageMove.id)).limit(1))).first()
        return self._first_stage

    async def _failed_in_a_row(self) -> int:
        if self._failed_calls is None:
            known = (
                Call.deal_id == self.deal_id,
                col(Call.id) <= self.data["call_id"],
                col(Call.merged_into_id).is_(None),
            )
            query = select(Call.direction, Call.outcome).where(*known).order_by(col(Call.id).desc()).limit(100)
            self._failed_calls = 0
            for direction, outcome in reversed((await self.session.exec(query)).all()):
                self._failed_calls = failed_in_a_row(self._failed_calls, direction, outcome)
        return self._failed_calls

    def row(self, rule: AutomationRule) -> dict[str, Any]:
        """The columns of a firing of this rule that has done nothing yet."""
        return {
            "rule_id": rule.id or 0,
            "rule_version": rule.version,
            "event_id": self.event_id,
            "act": self.act,
            "event": self.data,
            "by_id": self.by_id,
            "subject": self.subject,
            "deal_id": self.deal_id,
            "contact_id": self.contact_id,
            "root_id": self.root_id,
            "chain": [list(link) for link in self.chain],
            "status": RunStatus.WAITING.value,
            "reason": {},
            "seen": [],
            "position": 0,
            "at": self.now,
            "due_at": None,
            "tries": 0,
            "ended_at": None,
            "undone_at": None,
            "undone_by_id": None,
            "version": 1,
        }


@dataclass(slots=True)
class RunInHand:
    """A firing in hand: its row, new or read, and the steps that it takes now."""

    row: Run
    steps: list[dict[str, Any]]  # columns


def skip(firing: Firing, rule: AutomationRule, why: Reason, seen: Sequence[dict[str, Any]] = ()) -> None:
    """The rule heard the event and did nothing. ``seen``: what it saw, as it is stored."""
    ended = {"status": RunStatus.SKIPPED.value, "reason": why.stored(), "ended_at": firing.now}
    firing.batch.skip(firing.row(rule) | ended | {"seen": seen})


def begin(firing: Firing, rule: AutomationRule, seen: Sequence[dict[str, Any]] = ()) -> RunInHand:
    """A new run, which is written with the others of the batch. ``seen`` as for ``skip``."""
    row = NewRun(**firing.row(rule) | {"seen": seen})
    run = RunInHand(row, steps=[])
    firing.batch.keep(row, run.steps)
    return run


def ask(firing: Firing, ready: ActiveRule, facts: RuleFacts) -> ConditionAnswer:
    """Whether the condition of a rule holds, with its comparisons in words."""
    assert ready.condition is not None
    return answer_in_words(ready.condition, facts, firing.clock, firing.names, ready.said)


async def goals_reached(firing: Firing, ready: ActiveRule, facts: RuleFacts) -> None:
    """End the runs of this rule that wait on the subject, if its goal is reached."""
    if ready.goal is None or not holds(ready.goal, facts, firing.clock):
        return
    for run in firing.waiting:
        if run.rule_id == ready.rule.id:
            end(firing, run, RunStatus.DONE, reason("automation.goal"))


async def give_up(firing: Firing, rule: AutomationRule, error: str) -> None:
    """The event could not be handled at all: its run has failed, and the owner is told."""
    await fail(firing, rule, begin(firing, rule).row, error)


async def fail(firing: Firing, rule: AutomationRule, run: Run, error: str | PbxcrmError) -> None:
    """The run has failed for good, and the owner of the rule is told."""
    why = reason("automation.refused", why=error)
    await tell_owner(firing, rule, await firing.deal(), why)
    end(firing, run, RunStatus.FAILED, why)


def end(firing: Firing, run: Run, status: RunStatus, why: Reason) -> None:
    """The run has ended. The next one that waits for it begins."""
    was_waiting = run.status == RunStatus.WAITING
    run.status, run.reason, run.ended_at, run.due_at = status.value, why.stored(), firing.now, None
    if isinstance(run, NewRun):
        return
    run.version += 1
    firing.session.add(run)
    if was_waiting:
        queued = next((each for each in firing.waiting if each.rule_id == run.rule_id and each.due_at is None), None)
        if queued is not None:
            queued.due_at = firing.now


async def tell_owner(firing: Firing, rule: AutomationRule, deal: Deal | None, why: Reason) -> None:
    """A task for the rule's owner, about the deal or the client."""
    await task_for_owner(firing.session, firing.around, rule, deal, firing.contact_id, why, firing.now)


async def task_for_owner(
    session: AsyncSession,
    around: Around,
    rule: AutomationRule,
    deal: Deal | None,
    contact_id: int | None,
    why: Reason,
    now: datetime,
) -> None:
    """A task for the rule's owner, at most one open per rule. ``deal`` and ``contact_id``: what it is about, if anything."""
    owner = around.people.active(rule.owner_id) or around.people.manager_of(None)
    owner_id = owner.id if owner is not None else None
    is_about = deal is not None or contact_id is not None
    failed = reason("automation.failed_why", why, title=deal.title if deal is not None else "—")
    new = TaskDraft(
        kind=TaskKind.TODO,
        title=reason("task.automation", rule=rule.name),
        why=failed if is_about else why,
        due_at=around.calendars.of_user(owner_id).add_minutes(now, 0),
        assignee_id=owner_id,
        deal_id=deal.id if deal is not None else None,
        contact_id=deal.contact_id if deal is not None else contact_id,
        about=f"automation:{rule.id}",
    )
    await do_create_task(session, new, now, around.people)
