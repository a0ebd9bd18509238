"""What the events that are handled in one transaction share: what stands around them is read once, and what became of them is written once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlmodel import SQLModel, col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.facts import RuleFacts
from pbxcrm.automation.models import RuleRun, RunStatus, RunStep
from pbxcrm.automation.queries import ActiveRules
from pbxcrm.automation.rules import RATE_WINDOW
from pbxcrm.automation.steps.step import Around
from pbxcrm.deals.models import Deal
from pbxcrm.shared.core_sql import add_rows, execute, one_of

_SKIP = insert(SQLModel.metadata.tables[str(RuleRun.__tablename__)])
_COUNTED = (RunStatus.DONE.value, RunStatus.FAILED.value, RunStatus.WAITING.value, RunStatus.WATCH.value)


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
    _new: list[tuple[RuleRun, list[RunStep]]] = field(default_factory=list)
    _counts: Mapping[tuple[int, str], int] | None = None

    def skip(self, row: dict[str, Any]) -> None:
        """A firing that did nothing: its columns."""
        self._skipped.append(row)

    def keep(self, run: RuleRun, steps: list[RunStep]) -> None:
        """A new firing and the steps that it took, whose ``run_id`` is set when they are written."""
        self._new.append((run, steps))

    @property
    def new_runs(self) -> Sequence[RuleRun]:
        """The firings that are not written yet."""
        return [run for run, _ in self._new]

    async def write(self) -> None:
        """Write the firings: two statements for all, and one for their steps."""
        await execute(self.session, _SKIP, self._skipped)
        self._skipped.clear()
        if not self._new:
            return
        await add_rows(self.session, *(run for run, _ in self._new))
        steps = []
        for run, taken in self._new:
            for step in taken:
                step.run_id = run.id or 0
                steps.append(step)
        await add_rows(self.session, *steps)
        self._new.clear()

    async def ran(self, rule_id: int, subject: str) -> int:
        """How many times the rule ran on the subject within the last hour."""
        if self._counts is None:
            mine = or_(
                one_of(self.session, col(RuleRun.deal_id), self.deals),
                one_of(self.session, col(RuleRun.contact_id), self.contacts),
            )
            counted = (mine, RuleRun.at > self.now - RATE_WINDOW, col(RuleRun.status).in_(_COUNTED))
            query = select(RuleRun.rule_id, RuleRun.subject, func.count()).where(*counted)
            found = await self.session.exec(query.group_by(col(RuleRun.rule_id), col(RuleRun.subject)))
            self._counts = {(rule, of): count for rule, of, count in found.all()}
        return self._counts.get((rule_id, subject), 0)
