"""The page of a task and what one does there: checklist, assignment, putting off, the week, the team's load."""

import re

from sqlmodel import select

from pbxcrm.tasks.models import Task
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, desk

__all__ = ["browsers", "desk"]


async def stored(desk: BrowserDesk, title: str) -> Task:
    async with desk.database.read() as session:
        return (await session.exec(select(Task).where(Task.title == title))).one()


async def test_a_task_with_a_checklist_is_made_ticked_and_done(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    asked = {
        "title": "Prepare",
        "due_at": "завтра зранку",
        "checklist": "! Measure\nSmile",
        "instruction": "Slowly.",
        "repeat": "weekly",
    }
    await ivan.post("/tasks/new", data=asked)
    task = await stored(desk, "Prepare")
    assert task.due_at.isoformat() == "2026-11-19T07:00:00+00:00"
    page = (await ivan.get(f"/tasks/{task.id}")).text
    assert "Slowly." in page
    assert "0/2" in page
    refused = await ivan.post(f"/tasks/{task.id}/done", data={"result": "x"})
    assert refused.status_code == 422
    assert "First tick what is required: Measure" in refused.text
    ticked = await ivan.post(f"/tasks/{task.id}/check", data={"position": "0", "done": "1"}, headers=HTMX)
    assert "1/2" in ticked.text
    await ivan.post(f"/tasks/{task.id}/done", data={"result": "x"})
    async with desk.database.read() as session:
        following = (await session.exec(select(Task).where(Task.follows_id == task.id))).one()
    assert [each["done"] for each in following.checklist] == [False, False]


async def test_a_checklist_too_long_is_said_at_its_field_and_nothing_typed_is_lost(browsers: Browsers) -> None:
    ivan = await browsers("ivan")
    lines = "\n".join(f"Item {n}" for n in range(1000))
    answer = await ivan.post("/tasks/new", data={"title": "Long", "due_at": "2 h", "checklist": lines})
    assert answer.status_code == 422
    assert "at most 100 items, this one has 1000" in answer.text
    assert "Item 999" in answer.text
    assert 'id="f-checklist-error"' in answer.text
    wrong = await ivan.post("/tasks/new", data={"title": "Long", "due_at": "someday"})
    assert 'value="someday"' in wrong.text
    assert 'id="f-due_at-error"' in wrong.text


async def test_what_is_typed_as_a_deadline_is_said_back(browsers: Browsers) -> None:
    ivan = await browsers("ivan")
    assert "19 Nov" in (await ivan.get("/due?due_at=tomorrow+15:00", headers=HTMX)).text
    assert "Write a time like" in (await ivan.get("/due?due_at=someday", headers=HTMX)).text
    assert "In your own words" in (await ivan.get("/due", headers=HTMX)).text


async def test_an_assignment_on_its_page(browsers: Browsers, desk: BrowserDesk) -> None:
    maria, ivan = await browsers("maria"), await browsers("ivan")
    await maria.post("/tasks/new", data={"title": "Visit", "due_at": "2 h", "assignee_id": str(desk.office.id("ivan"))})
    task = await stored(desk, "Visit")
    assert task.kind == "assignment"
    assert "not accepted yet" in (await ivan.get("/tasks")).text
    accepted = await ivan.post(f"/tasks/{task.id}/accept", headers=HTMX)
    undo = re.search(r'hx-post="(/tasks/\d+/undo\?version=\d+)"', accepted.text)
    assert undo
    await ivan.post(undo[1], headers=HTMX)
    assert (await stored(desk, "Visit")).accepted_at is None
    await ivan.post(f"/tasks/{task.id}/comment", data={"text": "Which house?"})
    await ivan.post(f"/tasks/{task.id}/done", data={"result": "seen"})
    assert "Visit" in (await maria.get("/tasks?state=check")).text
    refused = await maria.post(f"/tasks/{task.id}/judge", data={"verdict": "return", "text": ""})
    assert refused.status_code == 422
    assert "Say what is still to be done." in refused.text
    await maria.post(f"/tasks/{task.id}/judge", data={"verdict": "return", "text": "And the roof?"})
    page = (await ivan.get(f"/tasks/{task.id}")).text
    assert "And the roof?" in page
    assert "Which house?" in page
    await ivan.post(f"/tasks/{task.id}/done", data={"result": "seen"})
    await maria.post(f"/tasks/{task.id}/judge", data={"verdict": "good"})
    assert (await stored(desk, "Visit")).checked_by_id == desk.office.id("maria")


async def test_putting_off_and_moving_to_another_day(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, task_id = await browsers("ivan"), desk.busy.tasks["Ask about the oak"]
    before = (await stored(desk, "Ask about the oak")).due_at
    assert "Put off" in (await ivan.get(f"/tasks/{task_id}/ask", headers=HTMX)).text
    refused = await ivan.post(f"/tasks/{task_id}/snooze", data={"until": "20.11 10:00", "reason": ""}, headers=HTMX)
    assert refused.status_code == 422
    assert 'value="20.11 10:00"' in refused.text
    await ivan.post(f"/tasks/{task_id}/snooze", data={"until": "20.11 10:00", "reason": "Busy"}, headers=HTMX)
    off = await stored(desk, "Ask about the oak")
    assert (off.due_at.isoformat(), off.first_due_at) == ("2026-11-20T08:00:00+00:00", before)
    assert "Ask about the oak" in (await ivan.get("/tasks/week")).text
    await ivan.post(f"/tasks/{task_id}/plan", data={"day": "2026-11-19"}, headers=HTMX)
    await ivan.post(f"/tasks/{task_id}/plan", data={"by": "-1"}, headers=HTMX)
    soon = "2026-11-18T13:00:00+00:00"  # its time of today is past, so it is due in an hour
    assert (await stored(desk, "Ask about the oak")).due_at.isoformat() == soon
    later = await ivan.post(f"/tasks/{task_id}/plan", data={"by": "2"}, headers=HTMX)
    assert 'value="2026-11-20 15:00"' in later.text  # the dialog that asks why
    past = await ivan.post(f"/tasks/{task_id}/plan", data={"day": "2026-11-01"}, headers=HTMX)
    assert (past.status_code, "still to come" in past.text) == (422, True)
    assert (await stored(desk, "Ask about the oak")).due_at.isoformat() == soon


async def test_the_load_of_the_team_opens_its_rows(browsers: Browsers, desk: BrowserDesk) -> None:
    maria, ivan = await browsers("maria"), await browsers("ivan")
    assert (await ivan.get("/tasks/team")).headers["location"] == "/tasks"
    page = (await maria.get("/tasks/team")).text
    who = desk.office.id("ivan")
    for state in ("overdue", "today", "week"):
        said = re.search(rf'href="/tasks\?who={who}&amp;state={state}">(\d+)<', page)
        assert said, state
        shown = (await maria.get(f"/tasks?who={who}&state={state}")).text
        assert len(re.findall(r'<tr id="task-', shown)) == int(said[1]), state
