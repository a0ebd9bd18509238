"""The ways in which a rule moves a deal or makes one, and in which its move is taken back; ``test_gates`` tries them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from pbxcrm.automation.models import RuleRun
from pbxcrm.automation.rule_actions import save_rule
from pbxcrm.automation.rule_checks import RuleDraft
from pbxcrm.automation.runner import run_due
from pbxcrm.automation.undo_actions import undo_run
from pbxcrm.deals.actions import edit_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageKind
from tests.calls import NOON
from tests.integration.callbacks.conftest import CallbackDesk

SOON = NOON + timedelta(minutes=3)


async def _later_stage(desk: CallbackDesk) -> Stage:
    async with desk.database.read() as session:
        query = select(Stage).where(Stage.kind == StageKind.OPEN.value).order_by(col(Stage.position).desc())
        return (await session.exec(query.limit(1))).one()


async def _rule(desk: CallbackDesk, *steps: dict[str, Any]) -> Deal:
    """A deal, and a rule that takes these steps when its title changes."""
    async with desk.database.write() as session:
        ivan = await desk.viewer("ivan")
        await create_deal(
            session, ivan, title="Books", now=NOON, currency="UAH", region="UA", client_number="+380671112255"
        )
        admin = await desk.viewer("admin")
        draft = RuleDraft(
            "Rule", admin.user_id, {"kind": "field_changed", "fields": ["title"]}, list(steps), state="on"
        )
        await save_rule(session, admin, None, draft, version=None, region="UA", now=NOON)
    return await desk.one(Deal)


async def _set_off(desk: CallbackDesk, deal: Deal) -> None:
    async with desk.database.write() as session:
        ivan = await desk.viewer("ivan")
        await edit_deal(session, ivan, deal.id or 0, version=None, now=SOON, values={"title": "Shelves"})
    await run_due(desk.database, SOON, "UA")


async def by_rule(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    stage = await _later_stage(desk)
    deal = await _rule(desk, {"kind": "move", "stage_id": stage.id})
    refuse()
    await _set_off(desk, deal)


async def by_undone_rule(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    stage = await _later_stage(desk)
    await _set_off(desk, await _rule(desk, {"kind": "move", "stage_id": stage.id}))
    refuse()
    run, ivan = await desk.one(RuleRun), await desk.viewer("ivan")
    async with desk.database.write() as session:
        await undo_run(session, ivan, run.id or 0, SOON)


async def by_rule_that_makes(desk: CallbackDesk) -> None:
    """A deal of the same client in another pipeline; its gate is that of every deal that the product makes by itself."""
    async with desk.database.write() as session:
        pipeline = Pipeline(name="Repeat", position=9)
        session.add(pipeline)
        await session.flush()
        stage = Stage(pipeline_id=pipeline.id or 0, name="First", kind=StageKind.OPEN.value, position=0)
        session.add(stage)
    await _set_off(desk, await _rule(desk, {"kind": "deal", "stage_id": stage.id}))
