"""One rule hears one event: its guards, its conditions, its steps. The caller has locked the subject and commits.

Steps change only our own database, in the transaction that writes their rows: they are taken exactly once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from traceback import format_tb
from typing import Any

import structlog
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import write_down
from pbxcrm.automation.explanations import Names, ask, culprit
from pbxcrm.automation.facts import RuleFacts, load_facts
from pbxcrm.automation.hearing import CAUSE
from pbxcrm.automation.models import AutomationRule, Mode, RuleRun, RuleState, RunStatus, RunStep, StepStatus
from pbxcrm.automation.queries import ActiveRule
from pbxcrm.automation.rules import DEEPEST, LONGEST_ERROR, RATE_WINDOW, Cause, Guard, guard, retry_at
from pbxcrm.automation.steps.kinds import STEPS, STOP, WAIT
from pbxcrm.automation.steps.step import Around, StepContext, StepTaken
from pbxcrm.deals.actions import say_deal_changed
from pbxcrm.deals.models import Deal, StageMove
from pbxcrm.fields.conditions import AskedAt, Condition, holds
from pbxcrm.shared.db import is_away
from pbxcrm.shared.errors import PbxcrmError
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.savepoints import savepoint
from pbxcrm.tasks.actions import TaskDraft, do_create_task
from pbxcrm.tasks.models import TaskKind

log = structlog.get_logger()

RETRY = "automation.retry"  # the reason of a run in the midst of a step: what it waited for was asked before
_COUNTED = (RunStatus.DONE.value, RunStatus.FAILED.value, RunStatus.WAITING.value, RunStatus.WATCH.value)


@dataclass(frozen=True, slots=True)
class Firing:
    """What a rule works with: the event, its subject (locked), and what stands around them."""

    session: AsyncSession
    around: Around
    event_id: int
    act: str
    at: datetime
    data: dict[str, Any]
    by_id: int | None
    subject: str
    deal_id: int | None
    contact_id: int | None
    root_id: int
    chain: Sequence[Sequence[Any]]
    waiting: Sequence[RuleRun]  # runs on this subject
    now: datetime

    async def deal(self) -> Deal | None:
        """The deal as it is now; None for a client, and if it was merged or is gone."""
        found = await self.session.get(Deal, self.deal_id) if self.deal_id is not None else None
        return found if found is not None and found.merged_into_id is None else None

    async def facts(self) -> RuleFacts:
        """What conditions are asked of, now."""
        return await load_facts(self.session, await self.deal(), self.contact_id, self.act, self.data)

    @property
    def clock(self) -> AskedAt:
        """Days begin in the time zone of the office."""
        return AskedAt(self.now, self.around.calendars.default.timezone)

    @property
    def names(self) -> Names:
        """For conditions in words."""
        return Names(self.around.people, self.around.funnel, self.around.fields)


async def fire(firing: Firing, ready: ActiveRule, facts: RuleFacts) -> RuleRun | None:
    """The rule hears the event. Returns its run; None if its trigger does not mean this deal."""
    rule, deal = ready.rule, facts.deal.deal if facts.deal is not None else None
    if not await _means(firing, rule, deal):
        return None
    run = _run_of(firing, rule)
    if firing.deal_id is not None and deal is None:
        return await _end(firing, run, RunStatus.SKIPPED, reason("automation.deal_gone"))
    if ready.condition is None:
        why = reason("automation.broken", why=str(ready.broken))
        await _tell_owner(firing, rule, deal, why)
        return await _end(firing, run, RunStatus.FAILED, why)
    held, seen = ask(ready.condition, facts, firing.clock, firing.names)
    run.seen = [each.stored() for each in seen]
    if not held:
        return await _end(firing, run, RunStatus.SKIPPED, _why_not(firing, ready.condition, facts))
    stopped = await _guarded(firing, rule, deal)
    if stopped is not None:
        return await _end(firing, run, RunStatus.SKIPPED, stopped)
    if rule.state == RuleState.WATCH:
        return await _watch(firing, rule, run, deal)
    if await _must_queue(firing, rule):
        run.status, run.reason = RunStatus.WAITING.value, reason("automation.queued").stored()
        firing.session.add(run)
        return run
    await _stored(firing, run)
    await _go_on(firing, rule, run)
    return run


async def resume(firing: Firing, ready: ActiveRule | None, run: RuleRun) -> None:
    """A wait is over, a failed step is tried again, or the run before this one has ended. ``ready``: the rule as the run began with it;
    None: it is not active any more.
    """
    if ready is None or ready.rule.state != RuleState.ON:
        await _end(firing, run, RunStatus.SKIPPED, reason("automation.off"))
        return
    if ready.rule.paused_until is not None and firing.now < ready.rule.paused_until:
        run.due_at = ready.rule.paused_until
        return
    facts = await firing.facts()
    if firing.deal_id is not None and facts.deal is None:
        await _end(firing, run, RunStatus.SKIPPED, reason("automation.deal_gone"))
        return
    ended = await _still_so(firing, ready, facts) if run.reason["code"] != RETRY else None
    if ended is not None:
        await _end(firing, run, *ended)
        return
    await _go_on(firing, ready.rule, run)


async def _still_so(firing: Firing, ready: ActiveRule, facts: RuleFacts) -> tuple[RunStatus, Reason] | None:
    """What ends a run whose wait is over; None: it goes on. Its event stays what it was, but is no news to its goal."""
    if ready.goal is not None and holds(ready.goal, replace(facts, act="", data={}), firing.clock):
        return RunStatus.DONE, reason("automation.goal")
    if ready.condition is None:
        return RunStatus.FAILED, reason("automation.broken", why=str(ready.broken))
    if holds(ready.condition, facts, firing.clock):
        return None
    guilty = culprit(ready.condition, facts, firing.clock, firing.names)
    return RunStatus.SKIPPED, reason("automation.no_longer", test=guilty.words if guilty is not None else "")


async def goals_reached(firing: Firing, ready: ActiveRule, facts: RuleFacts) -> None:
    """End the runs of this rule that wait on the subject, if its goal is reached."""
    if ready.goal is None or not holds(ready.goal, facts, firing.clock):
        return
    for run in firing.waiting:
        if run.rule_id == ready.rule.id and run.status == RunStatus.WAITING:
            await _end(firing, run, RunStatus.DONE, reason("automation.goal"))


async def give_up(firing: Firing, rule: AutomationRule, error: str) -> None:
    """The event could not be handled at all: its run has failed, and the owner is told."""
    await fail(firing, rule, _run_of(firing, rule), error)


async def fail(firing: Firing, rule: AutomationRule, run: RuleRun, error: str) -> None:
    """The run has failed for good, and the owner of the rule is told."""
    why = reason("automation.refused", why=error)
    await _tell_owner(firing, rule, await firing.deal(), why)
    await _end(firing, run, RunStatus.FAILED, why)


async def _means(firing: Firing, rule: AutomationRule, deal: Deal | None) -> bool:
    """Whether the trigger means this deal: its pipeline, and of a new deal the stage where it began."""
    wanted, stage_id = rule.when.get("pipeline_id"), rule.when.get("stage_id")
    if wanted is not None and (deal is None or deal.pipeline_id != wanted):
        return False
    if firing.act != "deal.created" or rule.when["kind"] != "stage_entered" or stage_id is None:
        return True
    first = (
        select(StageMove.to_stage_id).where(StageMove.deal_id == firing.deal_id).order_by(col(StageMove.id)).limit(1)
    )
    return bool((await firing.session.exec(first)).first() == stage_id)


async def _guarded(firing: Firing, rule: AutomationRule, deal: Deal | None) -> Reason | None:
    """What speaks against running a rule whose conditions hold."""
    title = deal.title if deal is not None else ""
    found = guard(rule.id or 0, firing.subject, firing.chain)
    if found is not None:
        why = reason("automation.deep", most=DEEPEST, title=title)
        if found is Guard.LOOP:
            why = reason("automation.loop", chain=await _circle(firing, rule), title=title)
        await _tell_owner(firing, rule, deal, why)
        return why
    since = firing.now - RATE_WINDOW
    mine = (RuleRun.rule_id == rule.id, RuleRun.subject == firing.subject, RuleRun.at > since)
    of_subject = (
        RuleRun.deal_id == firing.deal_id if firing.deal_id is not None else RuleRun.contact_id == firing.contact_id
    )
    query = select(func.count()).select_from(RuleRun).where(of_subject, *mine, col(RuleRun.status).in_(_COUNTED))
    if (await firing.session.exec(query)).one() >= rule.most_per_hour:
        why = reason("automation.rate", most=rule.most_per_hour)
        await _tell_owner(firing, rule, deal, why)
        return why
    waits = [run for run in firing.waiting if run.rule_id == rule.id and run.status == RunStatus.WAITING]
    if waits and rule.mode == Mode.ONCE:
        return reason("automation.waits_already")
    if rule.mode == Mode.RESTART and rule.state == RuleState.ON:
        for run in waits:
            await _end(firing, run, RunStatus.SKIPPED, reason("automation.restarted"))
    return None


async def _must_queue(firing: Firing, rule: AutomationRule) -> bool:
    return rule.mode == Mode.QUEUE and any(
        run.rule_id == rule.id and run.status == RunStatus.WAITING for run in firing.waiting
    )


async def _circle(firing: Firing, rule: AutomationRule) -> str:
    """``A → B → A``: the rules from the first time of this one."""
    ids = [link[0] for link in firing.chain]
    ids = [*ids[ids.index(rule.id) :], rule.id]
    known = {
        each.id: each.name
        for each in (await firing.session.exec(select(AutomationRule).where(col(AutomationRule.id).in_(ids)))).all()
    }
    return " → ".join(known.get(each, f"#{each}") for each in ids)


def _why_not(firing: Firing, condition: Condition, facts: RuleFacts) -> Reason:
    guilty = culprit(condition, facts, firing.clock, firing.names)
    return reason("automation.not_so", test=guilty.words) if guilty is not None else reason("automation.none_so")


async def _watch(firing: Firing, rule: AutomationRule, run: RuleRun, deal: Deal | None) -> RuleRun:
    """Write what the steps would do."""
    await _stored(firing, run)
    context = _context(firing, rule, deal)
    for position, step in enumerate(rule.steps):
        if step["kind"] == STOP:
            break
        told = reason("automation.waited", minutes=step["minutes"]) if step["kind"] == WAIT else None
        try:
            told = told or await STEPS[step["kind"]].would(context, step)
        except PbxcrmError as error:
            told = reason("automation.refused", why=str(error))
        _keep_step(firing, run, position, step, StepTaken(told, StepStatus.WOULD))
    return await _end(firing, run, RunStatus.WATCH, reason("automation.watched"))


async def _go_on(firing: Firing, rule: AutomationRule, run: RuleRun) -> None:
    """Take the steps from where the run stands, until its end or a wait. What they do names this rule as its cause."""
    session = firing.session
    session.info[CAUSE] = Cause(run.root_id, (*(tuple(link) for link in run.chain), (rule.id, run.subject)))
    await _take_steps(firing, rule, run)
    await write_down(session)
    session.info.pop(CAUSE)


async def _take_steps(firing: Firing, rule: AutomationRule, run: RuleRun) -> None:
    session, run_id = firing.session, run.id or 0
    while run.position < len(rule.steps):
        step = rule.steps[run.position]
        if step["kind"] == STOP:
            await _end(firing, run, RunStatus.DONE, reason("automation.stopped"))
            return
        if step["kind"] == WAIT:
            await _wait(firing, run, step)
            return
        try:
            async with savepoint(session):
                taken = await STEPS[step["kind"]].do(_context(firing, rule, await firing.deal()), step)
                _keep_step(firing, run, run.position, step, taken)
                await session.flush()
        except Exception as error:
            if is_away(error):
                raise
            await _step_failed(firing, rule, await _again(firing, run_id), step, error)
            return
        if taken.status is StepStatus.REFUSED:
            await _end(firing, run, RunStatus.FAILED, taken.said)
            return
        run.position, run.tries = run.position + 1, 0
    await _end(firing, run, RunStatus.DONE, reason("automation.done"))


async def _step_failed(
    firing: Firing, rule: AutomationRule, run: RuleRun, step: dict[str, Any], error: Exception
) -> None:
    """A business error will not go away by itself; any other one may."""
    is_final = isinstance(error, PbxcrmError)
    words = str(error) if is_final else f"{type(error).__name__}: {error}"
    if not is_final:
        where = "".join(format_tb(error.__traceback__)[-2:])
        log.warning("automation.step_failed", rule=rule.id, run=run.id, step=step["kind"], why=words, where=where)
    run.tries += 1
    again = None if is_final else retry_at(run.tries, firing.now)
    if again is not None:
        run.status, run.due_at = RunStatus.WAITING.value, again
        run.reason = reason(RETRY, why=words[:LONGEST_ERROR]).stored()
        return
    told = words[:LONGEST_ERROR]
    _keep_step(firing, run, run.position, step, StepTaken(reason("automation.refused", why=told), StepStatus.FAILED))
    await fail(firing, rule, run, told)


async def _wait(firing: Firing, run: RuleRun, step: dict[str, Any]) -> None:
    deal = await firing.deal()
    working = firing.around.calendars.of_user(deal.responsible_id if deal is not None else None)
    minutes = step["minutes"]
    _keep_step(firing, run, run.position, step, StepTaken(reason("automation.waited", minutes=minutes)))
    run.position, run.tries = run.position + 1, 0
    run.status, run.due_at = RunStatus.WAITING.value, working.add_minutes(firing.now, minutes)
    run.reason = reason("automation.waits", minutes=minutes).stored()
    run.version += 1
    if deal is not None:  # its timeline shows what waits
        say_deal_changed(firing.session, deal, firing.now, firing.around.people)
    firing.session.add(run)


async def _again(firing: Firing, run_id: int) -> RuleRun:
    """Read run and deal again, which a rollback has made old."""
    run = await firing.session.get_one(RuleRun, run_id, populate_existing=True)
    if firing.deal_id is not None:
        await firing.session.get(Deal, firing.deal_id, populate_existing=True)
    return run


def _context(firing: Firing, rule: AutomationRule, deal: Deal | None) -> StepContext:
    contact_id = deal.contact_id if deal is not None else firing.contact_id
    why = reason("automation.rule", rule=rule.name)
    return StepContext(firing.session, firing.around, rule, deal, contact_id, firing.now, why)


def _keep_step(firing: Firing, run: RuleRun, position: int, step: dict[str, Any], taken: StepTaken) -> None:
    assert run.id is not None
    firing.session.add(
        RunStep(
            run_id=run.id,
            position=position,
            kind=step["kind"],
            status=taken.status.value,
            result=taken.said.stored(),
            undo=dict(taken.undo),
            at=firing.now,
        )
    )


def _run_of(firing: Firing, rule: AutomationRule) -> RuleRun:
    return RuleRun(
        rule_id=rule.id or 0,
        rule_version=rule.version,
        event_id=firing.event_id,
        act=firing.act,
        event=firing.data,
        by_id=firing.by_id,
        subject=firing.subject,
        deal_id=firing.deal_id,
        contact_id=firing.contact_id,
        root_id=firing.root_id,
        chain=[list(link) for link in firing.chain],
        status=RunStatus.WAITING.value,
        at=firing.now,
    )


async def _stored(firing: Firing, run: RuleRun) -> None:
    firing.session.add(run)
    await firing.session.flush()


async def _end(firing: Firing, run: RuleRun, status: RunStatus, why: Reason) -> RuleRun:
    """The run has ended. The next one that waits for it begins."""
    was_waiting = run.id is not None and run.status == RunStatus.WAITING
    run.status, run.reason, run.ended_at, run.due_at = status.value, why.stored(), firing.now, None
    run.version += 1
    firing.session.add(run)
    if was_waiting:
        queued = [
            each
            for each in firing.waiting
            if each.rule_id == run.rule_id
            and each.id != run.id
            and each.status == RunStatus.WAITING
            and each.due_at is None
        ]
        if queued:
            queued[0].due_at = firing.now
    return run


async def _tell_owner(firing: Firing, rule: AutomationRule, deal: Deal | None, why: Reason) -> None:
    """A task for the rule's owner, at most one open per rule."""
    people = firing.around.people
    owner = people.active(rule.owner_id) or people.manager_of(None)
    owner_id = owner.id if owner is not None else None
    new = TaskDraft(
        kind=TaskKind.TODO,
        title=reason("task.automation", rule=rule.name),
        why=reason("automation.failed_why", why, title=deal.title if deal is not None else "—"),
        due_at=firing.around.calendars.of_user(owner_id).add_minutes(firing.now, 0),
        assignee_id=owner_id,
        deal_id=deal.id if deal is not None else None,
        contact_id=deal.contact_id if deal is not None else firing.contact_id,
        about=f"automation:{rule.id}",
    )
    await do_create_task(firing.session, new, firing.now, people)
