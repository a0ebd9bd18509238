"""Checkpoints, lamps and pauses as programs use them."""

from datetime import timedelta
from typing import Any

from httpx2 import AsyncClient

from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.shared.db import Database
from tests.calls import NOON
from tests.integration.api.conftest import Programs
from tests.integration.api.test_writing import assert_problem

STEPS: list[dict[str, Any]] = [
    {"after_minutes": None, "whom": "responsible", "what": "task", "text": "Ask for an answer", "checklist": ["Call"]},
    {"after_minutes": 30, "whom": "manager", "what": "control"},
]


async def stage_called(client: AsyncClient, name: str) -> dict[str, Any]:
    pipelines = (await client.get("/api/v1/pipelines")).json()["items"]
    found: dict[str, Any] = next(
        stage for pipeline in pipelines for stage in pipeline["stages"] if stage["name"] == name
    )
    return found


async def deal_in(client: AsyncClient, stage: dict[str, Any]) -> int:
    body = {"title": "Roof", "stage_id": stage["id"], "responsible": "ivan"}
    answer = await client.post("/api/v1/deals", json=body)
    assert answer.status_code == 201, answer.text
    made: int = answer.json()["id"]
    return made


async def test_a_checkpoint_is_made_changed_and_taken_away(programs: Programs, database: Database) -> None:
    async with await programs.as_("admin") as client:
        stage = await stage_called(client, "Call held")
        deal_id = await deal_in(client, stage)
        assert (await client.get("/api/v1/lamps", params={"deal_id": deal_id})).json()["items"] == []
        body = {"stage_id": stage["id"], "steps": STEPS, "work": ["stage_moved", "talked"], "talked_seconds": 20}
        answer = await client.post("/api/v1/checkpoints", json=body)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert (made["name"], made["norm_minutes"], made["trigger"]["kind"]) == ("Call held", 1080, "stage")
        [lamp] = (await client.get("/api/v1/lamps", params={"deal_id": deal_id})).json()["items"]
        assert (lamp["state"], lamp["step"], lamp["owner"], lamp["subject"]) == ("armed", 0, "ivan", "deal")
        answer = await client.patch(
            f"/api/v1/checkpoints/{made['id']}", json={"steps": [{**STEPS[0], "after_minutes": 1}, STEPS[1]]}
        )
        assert answer.status_code == 200, answer.text
        [lamp] = (await client.get("/api/v1/lamps", params={"deal_id": deal_id})).json()["items"]
        assert lamp["due_at"] == "2026-11-18T12:01:00Z"
        await sweep_lamps(database, NOON.replace(minute=1))
        [burning] = (await client.get("/api/v1/lamps", params={"deal_id": deal_id, "state": "burning"})).json()["items"]
        task = (await client.get(f"/api/v1/tasks/{burning['task_id']}")).json()
        assert (task["kind"], task["assignee"], task["title"]) == ("lamp", "ivan", "Ask for an answer: Roof")
        assert task["reason"] == burning["reason"]
        assert "Since Wed 18 Nov 12:00 in “Call held” without work; norm 1 min of working time" in task["reason"]
        assert "Wed 18 Nov 12:00–12:01; lit Wed 18 Nov 12:01." in task["reason"]
        assert task["checklist"] == [{"text": "Call", "required": False, "done": False}]
        ticked = await client.post(f"/api/v1/tasks/{task['id']}/check", json={"item": 0})
        assert ticked.json()["checklist"] == [{"text": "Call", "required": False, "done": True}], "the work has steps"
        assert (await client.get(f"/api/v1/deals/{deal_id}")).json()["lamp"] == "first"
        assert_problem(await client.post(f"/api/v1/tasks/{task['id']}/finish", json={}), 409, "tasks.lamp")
        assert (await client.delete(f"/api/v1/checkpoints/{made['id']}")).status_code == 204
        assert (await client.get(f"/api/v1/lamps/{burning['id']}")).json()["state"] == "out"
        assert (await client.get(f"/api/v1/deals/{deal_id}")).json()["lamp"] == "none"
        assert_problem(await client.get(f"/api/v1/checkpoints/{made['id']}"), 404, "checkpoints.not_found")


async def test_what_cannot_be_is_refused_where_it_is_entered(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        stage = await stage_called(client, "Call held")
        for steps in (
            [],
            [{"after_minutes": 0, "whom": "responsible", "what": "task"}],
            [{"after_minutes": 10 * 366 * 24 * 60, "whom": "responsible", "what": "task"}],
            [{"whom": "user:nobody", "what": "task"}],
            [{"whom": "responsible", "what": "task", "checklist": ["x"] * 1000}],
            [{"whom": "responsible", "what": "task"}, {"whom": "manager", "what": "control"}],
        ):
            answer = await client.post("/api/v1/checkpoints", json={"stage_id": stage["id"], "steps": steps})
            assert answer.status_code == 422, (steps, answer.text)
            assert "steps" in answer.text
        at_once = {"after_minutes": 0, "whom": "responsible", "what": "task"}
        answer = await client.post("/api/v1/checkpoints", json={"stage_id": stage["id"], "steps": [at_once]})
        assert "automatic task" in answer.text  # what was meant is offered
        ghost = {"stage_id": stage["id"], "steps": [{"whom": "user:ghost", "what": "task"}]}
        assert "nobody with the login ghost" in (await client.post("/api/v1/checkpoints", json=ghost)).text
        boss = {"stage_id": stage["id"], "steps": [STEPS[0], {"after_minutes": 1, "whom": "boss"}]}
        dated = {"name": "D", "steps": [STEPS[0]], "trigger": {"kind": "date", "field": "birthday"}}
        for body, code, field, known in (
            (boss, "checkpoints.whom", "steps.1.whom", "responsible, manager, joint, role:seller"),
            (boss | {"steps": [{"what": "sms"}]}, "api.value", "steps.0.what", "task, control"),
            (dated | {"trigger": {"kind": "moon"}}, "api.value", "trigger.kind", "stage, date, silence"),
            (boss | {"work": ["sleep"]}, "api.value", "work.0", "stage_moved, talked, next_task"),
            (dated, "checkpoints.date", "trigger.field", "proposal_until"),
            (
                boss | {"steps": [STEPS[0]], "work": ["field_filled"], "trigger": {"field": "shoe_size"}},
                "checkpoints.field",
                "trigger.field",
                "amount",
            ),
        ):
            answer = await client.post("/api/v1/checkpoints", json=body)
            assert_problem(answer, 422, code, field)
            assert known in answer.json()["detail"], answer.text
        twice = {"name": "Again", "stage_id": stage["id"], "steps": [STEPS[0]], "trigger": {"kind": "stage"}}
        made = await client.post("/api/v1/checkpoints", json=twice)
        assert made.status_code == 201, made.text
        assert_problem(await client.post("/api/v1/checkpoints", json=twice), 422, "checkpoints.twice", "trigger")
        path = f"/api/v1/checkpoints/{made.json()['id']}"
        assert (await client.patch(path, json={"name": "Once"})).status_code == 200  # it is not its own twin
        off = await client.post("/api/v1/checkpoints", json=twice | {"active": False})
        assert off.status_code == 201, off.text  # it watches nothing until it is switched on
        again = await client.patch(f"/api/v1/checkpoints/{off.json()['id']}", json={"active": True})
        assert_problem(again, 422, "checkpoints.twice", "trigger")
    async with await programs.as_("ivan") as client:
        answer = await client.post("/api/v1/checkpoints", json={"stage_id": stage["id"], "steps": STEPS})
        assert answer.status_code == 403


async def test_a_step_may_come_with_the_one_before_and_at_the_date_itself(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        stage = await stage_called(client, "Call held")
        at_once = {"after_minutes": 0, "whom": "manager", "what": "control"}
        for trigger, first in (({"kind": "stage"}, STEPS[0]), ({"kind": "date", "field": "next_attempt_at"}, at_once)):
            body = {"stage_id": stage["id"], "trigger": trigger, "steps": [first, at_once]}
            made = await client.post("/api/v1/checkpoints", json=body)
            assert made.status_code == 201, made.text
            assert [step["after_minutes"] for step in made.json()["steps"]] == [first["after_minutes"], 0]


async def test_a_norm_is_looked_at_before_it_is_saved(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        stage = await stage_called(client, "Proposal sent")
        await deal_in(client, stage)
        asked = {"stage_id": str(stage["id"]), "norm_minutes": "60"}
        assert (await client.get("/api/v1/checkpoints/preview", params=asked)).json() == {
            "deals": 1,
            "would_light_now": 0,
        }
        past = (await client.get("/api/v1/checkpoints/what-if", params=asked)).json()
        assert (past["stays"], past["then"]) == (1, {"lamps": 0, "at_managers": 0})


async def test_a_pause_moves_what_is_armed_and_its_end_moves_it_back(programs: Programs) -> None:
    async with await programs.as_("ivan") as client:
        stage = await stage_called(client, "New request")
        deal_id = await deal_in(client, stage)

        async def due() -> str:
            [lamp] = (await client.get("/api/v1/lamps", params={"deal_id": deal_id})).json()["items"]
            found: str = lamp["due_at"]
            return found

        assert await due() == "2026-11-18T13:00:00Z"
        pause = {"until": "2026-11-20T12:00:00Z", "reason": "The client is away"}
        answer = await client.post(f"/api/v1/deals/{deal_id}/pause", json=pause)
        assert answer.status_code == 200, answer.text
        assert answer.json()["waits_for_approval"] is False
        assert await due() == "2026-11-20T13:00:00Z"
        assert (await client.delete(f"/api/v1/deals/{deal_id}/pause")).status_code == 204
        assert await due() == "2026-11-18T13:00:00Z"
        long = {"until": "2027-01-20T12:00:00Z", "reason": "A long holiday"}
        assert (await client.post(f"/api/v1/deals/{deal_id}/pause", json=long)).json()["waits_for_approval"] is True
        assert await due() == "2026-11-18T13:00:00Z"
    async with await programs.as_("maria") as client:
        answer = await client.post(f"/api/v1/deals/{deal_id}/pause/approve")
        assert answer.json()["approved_by"] == "maria", answer.text
        [lamp] = (await client.get("/api/v1/lamps", params={"deal_id": deal_id})).json()["items"]
        assert lamp["due_at"] == "2027-01-20T13:00:00Z"


async def test_dates_of_a_deal_are_watched_moved_and_emptied(programs: Programs, database: Database) -> None:
    async with await programs.as_("admin") as client:
        stage = await stage_called(client, "Call held")
        deal_id = await deal_in(client, stage)
        one = f"/api/v1/deals/{deal_id}"
        trigger = {"kind": "date", "field": "proposal_until", "offset_minutes": -60}
        body = {"name": "Proposal", "trigger": trigger, "steps": [{"after_minutes": None, "whom": "responsible"}]}
        answer = await client.post("/api/v1/checkpoints", json=body)
        assert answer.status_code == 201, answer.text
        query = {"deal_id": deal_id, "checkpoint_id": answer.json()["id"]}
        assert (await client.get("/api/v1/lamps", params=query)).json()["items"] == []
        changed = await client.patch(one, json={"proposal_until": "2026-11-19T12:00:00+02:00"})
        assert changed.json()["proposal_until"] == "2026-11-19T10:00:00Z"
        [lamp] = (await client.get("/api/v1/lamps", params=query)).json()["items"]
        assert (lamp["state"], lamp["due_at"]) == ("armed", "2026-11-19T09:00:00Z")
        await client.patch(one, json={"proposal_until": "2026-11-20T10:00:00Z"})
        [lamp] = (await client.get("/api/v1/lamps", params=query)).json()["items"]
        assert lamp["due_at"] == "2026-11-20T09:00:00Z"
        emptied = await client.patch(one, json={"proposal_until": None})
        assert emptied.json()["proposal_until"] is None
        assert (await client.get("/api/v1/lamps", params=query)).json()["items"] == []
        for wrong in ("tomorrow", "2026-11-20T10:00:00", "9999-01-01T00:00:00Z"):
            assert (await client.patch(one, json={"proposal_until": wrong})).status_code == 422
        past = {"proposal_until": "2026-11-17T10:00:00Z"}
        assert (await client.patch(one, json=past)).status_code == 200
        [lamp] = (await client.get("/api/v1/lamps", params=query)).json()["items"]
        assert lamp["state"] == "armed", "it lights with the next sweep, for its time has come"
        begun = await client.patch(f"/api/v1/checkpoints/{query['checkpoint_id']}", json={"begin_now": True})
        assert begun.status_code == 200
        assert (await client.get("/api/v1/lamps", params=query)).json()["items"] == [], "nothing lights at once"


async def test_a_burning_lamp_of_a_date_goes_out_by_work_and_not_by_emptying_the_date(
    programs: Programs, database: Database
) -> None:
    async with await programs.as_("admin") as client:
        deal_id = await deal_in(client, await stage_called(client, "Call held"))
        one = f"/api/v1/deals/{deal_id}"
        trigger = {"kind": "date", "field": "proposal_until", "offset_minutes": -60}
        body = {"name": "Proposal", "trigger": trigger, "steps": [{"whom": "responsible"}], "work": ["next_task"]}
        made = await client.post("/api/v1/checkpoints", json=body)
        query = {"deal_id": deal_id, "checkpoint_id": made.json()["id"]}
        await client.patch(one, json={"proposal_until": "2026-11-18T12:30:00Z"})
        await sweep_lamps(database, NOON - timedelta(minutes=10))

        async def lamp() -> dict[str, Any]:
            found: dict[str, Any] = (await client.get("/api/v1/lamps", params=query)).json()["items"][0]
            return found

        burning = await lamp()
        assert burning["state"] == "burning"
        assert "working time before" in str(burning["reason"])
        for date in (None, "2026-12-18T12:30:00Z"):
            assert (await client.patch(one, json={"proposal_until": date})).status_code == 200
            assert (await lamp())["state"] == "burning", date
        task = {"title": "Call", "due_at": "2026-11-19T10:00:00Z", "deal_id": deal_id}
        assert (await client.post("/api/v1/tasks", json=task)).status_code == 201
        states = {each["state"] for each in (await client.get("/api/v1/lamps", params=query)).json()["items"]}
        assert states == {"out", "armed"}, "the date that is written now is watched"


async def test_a_checkpoint_that_could_never_light_or_never_go_out_is_refused(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        won, held = await stage_called(client, "Received"), await stage_called(client, "Call held")
        assert (await client.patch(f"/api/v1/stages/{held['id']}", json={"norm_minutes": None})).status_code == 200
        good = {"stage_id": held["id"], "steps": [{**STEPS[0], "after_minutes": 5}], "work": ["talked"]}
        for wrong, code, field in (
            ({"stage_id": won["id"]}, "checkpoints.closing", "stage_id"),
            ({"steps": STEPS}, "checkpoints.no_norm", "steps.0.after_minutes"),
            ({"work": []}, "checkpoints.work", "work"),
            ({"work": [], "trigger": {"kind": "date", "field": "event_at"}}, "checkpoints.work", "work"),
        ):
            assert_problem(await client.post("/api/v1/checkpoints", json=good | wrong), 422, code, field)
        made = await client.post("/api/v1/checkpoints", json=good)
        assert made.status_code == 201, made.text
        path = f"/api/v1/checkpoints/{made.json()['id']}"
        assert_problem(
            await client.patch(path, json={"steps": STEPS}), 422, "checkpoints.no_norm", "steps.0.after_minutes"
        )
        assert (await client.patch(path, json={"steps": STEPS, "active": False})).status_code == 200
        silence = {"name": "S", "work": [], "steps": good["steps"], "trigger": {"kind": "silence"}}
        assert (await client.post("/api/v1/checkpoints", json=silence)).status_code == 201  # a conversation ends it


async def test_the_checkpoint_of_callbacks_changes_its_steps_and_nothing_else(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        items = (await client.get("/api/v1/checkpoints")).json()["items"]
        [found] = [each for each in items if each["trigger"]["kind"] == "callback"]
        path = f"/api/v1/checkpoints/{found['id']}"
        steps = [{"after_minutes": 5, "whom": "responsible"}, {"after_minutes": 7, "whom": "joint", "what": "control"}]
        changed = await client.patch(path, json={"steps": steps, "version": found["version"]})
        assert changed.status_code == 200, changed.text
        assert [(step["after_minutes"], step["whom"]) for step in changed.json()["steps"]] == [
            (5, "responsible"),
            (7, "joint"),
        ]
        stage = await stage_called(client, "Call held")
        for wrong, field in (
            ({"trigger": {"kind": "stage"}}, "trigger"),
            ({"stage_id": stage["id"]}, "stage_id"),
            ({"work": ["field_filled"]}, "work"),
            ({"active": False}, "active"),
            ({"steps": [{"whom": "responsible"}]}, "steps.0.after_minutes"),
        ):
            answer = await client.patch(path, json=wrong)
            assert (answer.status_code, answer.json()["field"]) == (422, field), (wrong, answer.text)
        made = await client.post(
            "/api/v1/checkpoints", json={"name": "C", "trigger": {"kind": "callback"}, "steps": steps}
        )
        assert_problem(made, 422, "checkpoints.callback", "trigger")
        assert_problem(await client.delete(path), 409, "checkpoints.callback")
