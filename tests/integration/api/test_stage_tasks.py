"""The automatic tasks of a stage, and one's own calendar feed, as programs use them."""

from typing import Any

from tests.integration.api.conftest import Programs
from tests.integration.api.test_checkpoints import deal_in, stage_called
from tests.integration.api.test_writing import assert_problem

CALL: dict[str, Any] = {
    "title": "Call them",
    "whom": "joint",
    "after_minutes": 60,
    "instruction": "Be kind.",
    "checklist": [{"text": "Ask for the budget", "required": True}],
    "keep": True,
}


async def test_a_stage_gets_its_automatic_tasks_and_a_deal_has_them(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        stage = await stage_called(client, "Call held")
        address = f"/api/v1/stages/{stage['id']}/tasks"
        assert (await client.get(address)).json() == {"items": [], "next": None, "seen": ""}
        made = await client.put(address, json={"items": [CALL, {"title": "Send"}], "seen": ""})
        assert made.status_code == 200, made.text
        first, second = made.json()["items"]
        assert {name: first[name] for name in CALL} == CALL | {
            "checklist": [{"text": "Ask for the budget", "required": True, "done": False}]
        }
        assert (second["whom"], second["after_minutes"], second["keep"]) == ("responsible", 0, False)
        assert (await client.get(address)).json() == made.json()
        assert_problem(await client.put(address, json={"items": [], "seen": ""}), 409, "stage_tasks.stale")
        wrong = {"items": [CALL, {"title": "Send", "whom": "user:nobody"}]}
        refused = await client.put(address, json=wrong)
        assert_problem(refused, 422, "stage_tasks.whom", "items.1.whom")
        assert "responsible, manager, joint, role:seller" in refused.json()["detail"]
        deal_id = await deal_in(client, stage)
        tasks = (await client.get("/api/v1/tasks", params={"deal_id": deal_id})).json()["items"]
        assert sorted((task["title"], task["assignee"]) for task in tasks) == [
            ("Call them", "ivan"),
            ("Call them", "maria"),
            ("Send", "ivan"),
        ]
        assert (await client.put(address, json={"items": []})).json()["items"] == []
        assert_problem(await client.get("/api/v1/stages/999999/tasks"), 404, "stages.not_found")
        assert_problem(await client.put("/api/v1/stages/999999/tasks", json={"items": []}), 404, "stages.not_found")
    async with await programs.as_("ivan") as seller:
        assert (await seller.get(address)).status_code == 200
        assert (await seller.put(address, json={"items": []})).status_code == 403


async def test_a_calendar_feed_is_made_read_and_revoked(programs: Programs) -> None:
    async with await programs.as_("ivan") as ivan, programs.client() as calendar_program:
        assert (await ivan.get("/api/v1/feed")).json() == {"created_at": None}
        made = await ivan.post("/api/v1/feed")
        assert made.status_code == 201, made.text
        first = made.json()["path"]
        assert (await calendar_program.get(first)).text.startswith("BEGIN:VCALENDAR")
        assert (await ivan.get("/api/v1/feed")).json() == {"created_at": made.json()["created_at"]}
        second = (await ivan.post("/api/v1/feed")).json()["path"]
        assert (await calendar_program.get(first)).status_code == 404
        assert (await calendar_program.get(second)).status_code == 200
        assert (await ivan.delete("/api/v1/feed")).status_code == 204
        assert (await calendar_program.get(second)).status_code == 404
        assert (await ivan.delete("/api/v1/feed")).status_code == 204
