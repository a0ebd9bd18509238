"""Pipelines and stages on the pages of the administrator."""

import re

import pytest
from sqlmodel import select

from pbxcrm.calls.models import Line
from pbxcrm.deals.models import Pipeline, Stage
from pbxcrm.deals.seed import seed
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers


@pytest.fixture(autouse=True)
async def _seeded(database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")


def order(page: str) -> list[str]:
    return re.findall(r'<li data-stage="(\d+)"', page)


async def test_a_pipeline_is_made_from_a_template_and_its_stages_are_put_in_order(browser: Browsers) -> None:
    admin, iryna = await browser("admin"), await browser("iryna")
    assert (await iryna.get("/settings/pipelines")).status_code == 403
    assert "Cold sales" in (await admin.get("/settings/pipelines/new")).text
    made = await admin.post("/settings/pipelines/new", data={"template": "cold", "name": ""})
    assert made.status_code == 303
    path = made.headers["location"]
    before = order((await admin.get(path)).text)
    moved = await admin.post(f"/settings/stages/{before[0]}/position", data={"position": "1"})
    assert order(moved.text)[:2] == [before[1], before[0]]
    assert order((await admin.get(path)).text)[:2] == [before[1], before[0]]
    assert "Cold sales" in (await admin.get("/board")).text  # among the pipelines of the board


async def test_a_stage_is_edited_split_and_removed(browser: Browsers) -> None:
    admin = await browser("admin")
    page = (await admin.get("/settings/stages/1")).text
    assert re.search(r'name="norm"[^>]* value="1"', page)  # an hour
    form = {"name": "Fresh request", "kind": "open", "norm": "0", "norm_unit": "h", "probability": "10", "version": "1"}
    wrong = await admin.post("/settings/stages/1", data=form)
    assert (wrong.status_code, 'id="f-norm-error"' in wrong.text) == (422, True)
    assert 'value="Fresh request"' in wrong.text  # what was typed is not lost
    saved = await admin.post("/settings/stages/1", data={**form, "norm": "2", "fields": ["amount"]})
    assert saved.status_code == 303
    assert "Fresh request" in (await admin.get("/settings/pipelines/1")).text
    assert (
        await admin.post("/settings/stages/1", data={**form, "norm": "3"})
    ).status_code == 409  # of the first version
    assert (await admin.post("/settings/stages/1/split", data={"name": "Fresh request"})).status_code == 422
    assert (await admin.post("/settings/stages/1/split", data={"name": "Looked at"})).status_code == 303
    assert "No deal is in this stage" in (await admin.get("/settings/stages/1/remove")).text
    assert (await admin.post("/settings/stages/1/remove")).status_code == 303
    assert (await admin.get("/settings/stages/1")).status_code == 404


async def test_a_stage_with_deals_asks_where_they_go(browser: Browsers) -> None:
    admin = await browser("admin")
    made = await admin.post("/deals/new", data={"title": "Fence", "stage_id": "4"})
    assert made.status_code == 303
    assert "1 deal is in this stage" in (await admin.get("/settings/stages/4/remove")).text
    nowhere = await admin.post("/settings/stages/4/remove")
    assert (nowhere.status_code, 'id="f-move_to-error"' in nowhere.text) == (422, True)
    lost = await admin.post("/settings/stages/4/remove", data={"move_to": "11"})
    assert (lost.status_code, "Say why the deal is lost" in lost.text) == (422, True)
    assert (await admin.post("/settings/stages/4/remove", data={"move_to": "5"})).status_code == 303
    assert "Proposal sent" in (await admin.get("/deals/1")).text


async def test_a_move_that_lacks_a_field_asks_for_it_and_completes(browser: Browsers) -> None:
    admin = await browser("admin")
    form = {
        "name": "Proposal sent",
        "kind": "open",
        "norm": "3",
        "norm_unit": "d",
        "fields": ["amount"],
        "version": "1",
    }
    assert (await admin.post("/settings/stages/5", data=form)).status_code == 303
    await admin.post("/deals/new", data={"title": "Fence", "stage_id": "4"})
    refused = await admin.post("/deals/1/move", data={"stage_id": "5", "version": "1"})
    assert (refused.status_code, 'name="amount"' in refused.text) == (422, True)
    answers = {"stage_id": "5", "version": "1", "asked": "field.amount", "amount": "much"}
    wrong = await admin.post("/deals/1/move", data=answers)
    assert (wrong.status_code, 'id="f-amount-error"' in wrong.text) == (422, True)
    assert (await admin.post("/deals/1/move", data={**answers, "amount": "1 200,50"})).status_code == 303
    assert "1\u00a0200,50" in (await admin.get("/deals/1")).text or "1,200.50" in (await admin.get("/deals/1")).text


async def test_a_stage_says_that_nobody_minds_its_norm(browser: Browsers) -> None:
    admin = await browser("admin")
    said = "No checkpoint watches this stage"
    assert said in (await admin.get("/settings/stages/4")).text  # Call held: nobody waits there
    assert said not in (await admin.get("/settings/stages/5")).text  # Proposal sent is a key stage


async def test_a_pipeline_and_a_line_have_their_schedule_of_attempts(browser: Browsers, database: Database) -> None:
    admin = await browser("admin")
    path, form = "/settings/pipelines/1", {"name": "Sales", "is_default": "1", "carries": "client"}
    for wrong, field in (
        ({"attempt_minutes": "soon"}, "attempt_minutes"),
        ({"attempts_then": "manager"}, "attempt_minutes"),  # after which attempts?
        ({"attempt_minutes": "10", "attempts_then": "stage"}, "attempts_stage_id"),
        ({"attempt_minutes": "10", "attempts_then": "stage", "attempts_stage_id": "9999"}, "attempts_stage_id"),
    ):
        refused = await admin.post(path, data={**form, **wrong})
        assert (refused.status_code, f'id="f-{field}-error"' in refused.text) == (422, True), wrong
    typed = {"attempt_minutes": "10, 120; 0", "attempts_then": "stage", "attempts_stage_id": "4"}
    assert (await admin.post(path, data={**form, **typed})).status_code == 303
    assert 'value="10, 120, 0"' in (await admin.get(path)).text
    async with database.read() as session:
        assert (await session.get_one(Pipeline, 1)).attempt_schedule == {
            "minutes": [10, 120, 0],
            "then": "stage",
            "stage_id": 4,
        }
    line = {"name": "Shop", "makes_callbacks": "1", "attempt_minutes": "1, 120, 0", "attempts_then": "manager"}
    preview = (await admin.post("/settings/lines/preview", data=line)).text.replace("\xa0", " ")
    said = "in working time: after 1 min, after 2 h, on the next working morning; then the manager"
    assert said in preview
    line["attempt_minutes"] = "30"
    assert (await admin.post("/settings/lines/new", data=line)).status_code == 303
    async with database.read() as session:
        made = (await session.exec(select(Line))).one()
    assert made.attempt_schedule == {"minutes": [30], "then": "manager", "stage_id": None}
    assert 'value="30"' in (await admin.get(f"/settings/lines/{made.id}")).text
    assert (await admin.post(path, data=form)).status_code == 303  # emptied: the general one holds again
    async with database.read() as session:
        assert (await session.get_one(Pipeline, 1)).attempt_schedule == {}


async def test_a_shipped_name_is_edited_in_the_readers_language_and_stays_translated(
    browser: Browsers, database: Database
) -> None:
    admin = await browser("admin")
    await admin.post("/profile/look", data={"language": "uk"})
    assert 'value="Нова заявка"' in (await admin.get("/settings/stages/1")).text
    form = {"name": "Нова заявка", "kind": "open", "norm": "2", "norm_unit": "h", "probability": "10", "version": "1"}
    assert (await admin.post("/settings/stages/1", data=form)).status_code == 303
    assert 'value="Нові продажі"' in (await admin.get("/settings/pipelines/1")).text
    saved = await admin.post("/settings/pipelines/1", data={"name": "Нові продажі", "version": "1", "is_default": "on"})
    assert saved.status_code == 303
    async with database.read() as session:
        stage, pipeline = await session.get(Stage, 1), await session.get(Pipeline, 1)
        assert stage is not None
        assert pipeline is not None
        assert (stage.name, stage.norm_minutes, pipeline.name) == ("New request", 120, "New business")


async def test_a_norm_of_ten_years_is_refused_at_its_field(browser: Browsers) -> None:
    admin = await browser("admin")
    typed = {"name": "Call", "kind": "open", "norm": "3652", "norm_unit": "d", "probability": "10", "version": "1"}
    for path in ("/settings/stages/3", "/settings/pipelines/1/stages/new"):
        refused = await admin.post(path, data=typed)
        assert (refused.status_code, 'id="f-norm-error"' in refused.text) == (422, True), path
        assert 'value="3652"' in refused.text


async def test_a_removed_stage_keeps_what_another_typed_and_can_be_brought_back(browser: Browsers) -> None:
    admin, other = await browser("admin"), await browser("admin")
    assert "Bring back" not in (await admin.get("/settings/pipelines/1")).text
    assert (await admin.post("/settings/stages/5/remove")).status_code == 303
    typed = {"name": "Typed name", "kind": "open", "norm": "7", "norm_unit": "h", "probability": "10", "version": "1"}
    late = await other.post("/settings/stages/5", data=typed)
    assert (late.status_code, 'value="Typed name"' in late.text, 'href="/settings/pipelines/1"' in late.text) == (
        409,
        True,
        True,
    )
    page = (await admin.get("/settings/pipelines/1")).text
    assert 'action="/settings/stages/5/restore"' in page
    assert (await admin.post("/settings/stages/5/restore")).status_code == 303
    page = (await admin.get("/settings/pipelines/1")).text
    assert ('data-stage="5"' in page, "/restore" in page) == (True, False)
    assert (await admin.post("/settings/stages/5/restore")).status_code == 409
    assert (await other.post("/settings/stages/5", data={**typed, "version": "3"})).status_code == 303
