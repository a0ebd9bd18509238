"""Pipelines and stages as programs change them, and what follows when a deal is closed."""

from typing import Any

from httpx2 import AsyncClient
from sqlmodel import select

from pbxcrm.calls.models import Line
from pbxcrm.deals.clearing_actions import CLEAR_AT_ONCE, CLEAR_BATCH
from pbxcrm.deals.models import Deal
from pbxcrm.shared import timers
from tests.calls import NOON
from tests.integration.api.conftest import Programs
from tests.integration.api.test_writing import TOMORROW, assert_problem
from tests.statements import statements


async def test_a_schedule_and_a_line_do_not_name_a_stage_that_is_gone(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        made = await make(client, template="six", attempts={"minutes": [10], "then": "manager"})
        assert made["attempts"] == {"minutes": [10], "then": "manager", "stage_id": None}
        first, second, third = [stage["id"] for stage in made["stages"] if stage["kind"] == "open"][:3]
        path = f"/api/v1/pipelines/{made['id']}"
        await client.patch(path, json={"attempts": {"minutes": [10], "then": "stage", "stage_id": first}})
        async with programs.db.write() as session:
            schedule = {"minutes": [5], "then": "stage", "stage_id": first}
            session.add(Line(name="Ads", pipeline_id=made["id"], stage_id=first, attempt_schedule=schedule))
        assert (await client.post(f"/api/v1/stages/{first}/archive", json={"move_to": second})).status_code == 200
        assert (await client.get(path)).json()["attempts"] == {"minutes": [10], "then": "stage", "stage_id": second}
        async with programs.db.read() as session:
            line = (await session.exec(select(Line))).one()
        assert (line.stage_id, line.attempt_schedule["stage_id"]) == (second, second)
        assert (await client.post(f"/api/v1/stages/{second}/archive", json={"move_to": None})).status_code == 200
        assert (await client.get(path)).json()["attempts"] == {"minutes": [10], "then": "manager", "stage_id": None}
        assert third in [stage["id"] for stage in (await client.get(path)).json()["stages"]]


async def make(client: AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/pipelines", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def of_kind(pipeline: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(stage for stage in pipeline["stages"] if stage["kind"] == kind)
    return found


async def test_every_template_makes_a_pipeline_that_works(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        for template in ("leads", "cold", "repeat", "six", "complaint", "event"):
            made = await make(client, template=template)
            kinds = {stage["kind"] for stage in made["stages"]}
            assert {"open", "won", "lost"} <= kinds
            assert any(stage["waits_for_client"] for stage in made["stages"])
        assert_problem(
            await client.post("/api/v1/pipelines", json={"template": "leads"}), 422, "pipelines.name_taken", "name"
        )
        b2b = await make(client, name="Second", template="b2b")
        assert len([stage for stage in b2b["stages"] if stage["waits_for_client"]]) == 6
        empty = await make(client, name="Empty")
        assert sorted(stage["kind"] for stage in empty["stages"]) == ["didnt_reach", "lost", "open", "unsorted", "won"]


async def test_stages_are_added_renamed_reordered_split_and_removed(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        pipeline = await make(client, name="Mine")
        path = f"/api/v1/pipelines/{pipeline['id']}"
        body = {
            "name": "Meeting held",
            "norm_minutes": 120,
            "probability": 40,
            "instruction": "Hand over the sample.",
            "waits_for_client": True,
            "extra_control": True,
            "colour": "teal",
            "requires": {"fields": ["amount"], "next_task": True},
        }
        made = await client.post(f"{path}/stages", json=body)
        assert made.status_code == 201, made.text
        stage = made.json()
        assert {name: stage[name] for name in body if name != "requires"} == {
            name: value for name, value in body.items() if name != "requires"
        }
        assert stage["requires"] == {"fields": ["amount"], "files": 0, "lost_reason": False, "next_task": True}
        names = [each["name"] for each in (await client.get(path)).json()["stages"]]
        assert names.index("Meeting held") == len(names) - 3  # before won and lost
        moved = await client.patch(f"/api/v1/stages/{stage['id']}", json={"position": 0, "norm_minutes": None})
        assert (moved.json()["position"], moved.json()["norm_minutes"]) == (0, None)
        stale = await client.patch(f"/api/v1/stages/{stage['id']}", json={"name": "x", "version": 1})
        assert_problem(stale, 409, "pipelines.stale")
        half = (await client.post(f"/api/v1/stages/{stage['id']}/split", json={"name": "Silent after it"})).json()
        assert (half["position"], half["requires"]) == (1, stage["requires"])
        gone = await client.post(f"/api/v1/stages/{half['id']}/archive", json={})
        assert (gone.json()["stage"]["archived"], gone.json()["deals"]) == (True, 0)
        assert "Silent after it" not in [each["name"] for each in (await client.get(path)).json()["stages"]]
        for change, code, field in (
            ({"name": "Won"}, None, None),
            ({"kind": "open", "name": "Meeting held"}, "stages.name_taken", "name"),
            ({"name": "y", "requires": {"fields": ["shoe_size"]}}, "stages.no_field", "requires"),
            ({"name": "y", "requires": {"files": 21}}, "api.value", "requires.files"),
        ):
            answer = await client.post(f"{path}/stages", json=change)
            if code:
                assert_problem(answer, 422, code, field)
            if code == "stages.no_field":
                assert "amount" in answer.json()["detail"]
        lost = of_kind((await client.get(path)).json(), "lost")
        assert_problem(await client.post(f"/api/v1/stages/{lost['id']}/archive", json={}), 422, "stages.kinds", "kind")
    async with await programs.as_("ivan") as client:
        assert (await client.post("/api/v1/pipelines", json={"name": "Ivan's"})).status_code == 403


async def test_a_removed_stage_comes_back_to_its_place(programs: Programs) -> None:
    """In whatever order stages are removed and brought back, and between the same neighbours after others were moved or added."""
    async with await programs.as_("admin") as client:
        pipeline = await make(client, name="Mine", template="b2b")
        path = f"/api/v1/pipelines/{pipeline['id']}"
        before = [stage["id"] for stage in pipeline["stages"]]
        first, second, third, fourth = before[3:7]  # open ones

        async def order() -> list[int]:
            found = (await client.get(path)).json()["stages"]
            assert [stage["position"] for stage in found] == list(range(len(found)))
            return [stage["id"] for stage in found]

        for removed in ((second, third), (third, second)):
            for returning in (removed, removed[::-1]):
                for stage in removed:
                    gone = await client.post(f"/api/v1/stages/{stage}/archive", json={})
                    assert gone.json()["stage"]["position"] == before.index(second) + (
                        stage == third and removed[0] == third
                    )
                for stage in returning:
                    back = await client.post(f"/api/v1/stages/{stage}/restore")
                    assert (back.status_code, back.json()["archived"]) == (200, False)
                assert await order() == before

        assert (await client.post(f"/api/v1/stages/{second}/archive", json={})).status_code == 200
        new = (await client.post(f"{path}/stages", json={"name": "New", "position": 0})).json()
        assert (await client.patch(f"/api/v1/stages/{fourth}", json={"position": 0})).json()["position"] == 0
        placed = (await client.post(f"/api/v1/stages/{second}/restore")).json()["position"]
        now = await order()
        assert now[:2] == [fourth, new["id"]]
        assert now[placed - 1 : placed + 2] == [first, second, third]
        again = await client.post(f"/api/v1/stages/{second}/restore")
        assert_problem(again, 409, "stages.not_archived")


async def test_a_removed_stage_gives_its_deals_away_with_their_history(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        pipeline = await make(client, name="Mine", template="b2b")
        stages = {stage["name"]: stage["id"] for stage in pipeline["stages"]}
        deals = [
            (await client.post("/api/v1/deals", json={"title": f"Fence {n}", "stage_id": stages["Call held"]})).json()
            for n in range(3)
        ]
        path = f"/api/v1/stages/{stages['Call held']}/archive"
        assert_problem(await client.post(path, json={}), 422, "stages.move_to", "move_to")
        refused = await client.post(path, json={"move_to": stages["Lost"]})
        assert_problem(refused, 422, "deals.gate", "lost_reason")
        assert (await client.post(path, json={"move_to": stages["Proposal sent"]})).json()["deals"] == 3
        for deal in deals:
            now = (await client.get(f"/api/v1/deals/{deal['id']}")).json()
            assert (now["stage"], now["version"]) == ("Proposal sent", deal["version"] + 1)
        back = await client.patch(f"/api/v1/deals/{deals[0]['id']}", json={"stage_id": stages["Call held"]})
        assert_problem(back, 422, "deals.no_stage", "stage_id")


async def test_many_deals_leave_in_batches(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        pipeline = await make(client, name="Mine", template="b2b")
        stages = {stage["name"]: stage["id"] for stage in pipeline["stages"]}
        count = CLEAR_AT_ONCE + CLEAR_BATCH + 3
        for n in range(count):
            body = {"title": f"Fence {n}", "stage_id": stages["Call held"]}
            assert (await client.post("/api/v1/deals", json=body)).status_code == 201
        path = f"/api/v1/stages/{stages['Call held']}/archive"
        with statements(programs.db) as sent:
            answer = await client.post(path, json={"move_to": stages["Proposal sent"]})
        assert (answer.status_code, answer.json()["deals"]) == (200, count), answer.text
        people = [statement for statement in sent if "FROM mobile_numbers" in statement]
        assert len(people) <= 3, "who works here is not read again for each deal"
        for _batch in range(2):
            await timers.sweep(programs.db, NOON)
    async with programs.db.read() as session:
        stood = (await session.exec(select(Deal.id).where(Deal.stage_id == stages["Call held"]))).all()
        moved = (await session.exec(select(Deal.id).where(Deal.stage_id == stages["Proposal sent"]))).all()
    assert (len(stood), len(moved)) == (0, count)


async def test_a_stage_asks_for_fields_and_a_next_task(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        pipeline = await make(client, name="Mine", template="b2b")
        stages = {stage["name"]: stage["id"] for stage in pipeline["stages"]}
        requires = {"fields": ["amount", "source"], "next_task": True}
        await client.patch(f"/api/v1/stages/{stages['Proposal sent']}", json={"requires": requires})
        deal = (await client.post("/api/v1/deals", json={"title": "Fence", "stage_id": stages["Call held"]})).json()
        path = f"/api/v1/deals/{deal['id']}"
        refused = await client.patch(path, json={"stage_id": stages["Proposal sent"]})
        assert_problem(refused, 422, "deals.gate", "amount")
        assert [(each["kind"], each["key"]) for each in refused.json()["missing"]] == [
            ("field", "amount"),
            ("field", "source"),
            ("next_task", "next_task"),
        ]
        assert [each["message"] for each in refused.json()["missing"]] == [
            "Fill in “Amount”.",
            "Fill in “Source”.",
            "This stage asks for a next task with a date.",
        ]
        task = {"title": "Call", "due_at": TOMORROW, "deal_id": deal["id"]}
        assert (await client.post("/api/v1/tasks", json=task)).status_code == 201
        moved = await client.patch(
            path, json={"stage_id": stages["Proposal sent"], "amount": "100.00", "source": "Fair"}
        )
        assert moved.json()["stage"] == "Proposal sent", moved.text


async def test_a_won_deal_goes_on_once_and_is_taken_back(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        repeat = await make(client, template="repeat")
        leads = await make(client, template="leads", next_pipeline_id=repeat["id"], carries=["client", "amount"])
        assert leads["next_pipeline_id"] == repeat["id"]
        circle = await client.patch(f"/api/v1/pipelines/{repeat['id']}", json={"next_pipeline_id": leads["id"]})
        assert_problem(circle, 422, "pipelines.circle", "next_pipeline_id")
        own = await client.patch(f"/api/v1/pipelines/{repeat['id']}", json={"next_pipeline_id": repeat["id"]})
        assert own.status_code == 200  # repeat sales follow themselves
        asks = await client.patch(f"/api/v1/pipelines/{repeat['id']}", json={"asks_why_lost": True})
        assert asks.status_code == 200
        first, won = leads["stages"][0]["id"], of_kind(leads, "won")["id"]
        contact = (await client.post("/api/v1/contacts", json={"name": "Olga", "phones": ["0671110001"]})).json()
        body = {"title": "Fence", "stage_id": first, "amount": "500.00", "contact_id": contact["id"], "source": "Fair"}
        deal = (await client.post("/api/v1/deals", json=body)).json()
        path = f"/api/v1/deals/{deal['id']}"

        async def followers() -> list[dict[str, Any]]:
            items = (await client.get(f"/api/v1/deals?contact_id={contact['id']}")).json()["items"]
            return [each for each in items if each["pipeline"] == repeat["name"]]

        await client.patch(path, json={"stage_id": won})
        [following] = await followers()
        assert (following["title"], following["amount"], following["source"]) == ("Fence", "500.00", "")
        assert "goes on" in following["reason"]
        await client.patch(path, json={"stage_id": first})
        [following] = await followers()
        assert (following["stage_kind"], following["lost_reason"]) == ("lost", "The win was taken back")
        tasks = (await client.get(f"/api/v1/tasks?deal_id={following['id']}")).json()["items"]
        assert tasks == []  # nobody is asked why: it went with the win
        assert (await client.get("/api/v1/reports/losses")).json()["totals"]["lost"] == 0
        figures = (await client.get("/api/v1/reports/own_kpi")).json()["rows"]
        assert [row["values"]["value"] for row in figures if row["key"] == "lost"] == [0]
        await client.patch(path, json={"stage_id": won})
        assert sorted(each["stage_kind"] for each in await followers()) == ["lost", "open"]
        await client.patch(path, json={"stage_id": won})
        assert len(await followers()) == 2


async def test_a_lost_deal_is_asked_about(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        cold = await make(client, template="cold")
        assert cold["asks_why_lost"]
        deal = (await client.post("/api/v1/deals", json={"title": "Fence", "stage_id": cold["stages"][0]["id"]})).json()
        lost = {"stage_id": of_kind(cold, "lost")["id"], "lost_reason": "Too expensive"}
        await client.patch(f"/api/v1/deals/{deal['id']}", json=lost)
        tasks = (await client.get(f"/api/v1/tasks?deal_id={deal['id']}")).json()["items"]
        assert [task["title"] for task in tasks] == ["Find out why it is lost: Fence"]
        assert "Too expensive" in tasks[0]["reason"]


async def test_a_pipeline_has_its_schedule_of_attempts(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        made = await make(client, template="cold")
        assert made["attempts"] is None
        path, other = f"/api/v1/pipelines/{made['id']}", await make(client, template="event")
        asked = {"minutes": [10, 0], "then": "stage", "stage_id": of_kind(made, "lost")["id"]}
        assert (await client.patch(path, json={"attempts": asked})).json()["attempts"] == asked
        foreign = {**asked, "stage_id": of_kind(other, "lost")["id"]}
        refused = await client.patch(path, json={"attempts": foreign})
        assert_problem(refused, 422, "deals.other_pipeline", "attempts.stage_id")
        early = {"name": "Later", "attempts": {**asked, "stage_id": None}}
        assert_problem(await client.post("/api/v1/pipelines", json=early), 422, "attempts.stage", "attempts.stage_id")
        assert (await client.patch(path, json={"attempts": {"minutes": []}})).status_code == 422
        assert (await client.patch(path, json={"asks_why_lost": True})).json()["attempts"] == asked
        assert (await client.patch(path, json={"attempts": None})).json()["attempts"] is None


async def test_the_deals_of_a_removed_stage_stay_in_their_pipeline(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        made, other = await make(client, template="six"), await make(client, template="event")
        gone = next(stage["id"] for stage in made["stages"] if stage["kind"] == "open")
        attempts = {"minutes": [10], "then": "stage", "stage_id": gone}
        path, archive = f"/api/v1/pipelines/{made['id']}", f"/api/v1/stages/{gone}/archive"
        await client.patch(path, json={"attempts": attempts})
        foreign = {"move_to": of_kind(other, "lost")["id"]}
        for deals in range(2):  # an empty stage, too: its schedule of attempts would name the other pipeline
            assert_problem(await client.post(archive, json=foreign), 422, "deals.other_pipeline", "move_to")
            await client.post("/api/v1/deals", json={"title": f"Fence {deals}", "stage_id": gone})
        kept = (await client.get(path)).json()
        assert kept["attempts"] == attempts
        assert gone in [stage["id"] for stage in kept["stages"]]


async def test_pipelines_are_read_in_parts(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        names = ["New business", *(f"Sales {number}" for number in range(3))]
        for name in names[1:]:
            await make(client, name=name, template="cold")
        whole = (await client.get("/api/v1/pipelines")).json()
        assert ([each["name"] for each in whole["items"]], whole["next"]) == (names, None)
        seen: list[str] = []
        cursor: str | None = None
        while cursor is not None or not seen:
            query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
            part = (await client.get("/api/v1/pipelines", params=query)).json()
            seen += [each["name"] for each in part["items"]]
            cursor = part["next"]
        assert seen == names
        assert_problem(await client.get("/api/v1/pipelines?cursor=zzz"), 422, "api.cursor", "cursor")
