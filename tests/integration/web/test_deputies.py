"""Whoever stands in for somebody absent opens and changes what is theirs, while the leave lasts, and nobody else does."""

import json
from datetime import timedelta

from httpx2 import AsyncClient
from sqlmodel import col, select

from pbxcrm.access import Role
from pbxcrm.calendars.leave_actions import NewLeave, create_leave, delete_leave
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.deals.models import Deal, StageMove
from pbxcrm.money.queries import lines_of
from pbxcrm.people.actions import edit_user
from pbxcrm.people.api_tokens import create_token
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared import timers
from pbxcrm.shared.events import Outbox
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch, outbound
from tests.integration.web.desks import HOME, HTMX, BrowserDesk, Browsers, browsers, count_queries, desk

__all__ = ["browsers", "desk"]
DAY = timedelta(days=1)
OWN, FOREIGN = "Reception desk", "Foreign deal"  # ivan's of team Sales, petro's of team Other
TEAMS = "Office, two floors"  # olena's of team Sales


async def away(desk: BrowserDesk, login: str, deputy: str | None, *, since: timedelta = timedelta()) -> int:
    new = NewLeave(
        desk.office.id(login), NOON + since, NOON + since + DAY, desk.office.id(deputy) if deputy is not None else None
    )
    async with desk.database.write() as session:
        return (await create_leave(session, await desk.office.viewer(session, "admin"), new, now=desk.now)).id or 0


async def opens(browser: AsyncClient, desk: BrowserDesk, title: str = OWN) -> int:
    return (await browser.get(f"/deals/{desk.busy.deals[title]}")).status_code


async def test_a_deputy_of_another_team_works_on_what_is_theirs_who_is_away(
    desk: BrowserDesk, browsers: Browsers
) -> None:
    petro, oksana, olena = [await browsers(login) for login in ("petro", "oksana", "olena")]
    path, client = f"/deals/{desk.busy.deals[OWN]}", f"/contacts/{desk.busy.contacts['Ірина Мельник']}"
    task = f"/tasks/{desk.busy.tasks['Send the drawings']}"
    call = f"/calls/{await a_call_of_ivan(desk, petro)}"
    theirs = (path, client, task, call)
    assert [(await petro.get(each)).status_code for each in theirs] == [404] * 4
    leave = await away(desk, "ivan", "petro")
    assert [(await petro.get(each)).status_code for each in theirs] == [200] * 4
    assert [(await each.get(path)).status_code for each in (oksana, olena)] == [404, 404]  # nobody else
    assert "Wants it in oak" in (await petro.get(path)).text
    await forget_hints(desk)
    version = (await deal_of(desk)).version
    stage = desk.busy.stages["Invoice agreed"].id
    answers = [
        await petro.post(f"{path}/facts/amount", data={"amount": "23000", "seen": "22400.00"}),
        await petro.post(f"{path}/move", data={"stage_id": str(stage), "version": str(version + 1)}),
        await petro.post(f"{path}/pause", data={"until": "2026-11-28T10:00", "reason": "They are away"}),
        await petro.post(f"{path}/note", data={"text": "Talked to them"}),
        await petro.post(f"{task}/done", data={"outcome": "sent"}),
    ]
    assert [each.status_code for each in answers] == [303] * 5, [each.text[:300] for each in answers]
    deal = await deal_of(desk)
    assert (str(deal.amount), deal.stage_id, deal.responsible_id) == ("23000.00", stage, desk.office.id("ivan"))
    async with desk.database.read() as session:
        move = (await session.exec(select(StageMove).order_by(col(StageMove.id).desc()))).first()
        assert move is not None
        assert move.by_id == desk.office.id("petro")
        assert (await session.get_one(Task, desk.busy.tasks["Send the drawings"])).status == "done"
    assert await heard_of(desk, deal) == {desk.office.id(login) for login in ("ivan", "maria", "petro")}
    async with desk.database.write() as session:
        await delete_leave(session, await desk.office.viewer(session, "admin"), leave, now=desk.now)
    assert [(await petro.get(each)).status_code for each in (path, client, task)] == [404] * 3
    await forget_hints(desk)
    ivan = await browsers("ivan")
    assert (await ivan.post(f"{path}/facts/amount", data={"amount": "1", "seen": "23000.00"})).status_code == 303
    assert await heard_of(desk, deal) == {desk.office.id(login) for login in ("ivan", "maria")}


async def test_lists_of_ones_own_stay_ones_own_and_are_filtered_by_whom_one_stands_in_for(
    desk: BrowserDesk, browsers: Browsers
) -> None:
    petro, ivan = await browsers("petro"), desk.office.id("ivan")
    before = [await count_queries(desk.database, petro, path) for path in ("/board", "/deals")]
    await away(desk, "ivan", "petro")
    assert OWN in (await petro.get(f"/board?who={ivan}")).text
    assert OWN in (await petro.get(f"/deals?who={ivan}")).text
    assert OWN in (await petro.get("/search?q=Reception")).text
    mine = (await petro.get("/board?mine=1")).text
    assert FOREIGN in mine
    assert OWN not in mine
    assert "Ivan Kravets" in mine  # whose deals one may ask for
    assert "Olena Hryhorenko" not in mine
    day = (await petro.get("/tasks")).text
    assert "Send the drawings" not in day
    assert f"who={ivan}" in day
    assert not [each for each in ("who=team", "who=nobody", "/tasks/team") if each in day]  # they have no team
    assert (await petro.get("/tasks/team")).status_code == 303
    assert [(await petro.get(f"{each}/filters")).text.count('name="team"') for each in ("/board", "/contacts")] == [
        0,
        0,
    ]
    assert "Send the drawings" in (await petro.get(f"/tasks?who={ivan}")).text
    assert [await count_queries(desk.database, petro, path) for path in ("/board", "/deals")] == before


async def test_it_begins_and_ends_by_the_clock_though_no_timer_fires(desk: BrowserDesk, browsers: Browsers) -> None:
    petro = await browsers("petro")
    await away(desk, "ivan", "petro", since=timedelta(hours=1))
    assert await opens(petro, desk) == 404
    await timers.sweep(desk.database, NOON + timedelta(hours=1))  # by its timer
    assert await opens(petro, desk) == 200
    await sweep_lamps(desk.database, NOON + timedelta(hours=1) + DAY)  # the worker was down when it fired
    assert await opens(petro, desk) == 404
    await sweep_lamps(desk.database, NOON + timedelta(hours=2))  # somebody set the clock back
    assert await opens(petro, desk) == 200


async def test_a_chain_ends_at_who_is_there(desk: BrowserDesk, browsers: Browsers) -> None:
    petro, olena, oksana = [await browsers(login) for login in ("petro", "olena", "oksana")]
    await away(desk, "ivan", "olena")
    assert [await opens(each, desk) for each in (olena, petro)] == [200, 404]
    await away(desk, "olena", "petro")
    assert [await opens(each, desk) for each in (olena, petro)] == [404, 200]
    assert await opens(petro, desk, "Kitchen for Marta") == 200  # hers, too
    async with desk.database.write() as session:  # who has left stands in for nobody
        admin = await desk.office.viewer(session, "admin")
        await edit_user(
            session, admin, desk.office.id("petro"), name="Petro", role=Role.SELLER.value, extensions=[], team="Other", is_active=False, now=desk.now,
        )  # fmt: skip
    assert [await opens(each, desk) for each in (olena, oksana)] == [404, 404]


async def test_no_permission_comes_with_it(desk: BrowserDesk, browsers: Browsers) -> None:
    await away(desk, "ivan", "petro")
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        await edit_user(
            session,
            admin,
            desk.office.id("petro"),
            name="Petro",
            role=Role.QC.value,
            extensions=[],
            team="Other",
            now=desk.now,
        )
    petro = await browsers("petro")
    assert await opens(petro, desk) == 200
    edited = await petro.post(f"/deals/{desk.busy.deals[OWN]}/facts/amount", data={"amount": "1", "seen": "22400.00"})
    assert edited.status_code == 403


async def test_a_manager_who_stands_in_for_a_manager_leads_their_team(desk: BrowserDesk, browsers: Browsers) -> None:
    oksana = await browsers("oksana")
    async with desk.database.write() as session:
        (await session.get_one(Deal, desk.busy.deals[OWN])).responsible_id = desk.office.id("maria")
    assert [await opens(oksana, desk, title) for title in (OWN, TEAMS)] == [404, 404]
    await away(desk, "maria", "oksana")
    assert [await opens(oksana, desk, title) for title in (OWN, TEAMS)] == [200, 200]
    path = f"/deals/{desk.busy.deals[TEAMS]}"
    long = await oksana.post(f"{path}/pause", data={"until": "2027-03-01T10:00", "reason": "They build in spring"})
    assert long.status_code == 303
    assert (await (await browsers("petro")).get(path)).status_code == 404


async def test_a_seller_who_stands_in_for_a_manager_has_what_is_theirs_and_not_their_team_s(
    desk: BrowserDesk, browsers: Browsers
) -> None:
    petro = await browsers("petro")
    async with desk.database.write() as session:
        (await session.get_one(Deal, desk.busy.deals[OWN])).responsible_id = desk.office.id("maria")
    await away(desk, "maria", "petro")
    assert [await opens(petro, desk, title) for title in (OWN, TEAMS)] == [200, 404]


async def test_a_manager_who_stands_in_decides_nothing_as_a_manager(desk: BrowserDesk, browsers: Browsers) -> None:
    oksana, maria = await browsers("oksana"), await browsers("maria")
    await away(desk, "ivan", "oksana")
    path = f"/deals/{desk.busy.deals[OWN]}"
    long = await oksana.post(f"{path}/pause", data={"until": "2027-03-01T10:00", "reason": "They build in spring"})
    assert long.status_code == 303
    assert f"{path}/pause/approve" not in (await oksana.get(path)).text
    assert (await oksana.post(f"{path}/pause/approve")).status_code == 403
    assert (await maria.post(f"{path}/pause/approve")).status_code == 303


async def test_a_manager_who_stands_in_lets_no_discount_count(desk: BrowserDesk, browsers: Browsers) -> None:
    ivan, oksana, maria = [await browsers(login) for login in ("ivan", "oksana", "maria")]
    await away(desk, "ivan", "oksana")
    path = f"/deals/{desk.busy.deals[OWN]}/lines"
    typed = {"product": "Work", "quantity": "1", "price": "100"}
    assert (await ivan.post(path, data=typed, headers=HTMX)).status_code == 200
    async with desk.database.read() as session:
        (line,) = (await lines_of(session, desk.busy.deals[OWN])).lines
    asked = {"name": "Work", "quantity": "1", "price": "100", "discount": "20 %", "why": "A friend", "version": "1"}
    assert (await ivan.post(f"{path}/{line.id}", data=asked, headers=HTMX)).status_code == 200
    decision = {"act": "approve", "deal_line_id": str(line.id)}
    assert f"{path}/decide" not in (await oksana.get(path)).text
    answer = await oksana.post(f"{path}/decide", data=decision, headers=HTMX)
    assert (answer.status_code, "Their manager decides about it" in answer.text) == (403, True)
    assert f"{path}/decide" in (await maria.get(path)).text
    assert (await maria.post(f"{path}/decide", data=decision, headers=HTMX)).status_code == 200


async def test_a_deputy_works_on_the_callbacks_of_who_is_away(desk: BrowserDesk, browsers: Browsers) -> None:
    missed = FactStory("1700000000.77", client="+380672223344", at=NOON - timedelta(minutes=10)).ring("101").wait(18)
    await Intake(desk.database, desk.settings).apply(batch(missed.end()))
    petro, oksana = await browsers("petro"), await browsers("oksana")
    async with desk.database.read() as session:
        episode = (await session.exec(select(Episode).order_by(col(Episode.id).desc()))).first()
    assert episode is not None
    assert episode.owner_id == desk.office.id("ivan")
    path = f"/callbacks/{episode.id}"
    assert f"{path}/claim" not in (await petro.get("/callbacks")).text
    await away(desk, "ivan", "petro")
    assert f"{path}/claim" in (await petro.get("/callbacks")).text
    assert f"{path}/claim" not in (await oksana.get("/callbacks")).text
    result = {"result": "reached", "version": str(episode.version), "without_call": "sms"}
    headers = {**HTMX, "hx-current-url": f"{HOME}/callbacks"}
    assert (await oksana.post(f"{path}/result", data=result, headers=headers)).status_code == 404
    assert (await petro.post(f"{path}/result", data=result, headers=headers)).status_code == 200
    async with desk.database.read() as session:
        assert (await session.get_one(Episode, episode.id)).status != "open"


async def test_programs_of_a_deputy_see_it_too(desk: BrowserDesk, browsers: Browsers) -> None:
    program = await browsers("petro")
    async with desk.database.write() as session:
        program.headers["authorization"] = f"Bearer {await create_token(session, desk.office['petro'], now=desk.now)}"
    path = f"/api/v1/deals/{desk.busy.deals[OWN]}"
    assert (await program.get(path)).status_code == 404
    await away(desk, "ivan", "petro")
    found = await program.get(path)
    assert found.status_code == 200
    changed = await program.patch(path, json={"amount": "5", "version": found.json()["version"]})
    planned = await program.post(
        "/api/v1/tasks", json={"title": "Ask", "due_at": "2026-12-01T10:00:00Z", "deal_id": desk.busy.deals[OWN]}
    )
    assert (changed.status_code, planned.status_code) == (200, 201), (changed.text, planned.text)


async def forget_hints(desk: BrowserDesk) -> None:
    async with desk.database.write() as session:
        for hint in (await session.exec(select(Outbox))).all():
            await session.delete(hint)


async def heard_of(desk: BrowserDesk, deal: Deal) -> set[int]:
    """Who was told since that the deal has changed."""
    async with desk.database.read() as session:
        hints = (await session.exec(select(Outbox).where(Outbox.topic == "deal", Outbox.ref == str(deal.id)))).all()
    return {user_id for hint in hints for user_id in hint.users}


async def deal_of(desk: BrowserDesk, title: str = OWN) -> Deal:
    async with desk.database.read() as session:
        return await session.get_one(Deal, desk.busy.deals[title])


async def a_call_of_ivan(desk: BrowserDesk, stranger: AsyncClient) -> int:
    """One that the stranger does not see."""
    ivan = desk.office.id("ivan")
    async with desk.database.read() as session:
        found = (await session.exec(select(Call.id).where(Call.responsible_id == ivan).order_by(col(Call.id)))).all()
    hidden = [each for each in found if (await stranger.get(f"/calls/{each}")).status_code == 404]
    return hidden[0] or 0


async def test_what_is_new_for_who_is_away_is_the_deputy_s(desk: BrowserDesk, browsers: Browsers) -> None:
    """A missed call of their client, and the next task that the deputy plans on their deal."""
    await away(desk, "ivan", "olena")
    missed = FactStory("18.9", "+380672223344", at=NOON).ring("103").wait(20).end()
    await Intake(desk.database, desk.settings).apply(batch(missed))
    async with desk.database.read() as session:
        episode = (await session.exec(select(Episode).order_by(col(Episode.id).desc()))).first()
        assert episode is not None
        task = await session.get_one(Task, episode.task_id)
    assert (episode.owner_id, task.assignee_id) == (desk.office.id("olena"), desk.office.id("olena"))
    assert "owner.deputy" in json.dumps(episode.reason)
    olena, maria = await browsers("olena"), await browsers("maria")
    plan = f'name="assignee_id" value="{desk.office.id("olena")}"'
    assert plan in (await olena.get(f"/deals/{desk.busy.deals[OWN]}")).text
    assert (
        plan not in (await maria.get(f"/deals/{desk.busy.deals[OWN]}")).text
    )  # the manager's plan is for who is responsible


async def test_the_next_attempt_after_a_call_in_vain_is_the_deputy_s(desk: BrowserDesk) -> None:
    await away(desk, "ivan", "olena")
    async with desk.database.write() as session:
        for task in await session.exec(select(Task).where(Task.deal_id == desk.busy.deals[OWN])):
            task.status = "done"
    in_vain = outbound("18.10", "103", "+380672223344", at=NOON).ring("103").wait(20).end()
    await Intake(desk.database, desk.settings).apply(batch(in_vain))
    async with desk.database.read() as session:
        (task,) = (await session.exec(select(Task).where(col(Task.about).startswith("next-attempt:")))).all()
    assert (task.deal_id, task.assignee_id) == (desk.busy.deals[OWN], desk.office.id("olena"))
