"""When the rules on dates and on silence are due for a deal. Only reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.models import AuditEntry
from pbxcrm.automation.models import AutomationRule
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.calls.models import Call
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.deals.models import Deal, Note
from pbxcrm.fields.models import FieldEntity, ValueKind
from pbxcrm.fields.queries import FieldSet
from pbxcrm.fields.rules import stored_in
from pbxcrm.fields.terms import name_of_term
from pbxcrm.shared.core_sql import one_of
from pbxcrm.tasks.models import Task

MORNING = time(9)  # of a day without a time


@dataclass(frozen=True, slots=True)
class Due:
    """When a rule is due, and the value that says so: of one value it is due once. ``of``: the date itself; None: it is a silence."""

    at: datetime
    value: str
    of: datetime | None


def date_due(rule: AutomationRule, deal: Deal, fields: FieldSet, working: WorkingTime) -> Due | None:
    """When a rule on a date is due; None if the field is empty or gone. ``working``: the calendar of the office."""
    when: Mapping[str, Any] = rule.when
    found = _date_of(deal, when["field"], fields)
    if found is None:
        return None
    asked = time.fromisoformat(when["time"]) if when.get("time") else None
    if isinstance(found, datetime):
        of = found.astimezone(working.timezone)
    else:
        of = datetime.combine(found, asked or MORNING, working.timezone)
    day = of.date() + timedelta(days=when.get("days", 0))
    return Due(datetime.combine(day, asked or of.time(), working.timezone), found.isoformat(), of)


def _date_of(deal: Deal, name: str, fields: FieldSet) -> date | datetime | None:
    if name in BY_KEY:
        found: datetime | None = getattr(deal, name)
        return found
    field = next((each for each in fields.of(FieldEntity.DEAL) if name_of_term(each) == name), None)
    stored = stored_in(deal.custom, field) if field is not None else None
    if field is None or not isinstance(stored, str):
        return None
    return datetime.fromisoformat(stored) if field.kind == ValueKind.MOMENT else date.fromisoformat(stored)


def next_daily(rule: AutomationRule, after: datetime, working: WorkingTime) -> datetime:
    """When a daily rule is due next, later than ``after``."""
    at = time.fromisoformat(rule.when["time"])
    day = after.astimezone(working.timezone).date()
    while True:
        if rule.when.get("days") == "working":
            day = working.next_working_day(day)
        found = datetime.combine(day, at, working.timezone)
        if found > after:
            return found
        day += timedelta(days=1)


async def last_works(session: AsyncSession, deals: Sequence[Deal]) -> dict[int, datetime]:
    """When something happened last on each deal: an act of a person, a request, a call, a note, a task that was closed; else it was made."""
    ids = [deal.id or 0 for deal in deals]
    found = {deal.id or 0: deal.created_at for deal in deals}
    acts = (
        select(AuditEntry.entity_id, func.max(col(AuditEntry.at)))
        .where(
            AuditEntry.entity == "deal",
            one_of(session, col(AuditEntry.entity_id), [str(deal_id) for deal_id in ids]),
            col(AuditEntry.actor_id).is_not(None) | col(AuditEntry.action).in_(("deal.request", "deal.answered")),
        )
        .group_by(col(AuditEntry.entity_id))
    )
    queries: list[Any] = [
        acts,
        _latest(session, Call.deal_id, Call.started_at, ids),
        _latest(session, Note.deal_id, Note.at, ids, col(Note.author_id).is_not(None)),
        _latest(session, Task.deal_id, Task.done_at, ids),
    ]
    for query in queries:
        for deal_id, at in (await session.exec(query)).all():
            if at is not None:
                found[int(deal_id)] = max(found[int(deal_id)], at)
    return found


def _latest(session: AsyncSession, deal_id: Any, at: Any, ids: Sequence[int], *more: Any) -> Any:
    return select(deal_id, func.max(at)).where(one_of(session, col(deal_id), ids), *more).group_by(deal_id)
