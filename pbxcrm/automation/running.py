"""A rule runs: from an event, or on from a wait; its steps are taken one after the other.

Steps change only our own database, in the transaction that writes their rows: they are taken exactly once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from traceback import format_tb
from typing import Any

import structlog

from pbxcrm.audit.actions import CAUSE
from pbxcrm.automation.batch import NewRun, Run
from pbxcrm.automation.facts import RuleFacts
from pbxcrm.automation.firing import Firing, RunInHand, ask, begin, end, fail, skip, tell_owner
from pbxcrm.automation.guards import guarded, must_queue
from pbxcrm.automation.held_back import held_back, why_held
from pbxcrm.automation.models import AutomationRule, RuleRun, RuleState, RunStatus, RunStep, StepStatus
from pbxcrm.automation.pacing import day_with_room, later_day
from pbxcrm.automation.queries import ActiveRule
from pbxcrm.automation.rules import LONGEST_ERROR, Cause, retry_at
from pbxcrm.automation.steps.kinds import STEPS, STOP, WAIT
from pbxcrm.automation.steps.message_step import MESSAGE
from pbxcrm.automation.steps.step import StepContext, StepTaken
from pbxcrm.automation.waits import end_of_wait, wait_said, why_waiting
from pbxcrm.automation.watching import would
from pbxcrm.deals.actions import say_deal_changed
from pbxcrm.deals.models import Deal
from pbxcrm.fields.conditions import holds
from pbxcrm.shared.db import is_away
from pbxcrm.shared.errors import PbxcrmError
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.savepoints import savepoint

log = structlog.get_logger()

RETRY = "automation.retry"  # the reason of a run in the midst of a step: what it waited for was asked before


class StepFailedError(Exception):
    """A step failed in a transaction that has no savepoints: the events of it are handled again, carefully."""


async def fire(firing: Firing, ready: ActiveRule) -> None:
    """The rule hears the event, if its trigger means this deal."""
    facts, rule = await firing.facts(), ready.rule
    deal = facts.deal.deal if facts.deal is not None else None
    if not await firing.means(ready, deal):
        return
    if firing.deal_id is not None and deal is None:
        skip(firing, rule, reason("automation.deal_gone"))
        return
    if ready.condition is None:
        why = reason("automation.broken", why=ready.broken)
        await tell_owner(firing, rule, deal, why)
        end(firing, begin(firing, rule).row, RunStatus.FAILED, why)
        return
    answer = ask(firing, ready, facts)
    stopped = await guarded(firing, rule, deal) if answer.held else answer.why_not
    if stopped is not None:
        skip(firing, rule, stopped, answer.seen)
        return
    run = begin(firing, rule, answer.seen)
    if rule.state == RuleState.WATCH:
        await _watch(firing, rule, run, deal)
    elif must_queue(firing, rule):
        run.row.reason = reason("automation.queued").stored()
    else:
        await _go_on(firing, rule, run)


async def resume(firing: Firing, ready: ActiveRule | None, row: RuleRun) -> None:
    """A wait is over, a failed step is tried again, or the run before this one has ended. ``ready``: the rule as the run began with it;
    None: it is not active any more.
    """
    if ready is None or ready.rule.state != RuleState.ON:
        end(firing, row, RunStatus.SKIPPED, reason("automation.off"))
        return
    if ready.rule.paused_until is not None and firing.now < ready.rule.paused_until:
        row.due_at = ready.rule.paused_until
        return
    if row.reason["code"] != RETRY and (later := await later_day(firing, ready.rule, row)) is not None:
        row.due_at = later
        return
    facts = await firing.facts(ready)
    if firing.deal_id is not None and facts.deal is None:
        end(firing, row, RunStatus.SKIPPED, reason("automation.deal_gone"))
        return
    ended = _still_so(firing, ready, facts) if row.reason["code"] != RETRY else None
    if ended is not None:
        end(firing, row, *ended)
        return
    await _go_on(firing, ready.rule, RunInHand(row, steps=[]))


def _still_so(firing: Firing, ready: ActiveRule, facts: RuleFacts) -> tuple[RunStatus, Reason] | None:
    """What ends a run whose wait is over; None: it goes on. Its event stays what it was, but is no news to its goal."""
    if ready.goal is not None and holds(ready.goal, replace(facts, act="", data={}), firing.clock):
        return RunStatus.DONE, reason("automation.goal")
    if ready.condition is None:
        return RunStatus.FAILED, reason("automation.broken", why=ready.broken)
    answer = ask(firing, ready, facts)
    return None if answer.held else (RunStatus.SKIPPED, reason("automation.no_longer", *answer.why_not.because))


async def _watch(firing: Firing, rule: AutomationRule, run: RunInHand, deal: Deal | None) -> None:
    """Write what the steps would do."""
    for position, told in enumerate(await would(_context(firing, rule, deal), _key(firing, rule))):
        _keep_step(firing, run, position, rule.steps[position], StepTaken(told, StepStatus.WOULD))
    end(firing, run.row, RunStatus.WATCH, reason("automation.watched"))


async def _go_on(firing: Firing, rule: AutomationRule, run: RunInHand) -> None:
    """Take the steps from where the run stands, until its end or a wait. What they do names this rule as its cause."""
    session, row = firing.session, run.row
    session.info[CAUSE] = Cause(row.root_id, (*(tuple(link) for link in row.chain), (rule.id, row.subject)))
    await _take_steps(firing, rule, run)
    session.info.pop(CAUSE)


async def _take_steps(firing: Firing, rule: AutomationRule, run: RunInHand) -> None:
    row = run.row
    while row.position < len(rule.steps):
        step = rule.steps[row.position]
        if step["kind"] == STOP:
            await _end_taken(firing, run, rule, reason("automation.stopped"))
            return
        if step["kind"] == WAIT:
            await _wait(firing, run, step)
            return
        firing.changed(STEPS[step["kind"]].changes)
        try:
            taken = await _take(firing, rule, step, row.position)
        except Exception as error:
            if is_away(error):
                raise
            if not firing.batch.careful:
                raise StepFailedError from error
            await _read_again(firing, row)
            await _step_failed(firing, rule, run, step, error)
            return
        _keep_step(firing, run, row.position, step, taken)
        if taken.status is StepStatus.REFUSED:
            end(firing, row, RunStatus.FAILED, taken.said)
            return
        row.position, row.tries = row.position + 1, 0
    await _end_taken(firing, run, rule, reason("automation.done"))


async def _end_taken(firing: Firing, run: RunInHand, rule: AutomationRule, why: Reason) -> None:
    """The run took its steps up to its end. One whose message was held back says so."""
    found: Sequence[Mapping[str, Any]] = [step["result"] for step in run.steps if step["status"] == StepStatus.HELD]
    if not isinstance(run.row, NewRun) and any(step["kind"] == MESSAGE.kind for step in rule.steps):
        await firing.session.flush()
        found = await held_back(firing.session, run.row.id)
    if found:
        end(firing, run.row, RunStatus.HELD, why_held(found))
        return
    end(firing, run.row, RunStatus.DONE, why)


async def _take(firing: Firing, rule: AutomationRule, step: dict[str, Any], position: int) -> StepTaken:
    context = replace(_context(firing, rule, await firing.deal()), key=f"{_key(firing, rule)}:{position}")
    if not firing.batch.careful:
        return await STEPS[step["kind"]].do(context, step)
    async with savepoint(firing.session):
        taken = await STEPS[step["kind"]].do(context, step)
        await firing.session.flush()
    return taken


async def _step_failed(
    firing: Firing, rule: AutomationRule, run: RunInHand, step: dict[str, Any], error: Exception
) -> None:
    """A business error will not go away by itself; any other one may."""
    row = run.row
    is_final = isinstance(error, PbxcrmError)
    words = str(error) if is_final else f"{type(error).__name__}: {error}"
    if not is_final:
        where = "".join(format_tb(error.__traceback__)[-2:])
        log.warning(
            "automation.step_failed", rule=rule.id, heard=firing.event_id, step=step["kind"], why=words, where=where
        )
    row.tries += 1
    again = None if is_final else retry_at(row.tries, firing.now)
    if again is not None:
        row.status, row.due_at = RunStatus.WAITING.value, again
        row.reason = reason(RETRY, why=words[:LONGEST_ERROR]).stored()
        return
    told = error if isinstance(error, PbxcrmError) else words[:LONGEST_ERROR]
    taken = StepTaken(reason("automation.refused", why=told), StepStatus.FAILED)
    _keep_step(firing, run, row.position, step, taken)
    await fail(firing, rule, row, told)


async def _wait(firing: Firing, run: RunInHand, step: dict[str, Any]) -> None:
    deal, row = await firing.deal(), run.row
    working = firing.around.calendars.of_user(deal.responsible_id if deal is not None else None)
    _keep_step(firing, run, row.position, step, StepTaken(wait_said(step)))
    row.position, row.tries = row.position + 1, 0
    row.status, row.due_at = (
        RunStatus.WAITING.value,
        await day_with_room(firing, row, step, working, end_of_wait(step, firing.now, working)),
    )
    row.reason = why_waiting(step).stored()
    if not isinstance(row, NewRun):
        row.version += 1
    if deal is not None:  # its timeline shows what waits
        say_deal_changed(firing.session, deal, firing.now, firing.around.people)


async def _read_again(firing: Firing, row: Run) -> None:
    """Read run and deal again, which a rollback has made old."""
    if not isinstance(row, NewRun):
        await firing.session.refresh(row)
    if firing.deal_id is not None:
        await firing.session.get(Deal, firing.deal_id, populate_existing=True)


def _context(firing: Firing, rule: AutomationRule, deal: Deal | None) -> StepContext:
    contact_id = deal.contact_id if deal is not None else firing.contact_id
    why = reason("automation.rule", rule=rule.name)
    return StepContext(
        firing.session, firing.around, rule, deal, contact_id, firing.now, why, firing.event_id, heard=firing.data
    )


def _key(firing: Firing, rule: AutomationRule) -> str:
    """The same for the same firing: a rule hears an event once."""
    return f"rule:{rule.id}:{firing.event_id}"


def _keep_step(firing: Firing, run: RunInHand, position: int, step: dict[str, Any], taken: StepTaken) -> None:
    run_id = None if isinstance(run.row, NewRun) else run.row.id
    columns = {
        "run_id": run_id,
        "position": position,
        "kind": step["kind"],
        "status": taken.status.value,
        "result": taken.said.stored(),
        "undo": dict(taken.undo),
        "at": firing.now,
    }
    if run_id is None:  # set when both are written
        run.steps.append(columns)
    else:
        firing.session.add(RunStep(**columns))
