"""A desk at which rules are made, deals are moved, and the runner works."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from pbxcrm.automation.models import AutomationEvent, AutomationRule, RuleRun, RunStep
from pbxcrm.automation.rule_actions import save_rule
from pbxcrm.automation.rule_checks import RuleDraft
from pbxcrm.automation.runner import run_due
from pbxcrm.deals.actions import edit_deal, move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.shared import reasons
from pbxcrm.shared.background_jobs import work_on
from pbxcrm.shared.db import Database
from pbxcrm.shared.timers import sweep
from pbxcrm.tasks.models import Task
from tests.calls import NOON
from tests.filled import Filled
from tests.office import Office

REGION = "UA"
A_TASK = {"kind": "task", "title": "Call them", "due": "2h"}


@dataclass
class RuleDesk:
    """The office with its first pipeline; ``stages``: ids by name, of open ones in their order."""

    database: Database
    office: Office
    now: datetime = NOON
    stages: dict[str, int] = field(default_factory=dict)

    async def rule(self, when: dict[str, Any], *steps: dict[str, Any], login: str = "admin", **more: Any) -> int:
        """Save a rule that is on; its id."""
        asked = {"name": "Rule", "state": "on", "owner_id": self.office.id("admin"), **more}
        rule_id = asked.pop("rule_id", None)
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login)
            draft = RuleDraft(when=when, steps=list(steps), **asked)
            rule = await save_rule(session, viewer, rule_id, draft, version=None, region=REGION, now=self.now)
        return rule.id or 0

    async def deal(self, *, login: str = "ivan", stage: str = "", **more: Any) -> int:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login)
            stage_id = self.stages[stage] if stage else None
            asked: dict[str, Any] = {"title": "Roof", "currency": "UAH", "region": REGION, "now": self.now, **more}
            deal = await create_deal(session, viewer, stage_id=stage_id, **asked)
        return deal.id or 0

    async def move(self, deal_id: int, stage: str, login: str = "ivan", **more: Any) -> None:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login)
            await move_deal(session, viewer, deal_id, self.stages[stage], version=None, now=self.now, **more)

    async def edit(self, deal_id: int, login: str = "ivan", **values: Any) -> None:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login)
            await edit_deal(session, viewer, deal_id, version=None, now=self.now, values=values)

    async def work(self, after: timedelta = timedelta()) -> int:
        """Let the runner handle what is due, ``after`` so long."""
        self.now += after
        return await run_due(self.database, self.now, REGION)

    async def tick(self, after: timedelta = timedelta()) -> None:
        """Let timers fire and jobs run ``after`` so long, and rules hear of it, as a worker does."""
        self.now += after
        await self.work()
        await sweep(self.database, self.now)
        await work_on(self.database, self.now)
        await self.work()

    async def runs(self, rule_id: int | None = None) -> Sequence[RuleRun]:
        async with self.database.read() as session:
            query = select(RuleRun).order_by(col(RuleRun.id))
            return (await session.exec(query if rule_id is None else query.where(RuleRun.rule_id == rule_id))).all()

    async def told(self, rule_id: int | None = None) -> list[tuple[str, str]]:
        """What became of each firing, and the sentence."""
        return [(run.status, reasons.text(run.reason)) for run in await self.runs(rule_id)]

    async def steps(self, run_id: int | None) -> list[tuple[str, str, str]]:
        async with self.database.read() as session:
            query = select(RunStep).where(RunStep.run_id == run_id).order_by(col(RunStep.id))
            return [(each.kind, each.status, reasons.text(each.result)) for each in (await session.exec(query)).all()]

    async def tasks(self) -> list[Task]:
        async with self.database.read() as session:
            return list((await session.exec(select(Task).order_by(col(Task.id)))).all())

    async def events(self) -> int:
        async with self.database.read() as session:
            return len((await session.exec(select(AutomationEvent))).all())

    async def row(self, deal_id: int) -> Deal:
        async with self.database.read() as session:
            return await session.get_one(Deal, deal_id)

    async def change(self, rule_id: int, **columns: Any) -> None:
        """Change a rule beside its door, as time or another version does."""
        async with self.database.write() as session:
            rule = await session.get_one(AutomationRule, rule_id)
            for name, value in columns.items():
                setattr(rule, name, value)


@pytest.fixture
async def desk(database: Database, begins_with_office: Filled[Office]) -> RuleDesk:
    return await open_rule_desk(database, begins_with_office.found(database))


async def open_rule_desk(database: Database, office: Office) -> RuleDesk:
    async with database.read() as session:
        stages = (await session.exec(select(Stage).order_by(col(Stage.position)))).all()
    return RuleDesk(database, office, stages={stage.name: stage.id or 0 for stage in stages})
