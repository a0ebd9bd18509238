"""After a failed attempt every page, in every tab, asks for the next task until it is set."""

from datetime import timedelta

from pbxcrm.calls.models import Call
from pbxcrm.deals.models import Deal
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock
from tests.integration.web.test_settings_pages import make_deal

PART = {"hx-request": "true", "hx-request-type": "partial"}


async def call(database: Database, clock: SetClock, deal_id: int, n: int, direction: str, outcome: str) -> None:
    async with database.write() as session:
        at = clock() + timedelta(seconds=n)
        session.add(
            Call(pbx="default", linkedid=f"9.{n}", direction=direction, outcome=outcome, started_at=at, deal_id=deal_id)
        )


async def test_a_failed_attempt_is_asked_for_everywhere_until_it_is_planned(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    olena, iryna, petro = await browser("olena"), await browser("iryna"), await browser("petro")
    for path in ("/tasks", "/board", "/calls", "/contacts"):
        assert 'hx-get="/owed-plans"' in (await olena.get(path)).text
    assert 'hx-get="/owed-plans"' not in (await petro.get("/board")).text  # quality control plans nothing
    assert "Двері" not in (await olena.get("/owed-plans")).text
    await call(database, clock, deal_id, 1, "inbound", "answered")
    assert "Двері" not in (await olena.get("/owed-plans")).text
    await call(database, clock, deal_id, 2, "outbound", "no_answer")
    assert "Двері" in (await olena.get("/owed-plans")).text
    assert "data-must-plan" in (await olena.get(f"/deals/{deal_id}")).text
    assert "Двері" not in (await iryna.get("/owed-plans")).text  # it is Olena's to plan
    # A question to a colleague plans nothing with the client.
    await olena.post(f"/deals/{deal_id}/note", data={"text": "@iryna what now?"})
    assert "Двері" in (await olena.get("/owed-plans")).text
    bad = await olena.post(f"/deals/{deal_id}/plan", data={"quick": "never"}, headers=PART)
    assert bad.status_code == 422
    answer = await olena.post(f"/deals/{deal_id}/plan", data={"quick": "2h"}, headers=PART)
    assert answer.status_code == 200
    assert "data-owed-deal" not in answer.text
    assert "data-owed-deal" not in (await olena.get("/owed-plans")).text
    assert "data-must-plan=" not in (await olena.get(f"/deals/{deal_id}")).text


async def test_a_later_talk_and_a_closed_deal_owe_nothing(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    olena = await browser("olena")
    await call(database, clock, deal_id, 1, "outbound", "busy")
    assert "data-owed-deal" in (await olena.get("/owed-plans")).text
    await call(database, clock, deal_id, 2, "outbound", "answered")
    assert "data-owed-deal" not in (await olena.get("/owed-plans")).text
    await call(database, clock, deal_id, 3, "outbound", "no_answer")
    async with database.write() as session:
        (await session.get_one(Deal, deal_id)).closed_at = clock()
    assert "data-owed-deal" not in (await olena.get("/owed-plans")).text
