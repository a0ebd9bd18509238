"""A change of many deals asks on the page whether rules shall hear it; the button of one deal does not."""

from datetime import timedelta

import pytest
from sqlmodel import select

from pbxcrm.automation.models import AutomationEvent, AutomationRule, RuleRun
from pbxcrm.automation.runner import run_due
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock
from tests.integration.web.test_automation_pages import PATH, stages, typed
from tests.integration.web.test_settings_pages import make_deal

HTMX = {"hx-request": "true"}
QUESTION = "1 rule of automation listens to this. Shall it hear of it?"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_the_question_stands_where_a_rule_listens(browser: Browsers, database: Database, clock: SetClock) -> None:
    await make_deal(database, clock)
    admin, olena = await browser("admin"), await browser("olena")
    for page in ("/board", "/deals"):
        assert "of automation" not in (await olena.get(page)).text
    assert (await admin.post(f"{PATH}/new", data=typed((await stages(database))["Invoice issued"]))).status_code == 303
    for page in ("/board", "/deals"):
        text = (await olena.get(page)).text
        assert text.count(QUESTION) == 2, "of a move and of losing them, not of a tag or of another person"
        assert text.count('name="heard" value="0" required') == 2
    async with database.write() as session:
        (await session.get_one(AutomationRule, 1)).paused_until = clock() + timedelta(days=1)
    assert "of automation" not in (await olena.get("/board")).text, "a rule that is paused hears nothing"


@pytest.mark.parametrize(("heard", "runs"), [({"heard": "0"}, 0), ({"heard": "1"}, 1), ({}, 1)])
async def test_the_answer_holds_for_the_act_and_its_undo(
    browser: Browsers, database: Database, clock: SetClock, heard: dict[str, str], runs: int
) -> None:
    _client, deal_id = await make_deal(database, clock)
    admin, olena = await browser("admin"), await browser("olena")
    stage_id = (await stages(database))["Invoice issued"]
    assert (await admin.post(f"{PATH}/new", data=typed(stage_id))).status_code == 303
    data = {"bulk_act": "move", "stage_id": str(stage_id), "chosen": f"{deal_id}:1", "pipeline_id": "1", **heard}
    done = await olena.post("/board/bulk", data=data, headers=HTMX)
    assert "1 deal done" in done.text
    assert ("rules do not hear it" in done.text) is (runs == 0)
    assert (await olena.post("/board/bulk/1/undo", headers=HTMX)).status_code == 200
    await run_due(database, clock(), "UA")
    async with database.read() as session:
        found = (await session.exec(select(RuleRun))).all()
        events = (await session.exec(select(AutomationEvent))).all()
    assert len(found) == runs
    assert runs or not [each for each in events if each.act == "deal.moved" and "unheard" not in each.data]
