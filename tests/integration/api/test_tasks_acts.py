"""Tasks through the API: checklists, repetition, assignments, the thread."""

from tests.integration.api.conftest import Programs
from tests.integration.api.test_writing import TOMORROW, assert_problem

ITEMS = [{"text": "Call", "required": True}, {"text": "Smile"}]


async def test_a_checklist_is_ticked_and_only_then_the_task_is_done(programs: Programs) -> None:
    async with await programs.as_("ivan") as client:
        asked = {"title": "Send", "due_at": TOMORROW, "checklist": ITEMS, "instruction": "By mail.", "repeat": "daily"}
        made = await client.post("/api/v1/tasks", json=asked)
        task = made.json()
        assert made.status_code == 201, task
        assert (task["instruction"], task["repeat"], task["given_by"]) == ("By mail.", "daily", None)
        assert task["checklist"] == [
            {"text": "Call", "required": True, "done": False},
            {"text": "Smile", "required": False, "done": False},
        ]
        one = f"/api/v1/tasks/{task['id']}"
        assert_problem(await client.post(f"{one}/finish", json={}), 422, "tasks.checklist_open", "checklist")
        assert_problem(await client.post(f"{one}/check", json={"item": 7}), 422, "tasks.checklist_item_gone", "item")
        assert_problem(await client.post(f"{one}/check", json={}), 422, "tasks.checklist_which", "item")
        ticked = (await client.post(f"{one}/check", json={"text": "Call"})).json()
        assert [each["done"] for each in ticked["checklist"]] == [True, False]
        assert (await client.post(f"{one}/check", json={"item": 0, "done": False})).json()["checklist"][0][
            "done"
        ] is False
        await client.post(f"{one}/check", json={"item": 0})
        assert (await client.post(f"{one}/finish", json={"result": "Sent"})).json()["status"] == "done"
        titles = [each["due_at"] for each in (await client.get("/api/v1/tasks?status=open&q=Send")).json()["items"]]
        assert titles == ["2026-11-20T07:00:00Z"]
        many = [{"text": f"Item {n}"} for n in range(1000)]
        answer = await client.post("/api/v1/tasks", json=asked | {"checklist": many})
        assert answer.status_code == 422
        assert "at most 100 items" in answer.json()["detail"]


async def test_an_assignment_and_its_thread(programs: Programs) -> None:
    async with await programs.as_("maria") as maria, await programs.as_("ivan") as ivan:
        asked = {"title": "Call them", "due_at": TOMORROW, "kind": "assignment", "assignee": "ivan"}
        task = (await maria.post("/api/v1/tasks", json=asked)).json()
        one = f"/api/v1/tasks/{task['id']}"
        assert (task["given_by"], task["accepted_at"], task["checked_at"]) == ("maria", None, None)
        assert_problem(await maria.post(f"{one}/accept", json={}), 403, "tasks.accept_other")
        assert (await ivan.post(f"{one}/accept", json={})).json()["accepted_at"] is not None
        assert (await ivan.post(f"{one}/comments", json={"text": "Which number?"})).status_code == 201
        until = "2026-11-20T09:00:00+02:00"
        snoozed = (await ivan.post(f"{one}/snooze", json={"until": until, "reason": "They are away"})).json()
        assert (snoozed["due_at"], snoozed["snoozed_until"], snoozed["postponed"]) == (*["2026-11-20T07:00:00Z"] * 2, 1)
        await ivan.post(f"{one}/finish", json={"result": "Called"})
        assert (await maria.post(f"{one}/return", json={"text": "And the price?"})).json()["status"] == "open"
        await ivan.post(f"{one}/finish", json={"result": "Told"})
        checked = (await maria.post(f"{one}/approve", json={})).json()
        assert (checked["status"], checked["checked_by"]) == ("done", "maria")
        thread = (await maria.get(f"{one}/comments")).json()["items"]
    acts = [(each["act"], each["author"]) for each in thread]
    assert acts == [
        ("given", "maria"), ("accepted", "ivan"), ("", "ivan"), ("snoozed", "ivan"),
        ("done", "ivan"), ("returned", "maria"), ("done", "ivan"), ("checked", "maria"),
    ]  # fmt: skip
