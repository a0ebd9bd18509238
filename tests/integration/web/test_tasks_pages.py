"""The pages of tasks."""

import re
from datetime import timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.callbacks.models import Episode
from pbxcrm.deals.models import Deal
from pbxcrm.people.actions import add_user
from pbxcrm.people.directory import load_directory
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks import list_queries
from pbxcrm.tasks.actions import TaskDraft, do_close_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind
from pbxcrm.tasks.rules import ABOUT_LAMP, ENDED_BY
from tests.calls import FactStory, batch
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, count_queries, desk
from tests.lamps import sweep_all
from web.pages import tasks
from web.pages.tasks import MOST_CHIPS

__all__ = ["browsers", "desk"]

COUNTS = re.compile(r'id="group-(\w+)">[^<]*<span class="count [^"]*">([^<]*)</span>')
ROWS = re.compile(r'<tr id="task-(\d+)"')


async def stored(desk: BrowserDesk, title: str) -> Task:
    async with desk.database.read() as session:
        return (await session.exec(select(Task).where(Task.title == title))).one()


async def test_own_tasks_stand_by_day_overdue_first(browsers: Browsers, desk: BrowserDesk) -> None:
    page = (await (await browsers("ivan")).get("/tasks")).text
    groups = re.findall(r'id="group-(\w+)"', page)
    assert groups == ["overdue", "today", "tomorrow", "later"]
    overdue = page.partition('id="group-overdue"')[2].partition('id="group-today"')[0]
    assert "Send the drawings" in overdue
    assert "Ask about the oak" not in overdue
    assert "style=" not in page


async def test_a_seller_sees_nobody_elses_even_when_asking_for_all(browsers: Browsers, desk: BrowserDesk) -> None:
    olena = await browsers("olena")
    for address in ("/tasks", "/tasks?who=team", f"/tasks?who={desk.office.id('ivan')}"):
        assert "Send the drawings" not in (await olena.get(address)).text
    assert (await olena.get(f"/tasks/{desk.busy.tasks['Send the drawings']}")).status_code == 404


async def test_a_manager_sees_the_team_by_person(browsers: Browsers, desk: BrowserDesk) -> None:
    maria = await browsers("maria")
    assert "Send the drawings" in (await maria.get("/tasks?who=team")).text
    assert "Send the drawings" in (await maria.get(f"/tasks?who={desk.office.id('ivan')}")).text
    assert "Send the drawings" not in (await maria.get(f"/tasks?who={desk.office.id('olena')}")).text
    oksana = await browsers("oksana")
    assert "Send the drawings" not in (await oksana.get("/tasks?who=team")).text


async def test_a_manager_of_many_opens_their_day(browsers: Browsers, desk: BrowserDesk) -> None:
    """More colleagues than there is room for as chips are chosen from a list, as on the board."""
    async with desk.database.write() as session:
        added = [
            await add_user(session, login=f"s{n}", name=f"Seller {n}", role="seller", password_hash="x", team="Sales")
            for n in range(MOST_CHIPS)
        ]
    last = added[-1]
    maria = await browsers("maria")
    page = (await maria.get("/tasks")).text
    choice = page.partition('name="who"')[2].partition("</select>")[0]
    assert re.findall(r"<option[^>]*>([^<]*)", choice)[2] == "Ivan Kravets · 2"  # whoever has most overdue comes first
    assert last.name in choice
    chosen = (await maria.get(f"/tasks?who={last.id}")).text
    assert f'<option value="{last.id}" selected>' in chosen


async def test_done_with_a_result_can_be_taken_back(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, task_id = await browsers("ivan"), desk.busy.tasks["Send the drawings"]
    answer = await ivan.post(f"/tasks/{task_id}/done", data={"result": "sent by mail"}, headers=HTMX)
    assert f'hx-post="/tasks/{task_id}/reopen"' in answer.text
    task = await stored(desk, "Send the drawings")
    assert (task.status, task.result, task.done_by_id) == ("done", "sent by mail", desk.office.id("ivan"))
    assert "sent by mail" in (await ivan.get("/tasks?state=done")).text
    await ivan.post(f"/tasks/{task_id}/reopen", headers=HTMX)
    assert (await stored(desk, "Send the drawings")).status == "open"


async def test_a_callback_is_closed_in_its_queue_only(browsers: Browsers, desk: BrowserDesk) -> None:
    async with desk.database.read() as session:
        callback = (
            await session.exec(select(Task).where(Task.kind == TaskKind.CALLBACK, Task.status == "open"))
        ).first()
    assert callback is not None
    maria = await browsers("maria")
    assert (await maria.post(f"/tasks/{callback.id}/done", data={}, headers=HTMX)).status_code == 409
    page = (await maria.get("/tasks?who=team")).text
    row = page.partition(f'id="task-{callback.id}"')[2].partition("</tr>")[0]
    assert "/done" not in row


async def test_what_the_product_wrote_is_said_in_the_readers_language(browsers: Browsers, desk: BrowserDesk) -> None:
    """What became of a callback is stored as a code; what somebody typed stays as it is."""
    why = reason("episode.recovered", who="Ivan Kravets")
    async with desk.database.write() as session:
        people = await load_directory(session)
        task = await session.get_one(Task, desk.busy.tasks["Ask about the oak"])
        await do_close_task(session, task, desk.now, people, result=why, actor=None)
        typed = await session.get_one(Task, desk.busy.tasks["Send the drawings"])
        ivan = await desk.office.viewer(session, "ivan")
        await do_close_task(session, typed, desk.now, people, result="The client called", actor=ivan)
    client = await browsers("ivan")
    await client.post("/profile/look", data={"language": "uk"})
    done = (await client.get("/tasks?state=done")).text
    assert "Клієнт зателефонував; розмова: Ivan Kravets." in done
    assert "The client called" in done
    assert "The client called and talked" not in done
    assert "Клієнт зателефонував; розмова: Ivan Kravets." in (await client.get(f"/tasks/{task.id}")).text
    assert (await stored(desk, "Ask about the oak")).result == "The client called and talked to Ivan Kravets."
    await client.post(f"/tasks/{task.id}/reopen", headers=HTMX)
    await client.post(f"/tasks/{task.id}/done", data={"result": "rang them myself"}, headers=HTMX)
    assert "rang them myself" in (await client.get("/tasks?state=done")).text


async def test_edit_keeps_what_was_typed_and_refuses_a_stale_form(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, task_id = await browsers("ivan"), desk.busy.tasks["Ask about the oak"]
    form = (await ivan.get(f"/tasks/{task_id}")).text
    seen = re.search(r'name="version" value="(\d+)"', form)
    assert seen
    assert 'value="18.11.2026 17:00"' in form  # in Kyiv
    data = {"version": seen[1], "title": "", "due_at": "2026-11-20T09:30", "note": "kept", "assignee_id": ""}
    wrong = await ivan.post(f"/tasks/{task_id}", data=data, headers=HTMX)
    assert wrong.status_code == 422
    assert "kept" in wrong.text
    right = await ivan.post(f"/tasks/{task_id}", data={**data, "title": "Ask about the ash"}, headers=HTMX)
    assert right.headers["hx-redirect"] == "/tasks"
    assert (await stored(desk, "Ask about the ash")).due_at.isoformat() == "2026-11-20T07:30:00+00:00"
    assert (await ivan.post(f"/tasks/{task_id}", data={**data, "title": "Stale"}, headers=HTMX)).status_code == 409


async def test_a_new_task_goes_to_a_colleague_one_may_give_to(browsers: Browsers, desk: BrowserDesk) -> None:
    maria = await browsers("maria")
    data = {"title": "Look at the lamp", "quick": "2h", "assignee_id": str(desk.office.id("olena"))}
    assert (await maria.post("/tasks/new", data=data)).status_code == 303
    assert (await stored(desk, "Look at the lamp")).assignee_id == desk.office.id("olena")
    foreign = await maria.post("/tasks/new", data={**data, "assignee_id": str(desk.office.id("petro"))}, headers=HTMX)
    assert foreign.status_code == 422


async def test_list_asks_a_fixed_number_of_queries(browsers: Browsers, desk: BrowserDesk) -> None:
    maria = await browsers("maria")
    team = await count_queries(desk.database, maria, "/tasks?who=team")
    one = await count_queries(desk.database, maria, f"/tasks?who={desk.office.id('ivan')}")
    assert team == one <= 16


async def test_the_rail_counts_what_is_overdue(browsers: Browsers, desk: BrowserDesk) -> None:
    rail = (await (await browsers("ivan")).get("/tasks")).text.partition('id="rail"')[2].partition("</nav>")[0]
    tasks = rail.partition('href="/tasks"')[2].partition("</a>")[0]
    assert re.search(r'class="count amber">\d+<', tasks)


async def burning(desk: BrowserDesk) -> dict[str, Task]:
    """The callback, the lamp and the manager's task of the client nobody has called back, by kind."""
    for minutes in (0, 60):
        await sweep_all(desk.database, desk.now + timedelta(minutes=minutes))
    async with desk.database.read() as session:
        found = await session.exec(select(Task).where(Task.status == "open", col(Task.kind).in_(ENDED_BY)))
        episode = (await session.exec(select(Episode).where(Episode.client_number == "+380630000002"))).one()
        return {task.kind: task for task in found.all() if task.deal_id == episode.deal_id}


async def test_what_ends_by_work_has_no_button_and_says_what_ends_it(browsers: Browsers, desk: BrowserDesk) -> None:
    found = await burning(desk)
    assert set(found) == set(ENDED_BY)
    maria, ivan = await browsers("maria"), await browsers("ivan")
    assert f'id="task-{found["lamp"].id}"' not in (await maria.get("/tasks?who=team")).text  # a part of its callback
    for kind, task in found.items():
        where = "/escalations" if kind == "control" else "/callbacks"
        of_kind = (await maria.get(f"/tasks?who=team&kind={kind}")).text
        row = of_kind.partition(f'id="task-{task.id}"')[2].partition("</tr>")[0]
        one = (await maria.get(f"/tasks/{task.id}")).text.partition('class="body"')[2]
        on_deal = (await maria.get(f"/deals/{task.deal_id}")).text.partition(f'id="next-{task.id}"')[2]
        next_task = re.split(r'class="next-task"|</section>', on_deal)[0]
        for shown in (row, one, next_task) if kind == "callback" else (row, one):
            assert f'href="{where}"' in shown
            assert "/done" not in shown
        assert ENDED_BY[kind] in one
        refused = await ivan.post(f"/tasks/{task.id}/done", data={}, headers=HTMX)
        assert refused.status_code == (403 if kind == "control" else 409)  # the control is the manager's
        assert kind == "control" or ENDED_BY[kind] in refused.text
    seen = (await ivan.get(f"/tasks/{found['control'].id}")).text.partition('class="body"')[2]
    assert "/escalations" not in seen  # a seller has no such page


async def test_a_lamp_that_went_out_cannot_be_lit_by_hand(browsers: Browsers, desk: BrowserDesk) -> None:
    lamp = (await burning(desk))["lamp"]
    talk = FactStory("1700000009.1", client="+380630000002", at=desk.now).ring("101").answer("101")
    await Intake(desk.database, desk.settings).apply(batch(talk))
    ivan = await browsers("ivan")
    assert "/reopen" not in (await ivan.get(f"/tasks/{lamp.id}")).text
    assert (await ivan.post(f"/tasks/{lamp.id}/reopen", headers=HTMX)).status_code == 409


async def test_the_lamp_of_a_deal_is_worked_from_the_list(browsers: Browsers, desk: BrowserDesk) -> None:
    """Whoever has a phone may call the client from the row of the task, and set the next task."""
    async with desk.database.write() as session:
        people = await load_directory(session)
        ivan = people.user_of("101")
        assert ivan is not None
        owned = select(Deal).where(Deal.responsible_id == ivan.id, col(Deal.client_number).is_not(None))
        deal = (await session.exec(owned.limit(1))).one()
        task = TaskDraft(
            TaskKind.LAMP,
            reason("task.lamp_silence", title=deal.title),
            reason("lamp.silence", norm=60),
            desk.now,
            ivan.id,
            deal_id=deal.id,
            about=f"{ABOUT_LAMP}1",
        )
        made = await do_create_task(session, task, desk.now, people)
    row = (await (await browsers("ivan")).get("/tasks")).text.partition(f'id="task-{made.id}"')[2].partition("</tr>")[0]
    assert 'hx-post="/phone/call"' in row
    assert f'href="/deals/{deal.id}#plan"' in row


async def test_a_long_list_says_how_many_are_left(
    browsers: Browsers, desk: BrowserDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heads of the days count what does not fit the page, and the link says how many it leads to."""
    async with desk.database.write() as session:
        session.add_all(
            Task(
                kind=TaskKind.TODO,
                title=f"Late {number}",
                due_at=desk.now - timedelta(days=9),
                assignee_id=desk.office.id("olena"),
                created_at=desk.now,
            )
            for number in range(6)
        )
    olena = await browsers("olena")
    whole = (await olena.get("/tasks")).text
    shown = {key: int(count) for key, count in COUNTS.findall(whole)}
    assert shown["overdue"] >= 6
    monkeypatch.setattr(tasks, "LISTED_OPEN", 4)
    page = (await olena.get("/tasks")).text
    assert page.count('<tr id="task-') == 4
    assert COUNTS.findall(page) == [("overdue", str(shown["overdue"]))]
    assert f"and {sum(shown.values()) - 4} more" in page
    monkeypatch.setattr(list_queries, "MOST_COUNTED", 5)
    page = (await olena.get("/tasks")).text
    assert COUNTS.findall(page) == [("overdue", "5+")]
    assert "and more than 1 more" in page
    following = re.search(r'href="(/tasks\?cursor=[^"]+)"', page)
    assert following
    rest = (await olena.get(following[1])).text
    assert not set(ROWS.findall(page)) & set(ROWS.findall(rest))
    monkeypatch.setattr(tasks, "LISTED", 3)  # everybody's are shown in shorter parts
    page = (await (await browsers("maria")).get("/tasks?who=team")).text
    assert page.count('<tr id="task-') == 3
    assert "and more than 2 more" in page
