"""A rule asked about the past: which acts it would have heard, and for which of them its condition held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.due_times import date_due, next_daily
from pbxcrm.automation.facts import RuleFacts, load_facts_of
from pbxcrm.automation.order_queries import WonDeal, won_of_clients
from pbxcrm.automation.past import PastAct, PastDeal, load_acts
from pbxcrm.automation.queries import ActiveRule
from pbxcrm.automation.rules import RATE_WINDOW, Hearing
from pbxcrm.automation.steps.step import Around
from pbxcrm.automation.triggers import (
    CALL_OVER,
    DATE_CAME,
    DAY_CAME,
    OUTCOMES,
    OVERDUE,
    MeantDeal,
    TriggerTest,
    failed_in_a_row,
)
from pbxcrm.calls.models import Call
from pbxcrm.deals.models import Deal, StageKind
from pbxcrm.fields.conditions import holds
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.shared.core_sql import load_by_id, one_of
from pbxcrm.tasks.models import Task, TaskStatus

#: Kinds of rules whose past nothing tells.
NOT_TRIED = frozenset({"silence", "contact_created", "birthday", "holiday", "rhythm", "webhook", "webhook_client"})


@dataclass(frozen=True, slots=True)
class Window:
    """Which past is asked."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Fired:
    """The rule would have run on the deal because of this act, in the stage ``stage_id`` of then. ``did``: what people did to the deal within a day after it."""

    deal: Deal
    act: PastAct
    did: Sequence[PastAct]
    stage_id: int


@dataclass(slots=True)
class TrialCount:
    """What came of some deals. ``limited``: how many times the rule would have been stopped because it ran too often."""

    fired: list[Fired]
    skipped: int = 0
    limited: int = 0


async def try_on(
    session: AsyncSession, ready: ActiveRule, deal_ids: Sequence[int], window: Window, around: Around
) -> TrialCount:
    """Ask the rule about what happened to these deals."""
    tried = TrialCount([])
    acts = await load_acts(session, deal_ids, window.since)
    others = await _other_acts(session, ready, deal_ids, window)
    heard = {
        deal_id: [act for act in [*acts.get(deal_id, ()), *others.get(deal_id, ())] if _hears(ready, act, window)]
        for deal_id in deal_ids
    }
    kind = ready.rule.when["kind"]
    wanted = [deal_id for deal_id in deal_ids if heard[deal_id] or kind in {"date", "daily"}]
    deals = await load_by_id(session, Deal, wanted)
    rows = [deals[deal_id] for deal_id in wanted]
    won = await won_of_clients(session, rows) if ready.trigger.asks is TriggerTest.ORDERS else {}
    for facts in await load_facts_of(session, [(deal, None) for deal in rows], ready.asks):
        assert facts.deal is not None
        deal = facts.deal.deal
        mine = heard[deal.id or 0] + _of_clock(ready, deal, window, around)
        if ready.trigger.asks is TriggerTest.ORDERS:
            mine = [_as_order(act, deal, won, around) for act in mine]
        past = PastDeal(facts, acts.get(deal.id or 0, ()), around)
        _ask(
            ready,
            deal,
            past,
            sorted(mine, key=lambda act: act.at, reverse=True),
            acts.get(deal.id or 0, ()),
            around,
            tried,
        )
    return tried


def _hears(ready: ActiveRule, act: PastAct, window: Window) -> bool:
    return act.at <= window.until and ready.hears(Hearing(act.act, act.at, act.data))


def _ask(
    ready: ActiveRule,
    deal: Deal,
    past: PastDeal,
    heard: Sequence[PastAct],
    acts: Sequence[PastAct],
    around: Around,
    tried: TrialCount,
) -> None:
    """``heard``: the newest first."""
    held: list[Fired] = []
    for act in heard:
        facts = past.at(act.at, act.act, act.data)
        if not _means(ready, facts, act):
            continue
        clock = AskedAt(act.at, around.calendars.default.timezone)
        if ready.condition is None or not holds(ready.condition, facts, clock):
            tried.skipped += 1
            continue
        after = [each for each in acts if act.at < each.at <= act.at + timedelta(days=1) and each.by_id is not None]
        assert facts.deal is not None
        held.append(Fired(deal, act, after[::-1][:3], facts.deal.deal.stage_id))
    kept: list[Fired] = []
    for each in reversed(held):
        since = each.act.at - RATE_WINDOW
        if sum(1 for other in kept if other.act.at > since) >= ready.rule.most_per_hour:
            tried.limited += 1
        else:
            kept.append(each)
    tried.fired += kept


def _means(ready: ActiveRule, facts: RuleFacts, act: PastAct) -> bool:
    """Whether the rule means the deal as it was then; a daily one asks only deals that existed and were open."""
    assert facts.deal is not None
    deal = facts.deal.deal
    if act.act == DAY_CAME and (deal.created_at > act.at or deal.closed_at is not None):
        return False
    failed, order = act.data.get("failed", 0), act.data.get("order", 0)
    return ready.means(act.act, MeantDeal(deal.pipeline_id, deal.stage_id, deal.amount, deal.stage_id, failed, order))


def _as_order(act: PastAct, deal: Deal, won: Mapping[int, Sequence[WonDeal]], around: Around) -> PastAct:
    """The move with which of the client's orders it made the deal, by the deals that are won today; none if it did not win it."""
    stage = around.funnel.stages.get(act.data.get("to_stage", 0))
    if stage is None or stage.kind != StageKind.WON or deal.contact_id is None:
        return act
    before = [
        each
        for each in won.get(deal.contact_id, ())
        if each.pipeline_id == stage.pipeline_id
        and (each.at, each.deal_id) < (act.at, deal.id)
        and each.deal_id != deal.id
    ]
    return replace(act, data={**act.data, "order": len(before) + 1})


def _of_clock(ready: ActiveRule, deal: Deal, window: Window, around: Around) -> list[PastAct]:
    """The moments at which a rule on a date or a daily one was due. Of a date it is the one of today."""
    working = around.calendars.default
    if ready.rule.when["kind"] == "date":
        due = date_due(ready.rule, deal, around.fields, working)
        is_meant = due is not None and window.since <= due.at <= window.until and deal.created_at <= due.at
        return [PastAct(due.at, DATE_CAME, None, {})] if due is not None and is_meant else []
    found: list[PastAct] = []
    if ready.rule.when["kind"] == "daily":
        at = next_daily(ready.rule, window.since, working)
        while at <= window.until:
            found.append(PastAct(at, DAY_CAME, None, {}))
            at = next_daily(ready.rule, at, working)
    return found


async def _other_acts(
    session: AsyncSession, ready: ActiveRule, deal_ids: Sequence[int], window: Window
) -> dict[int, list[PastAct]]:
    """What no entry about the deal tells of: calls and tasks."""
    found: dict[int, list[PastAct]] = {}
    acts = set(ready.trigger.acts)
    if CALL_OVER in acts:
        await _add_calls(session, deal_ids, window, found)
    if acts & {"task.closed", OVERDUE}:
        of_deals = one_of(session, col(Task.deal_id), deal_ids)
        for task in (await session.exec(select(Task).where(of_deals))).all():
            mine = found.setdefault(task.deal_id or 0, [])
            if task.done_at is not None and task.done_at >= window.since:
                data = {"status": task.status, "deal_id": task.deal_id}
                mine.append(PastAct(task.done_at, "task.closed", task.done_by_id, data))
            was_late = task.done_at is None or task.done_at > task.due_at
            if task.due_at >= window.since and was_late and task.status != TaskStatus.CANCELLED:
                mine.append(PastAct(task.due_at, OVERDUE, None, {"task_id": task.id}))
    return found


async def _add_calls(
    session: AsyncSession, deal_ids: Sequence[int], window: Window, found: dict[int, list[PastAct]]
) -> None:
    of_deals = one_of(session, col(Call.deal_id), deal_ids)
    known = (of_deals, col(Call.merged_into_id).is_(None), col(Call.outcome).in_(list(OUTCOMES)))
    query = select(Call).where(*known, Call.started_at >= window.since - timedelta(days=30)).order_by(col(Call.id))
    failed: dict[int, int] = {}  # in a row, by deal
    for call in (await session.exec(query)).all():
        deal_id = call.deal_id or 0
        failed[deal_id] = failed_in_a_row(failed.get(deal_id, 0), call.direction, call.outcome)
        at = call.ended_at or call.started_at
        data = {
            "call_id": call.id,
            "direction": call.direction,
            "outcome": call.outcome,
            "talk_seconds": round(call.talk_seconds),
            "line_id": call.line_id,
            "failed": failed[deal_id],
        }
        if at >= window.since:
            found.setdefault(deal_id, []).append(PastAct(at, CALL_OVER, call.responsible_id, data))
