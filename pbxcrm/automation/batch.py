"""What the events that are handled in one transaction share: what stands around them is read once, and what became of them is written once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam
from sqlalchemy import select as select_columns
from sqlmodel import col, func, or_
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.facts import RuleFacts
from pbxcrm.automation.models import RuleRun, RunStatus, RunStep
from pbxcrm.automation.queries import ActiveRules
from pbxcrm.automation.rules import RATE_WINDOW
from pbxcrm.automation.steps.step import Around
from pbxcrm.deals.models import Deal
from pbxcrm.shared.core_sql import fetch, list_param
from pbxcrm.shared.many_rows import add_many

# Built once: building a statement takes as long as executing it.
_WRITTEN = select_columns(col(RuleRun.id), col(RuleRun.rule_id), col(RuleRun.event_id)).where(
    col(RuleRun.rule_id).in_(list_param("rules")), col(RuleRun.event_id).in_(list_param("events"))
)
_COUNTED = (
    RunStatus.DONE.value,
    RunStatus.HELD.value,
    RunStatus.FAILED.value,
    RunStatus.WAITING.value,
    RunStatus.WATCH.value,
)

_RAN = (
    select_columns(col(RuleRun.rule_id), col(RuleRun.subject), func.count())
    .where(
        or_(col(RuleRun.deal_id).in_(list_param("deals")), col(RuleRun.contact_id).in_(list_param("contacts"))),
        col(RuleRun.at) > bindparam("since"),
        col(RuleRun.status).in_(_COUNTED),
    )
    .group_by(col(RuleRun.rule_id), col(RuleRun.subject))
)


@dataclass(slots=True)
class NewRun:
    """A firing that is not written yet, with the columns of ``RuleRun``: making a row of the ORM takes longer than writing it."""

    rule_id: int
    rule_version: int
    event_id: int
    act: str
    event: dict[str, Any]
    by_id: int | None
    subject: str
    deal_id: int | None
    contact_id: int | None
    root_id: int
    chain: Sequence[Sequence[Any]]
    status: str
    reason: dict[str, Any]
    seen: Sequence[dict[str, Any]]
    position: int
    at: datetime
    due_at: datetime | None
    tries: int
    ended_at: datetime | None
    undone_at: datetime | None
    undone_by_id: int | None
    version: int


Run = RuleRun | NewRun


@dataclass(slots=True)
class EventBatch:
    """Events of different subjects in one transaction. The caller has locked the subjects.

    ``careful``: each step has a savepoint of its own, so that one that fails is undone alone. Without, it raises and the caller handles
    the events again, one by one and carefully: failures are rare, and a savepoint costs as much as a small step.
    """

    session: AsyncSession
    around: Around
    rules: ActiveRules
    now: datetime
    waiting: Sequence[RuleRun]  # on the subjects
    held: Sequence[Deal]  # the deals, locked; a session forgets what nobody holds
    deals: Sequence[int]
    contacts: Sequence[int]
    careful: bool = True
    facts: dict[str, RuleFacts] = field(default_factory=dict)  # by subject, as far as nothing has changed them
    _skipped: list[dict[str, Any]] = field(default_factory=list)
    _new: list[tuple[NewRun, list[dict[str, Any]]]] = field(default_factory=list)
    _counts: Mapping[tuple[int, str], int] | None = None

    def skip(self, row: dict[str, Any]) -> None:
        """A firing that did nothing: its columns."""
        self._skipped.append(row)

    def keep(self, run: NewRun, steps: list[dict[str, Any]]) -> None:
        """A new firing and the columns of the steps that it took, whose ``run_id`` is set when they are written."""
        self._new.append((run, steps))

    @property
    def new_runs(self) -> Sequence[NewRun]:
        """The firings that are not written yet."""
        return [run for run, _ in self._new]

    async def write(self) -> None:
        """Write the firings in one statement, and their steps in another one."""
        new = [{name: getattr(run, name) for name in NewRun.__slots__} for run, _ in self._new]
        rows = [*self._skipped, *new]
        some = [run for run, taken in self._new if taken]
        if not some:
            await add_many(self.session, RuleRun, rows)
        else:
            ids = await self._write_runs(rows, some)
            steps = [step | {"run_id": ids[run.rule_id, run.event_id]} for run, taken in self._new for step in taken]
            await add_many(self.session, RunStep, steps)
        self._skipped.clear()
        self._new.clear()

    async def _write_runs(
        self, rows: Sequence[Mapping[str, Any]], some: Sequence[NewRun]
    ) -> Mapping[tuple[int, int], int]:
        """Write the rows, and say the ids of ``some`` by rule and event."""
        if self.session.get_bind().dialect.name == "postgresql":
            found = await add_many(self.session, RuleRun, rows, "id", "rule_id", "event_id")
        else:  # SQLite is asked for them, because it inserts rows one by one where the insert itself is to say them
            await add_many(self.session, RuleRun, rows)
            asked = {"rules": list({run.rule_id for run in some}), "events": list({run.event_id for run in some})}
            found = await fetch(self.session, _WRITTEN, asked)
        return {(rule_id, event_id): run_id for run_id, rule_id, event_id in found}

    async def ran(self, rule_id: int, subject: str) -> int:
        """How many times the rule ran on the subject within the last hour."""
        if self._counts is None:
            since = self.now - RATE_WINDOW
            asked = {"deals": list(self.deals), "contacts": list(self.contacts), "since": since}
            found = await fetch(self.session, _RAN, asked)
            self._counts = {(rule, of): count for rule, of, count in found}
        return self._counts.get((rule_id, subject), 0)
