"""Mass changes beside the bulk bar ask whether rules shall hear them: removing a stage, amounts by lines, escalations given away together."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlmodel import select

from pbxcrm.automation.models import AutomationEvent, AutomationRule
from pbxcrm.automation.rules import DEAF
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal, Pipeline
from pbxcrm.money.line_actions import add_line
from pbxcrm.money.line_drafts import LineDraft
from pbxcrm.people.queries import get_user_by_login, viewer_of
from pbxcrm.shared.db import Database
from pbxcrm.shared.timers import sweep
from tests.calls import NOON
from tests.integration.callbacks.conftest import MISSED_AT
from tests.integration.web.callback_site import CallbackSite, desk, press, site
from tests.integration.web.conftest import Browsers, SetClock
from tests.integration.web.test_automation_pages import PATH, stages, typed
from tests.lamps import sweep_all

__all__ = ["desk", "site"]
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ANSWERS = pytest.mark.parametrize(("heard", "expected"), [("1", True), ("0", False)])
MORE_THAN_AT_ONCE = 10


async def make_deals(database: Database, clock: SetClock, stage_id: int, number: int) -> list[int]:
    async with database.write() as session:
        user = await get_user_by_login(session, "olena")
        assert user is not None
        viewer = await viewer_of(session, user)
        made = [
            await create_deal(
                session,
                viewer,
                title=f"Door {n}",
                now=clock(),
                currency="UAH",
                region="UA",
                stage_id=stage_id,
                client_number=f"+38067111000{n}",
            )
            for n in range(number)
        ]
        return [deal.id or 0 for deal in made]


async def heard_of(database: Database, act: str) -> set[int]:
    """The deals of which rules hear such an act."""
    async with database.read() as session:
        events = (await session.exec(select(AutomationEvent).where(AutomationEvent.act == act))).all()
        return {each.deal_id or 0 for each in events if DEAF not in each.data}


@ANSWERS
async def test_a_removed_stage(
    browser: Browsers, database: Database, clock: SetClock, heard: str, *, expected: bool
) -> None:
    known, admin = await stages(database), await browser("admin")
    left, to = known["Call held"], known["Invoice issued"]
    ids = await make_deals(database, clock, left, MORE_THAN_AT_ONCE)
    page, question = f"/settings/stages/{left}/remove", 'name="heard"'
    assert question not in (await admin.get(page)).text
    assert (await admin.post(f"{PATH}/new", data=typed(to))).status_code == 303
    assert question in (await admin.get(page)).text
    assert question not in (await admin.get(f"/settings/stages/{to}/remove")).text, "nothing enters the stage that goes"
    assert (await admin.post(page, data={"move_to": str(to), "heard": heard})).status_code == 303
    await sweep(database, clock() + timedelta(minutes=2))
    async with database.read() as session:
        assert {deal.stage_id for deal in (await session.exec(select(Deal))).all()} == {to}
    assert await heard_of(database, "deal.moved") == (set(ids) if expected else set())


@ANSWERS
async def test_amounts_that_become_the_sums_of_lines(
    browser: Browsers, database: Database, clock: SetClock, heard: str, *, expected: bool
) -> None:
    known, admin = await stages(database), await browser("admin")
    (deal_id,) = await make_deals(database, clock, known["Unsorted"], 1)
    async with database.write() as session:
        user = await get_user_by_login(session, "olena")
        assert user is not None
        await add_line(
            session,
            await viewer_of(session, user),
            deal_id,
            LineDraft(name="Door", quantity=Decimal(1), price=Decimal(900)),
            clock(),
        )
        pipeline = (await session.exec(select(Pipeline))).one()
    page = f"/settings/pipelines/{pipeline.id}"
    form = {"name": "B2B", "longest_plan_days": "30", "is_default": "1", "amount_by_lines": "1", "version": "1"}
    rule = typed(known["Unsorted"], **{"when.kind": "sum_reached", "when.amount": "500"})
    assert 'name="heard"' not in (await admin.get(page)).text
    assert (await admin.post(f"{PATH}/new", data=rule)).status_code == 303
    assert 'name="heard"' in (await admin.get(page)).text
    unanswered = await admin.post(page, data=form)
    assert (unanswered.status_code, "Say whether rules shall hear" in unanswered.text) == (422, True)
    assert (await admin.post(page, data={**form, "heard": heard})).status_code == 303
    await sweep(database, clock())
    async with database.read() as session:
        assert (await session.get_one(Deal, deal_id)).amount == 900
    assert await heard_of(database, "deal.edited") == ({deal_id} if expected else set())
    assert 'name="heard"' not in (await admin.get(page)).text, "they are sums already"


@ANSWERS
async def test_escalations_that_are_given_away_together(site: CallbackSite, heard: str, *, expected: bool) -> None:
    for n in (1, 2):
        await site.desk.miss(f"+38050111000{n}")
    for minutes in (20, 40):
        await sweep_all(site.desk.database, MISSED_AT + timedelta(minutes=minutes))
    site.now = MISSED_AT + timedelta(minutes=45)
    maria = await site.open("maria")
    assert 'name="heard"' not in (await maria.get("/escalations")).text
    async with site.desk.database.write() as session:
        when = {"kind": "field_changed", "fields": ["responsible"]}
        rule = AutomationRule(
            name="New owner",
            owner_id=site.desk.office.id("admin"),
            state="on",
            mode="once",
            when=when,
            steps=[{"kind": "stop"}],
            created_at=NOON,
        )
        session.add(rule)
    assert 'name="heard"' in (await maria.get("/escalations")).text
    chosen = {"ids": [lamp.id for lamp in await site.desk.rows(Lamp) if lamp.is_escalation], "heard": heard}
    olena = site.desk.office.id("olena")
    answer = await press(maria, "/escalations/reassign", "/escalations", user_id=olena, **chosen)
    assert ("&amp;heard=0" in answer.text) is not expected
    deals = {deal.id for deal in await site.desk.rows(Deal) if deal.responsible_id == olena}
    assert len(deals) == 2
    assert await heard_of(site.desk.database, "deal.assigned") == (deals if expected else set())
