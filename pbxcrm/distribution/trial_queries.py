"""The dry run: who would have got the calls of last week by the rules, beside who did."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select as core_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.calls.models import Call
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import CLOSED_KINDS, Deal, Stage, StageMove
from pbxcrm.distribution.access import check_rules
from pbxcrm.distribution.cases import case_of
from pbxcrm.distribution.queries import ReadyRule, count_open_deals, count_open_tasks, load_rules
from pbxcrm.distribution.rules import people_of
from pbxcrm.distribution.trial_rules import Opening, Past, TrialRow, TriedCall, try_rules
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import fetch

DAYS = timedelta(days=7)
MOST_CALLS = 500  # the newest ones
#: Codes of the reason by which somebody got a deal and that come before the rules.
_ANSWERED = "owner.answered"
_OWN = ("owner.responsible", "owner.last_talked")


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the calls somebody got, and would have got."""

    user_id: int | None
    got: int
    would: int


@dataclass(frozen=True, slots=True)
class DistributionTrial:
    """The result of a dry run, the newest call first. ``cut``: there were more calls than ``MOST_CALLS``. ``stayed``: new deals of
    clients who are somebody's already, for which no rule is asked.
    """

    rows: Sequence[TrialRow]
    shares: Sequence[Share]
    names: Mapping[int, str]
    titles: Mapping[int, str]  # of the deals
    stayed: int
    is_cut: bool
    since: datetime


async def try_last_week(
    session: AsyncSession, viewer: Viewer, now: datetime, *, draft: ReadyRule | None = None
) -> DistributionTrial:
    """Try the rules on the calls of the last seven days; ``draft`` stands in for the rule with its id, or at the end.

    Asked is about each deal that a call made and nobody of us answered. Nothing is stored, and no turn is taken. Raises NotAllowed.
    """
    check_rules(viewer)
    since = now - DAYS
    people = await load_directory(session)
    calendars = await load_calendars(session, people)
    rules = list(await load_rules(session))
    if draft is not None:
        known = [each.rule.id for each in rules]
        place = known.index(draft.rule.id) if draft.rule.id in known else len(rules)
        rules[place : place + 1] = [draft]
    query = (
        select(Call, Deal, Contact)
        .join(Deal, col(Deal.made_by_call_id) == col(Call.id))
        .join(Contact, col(Contact.id) == col(Deal.contact_id), isouter=True)
        .where(Deal.created_at >= since, Call.started_at >= since - timedelta(days=1))
        .where(col(Deal.merged_into_id).is_(None))
        .order_by(col(Deal.created_at).desc())
        .limit(MOST_CALLS + 1)
    )
    found = (await session.exec(query)).all()
    calls, stayed = [], 0
    for call, deal, contact in found[:MOST_CALLS]:
        whose = next(_codes(deal.reason), "")
        if whose == _ANSWERED:
            continue
        if whose in _OWN:
            stayed += 1
            continue
        own = call.responsible_id if any(code in _OWN for code in _codes(deal.reason)) else None
        case = case_of(deal, contact, line_id=call.line_id)
        calls.append(TriedCall(call.id or 0, deal.id or 0, deal.created_at, case, call.responsible_id, own))
    asked = {user_id for each in rules for user_id in people_of(each.rule, people)}
    asked |= {
        leave.deputy_id for leaves in calendars.leaves.values() for leave in leaves if leave.deputy_id is not None
    }
    past = await _past(session, asked, calls, since)
    rows = try_rules(rules, calls, past, people, calendars)
    return DistributionTrial(
        rows[::-1],
        _shares(rows),
        {user_id: people.name(user_id) for user_id in people.users},
        {deal.id or 0: deal.title for _call, deal, _contact in found},
        stayed,
        len(found) > MOST_CALLS,
        since,
    )


def _codes(stored: Mapping[str, Any]) -> Iterator[str]:
    """The codes that say whose the deal is, in a stored reason: the first one decided."""
    if str(stored.get("code", "")).startswith(("owner.", "distribution.")):
        yield stored["code"]
    for behind in stored.get("because", ()):
        yield from _codes(behind)


async def _past(session: AsyncSession, asked: set[int], calls: Sequence[TriedCall], since: datetime) -> Past:
    """How many deals each had open when the week began, and what changed since; tasks as they are now, because of a task nobody
    knows any more who had it on which day.
    """
    tried = {call.deal_id for call in calls}
    deals = await count_open_deals(session, asked) if asked else {}
    tasks = await count_open_tasks(session, asked) if asked else {}
    kept = col(Deal.merged_into_id).is_(None)
    columns = (col(Deal.id), col(Deal.responsible_id), col(Deal.created_at), col(Deal.closed_at))
    made = await fetch(session, core_select(*columns).where(col(Deal.created_at) >= since, kept))
    closing = core_select(col(Stage.id)).where(col(Stage.kind).in_([kind.value for kind in CLOSED_KINDS]))
    over = await fetch(
        session,
        core_select(*columns)
        .distinct()
        .join(StageMove, col(StageMove.deal_id) == col(Deal.id))
        .where(col(StageMove.at) >= since, col(StageMove.to_stage_id).in_(closing))
        .where(col(Deal.created_at) < since, col(Deal.closed_at) >= since, kept),
    )
    counts = dict(deals)
    openings: list[Opening] = []
    for deal_id, user_id, created_at, closed_at in made:
        if user_id is None:
            continue
        if closed_at is None:
            counts[user_id] = counts.get(user_id, 0) - 1
        if deal_id not in tried:
            openings.append(Opening(created_at, user_id, 1))
            if closed_at is not None:
                openings.append(Opening(closed_at, user_id, -1))
    for _deal_id, user_id, _created_at, closed_at in over:
        if user_id is not None and closed_at is not None:
            counts[user_id] = counts.get(user_id, 0) + 1
            openings.append(Opening(closed_at, user_id, -1))
    closed = {
        deal_id: closed_at for deal_id, _user, _at, closed_at in made if closed_at is not None and deal_id in tried
    }
    return Past(counts, tasks, openings, closed)


def _shares(rows: Sequence[TrialRow]) -> list[Share]:
    got: dict[int | None, int] = {}
    would: dict[int | None, int] = {}
    for row in rows:
        got[row.call.got_id] = got.get(row.call.got_id, 0) + 1
        would[row.user_id] = would.get(row.user_id, 0) + 1
    everybody = sorted({*got, *would}, key=lambda user_id: (user_id is None, -would.get(user_id, 0), user_id or 0))
    return [Share(user_id, got.get(user_id, 0), would.get(user_id, 0)) for user_id in everybody]
