"""What burns while people are away: who is asked instead, what comes back, and that it does not matter how the leave ended."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from pbxcrm.access.permissions import Role
from pbxcrm.calendars.leave_actions import NewLeave, access_leave, change_leave, create_leave, delete_leave
from pbxcrm.calendars.models import Leave
from pbxcrm.checkpoints.absence_actions import settle_absences
from pbxcrm.checkpoints.drafts import StepChange
from pbxcrm.checkpoints.escalation_actions import comment
from pbxcrm.checkpoints.leave_queries import who_is_asked
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.checkpoints.zone_actions import follow_zones
from pbxcrm.people.actions import edit_user
from pbxcrm.shared import timers
from pbxcrm.shared.reasons import text
from pbxcrm.tasks.progress_actions import comment_task
from pbxcrm.tasks.rules import ABOUT_DIGEST
from tests.calls import NOON
from tests.integration.checkpoints.conftest import DealDesk
from tests.integration.checkpoints.test_engine import DUE
from tests.integration.checkpoints.test_whose import watch

MINUTE = timedelta(minutes=1)
ESCALATED = DUE + 60 * MINUTE


async def away(
    desk: DealDesk, login: str, deputy: str | None, *, at: datetime, since: datetime | None = None, minutes: int = 480
) -> int:
    admin, since = await desk.viewer("admin"), since or at
    new = NewLeave(
        desk.office.id(login), since, since + minutes * MINUTE, desk.office.id(deputy) if deputy is not None else None
    )
    async with desk.database.write() as session:
        return (await create_leave(session, admin, new, now=at)).id or 0


async def back(desk: DealDesk, leave_id: int, at: datetime) -> None:
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        await delete_leave(session, admin, leave_id, now=at)


async def escalated(desk: DealDesk, *, count: int = 1) -> None:
    for number in range(count):
        await desk.deal(number=f"+38067222{number:04}")
    await desk.sweep(DUE)
    await desk.sweep(ESCALATED)


def asked(lamps: list[Lamp], desk: DealDesk) -> dict[int, str]:
    """Step -> login."""
    names = {user.id: login for login, user in desk.office.users.items()}
    return {lamp.step: names[lamp.addressee_id or 0] for lamp in lamps if lamp.state == LampState.BURNING}


async def test_a_manager_without_a_deputy_is_replaced_by_an_administrator_and_gets_it_back(desk: DealDesk) -> None:
    """Never by the manager of another team, who cannot open the deal."""
    await escalated(desk)
    leave = await away(desk, "maria", None, at=ESCALATED + MINUTE)
    assert asked(await desk.lamps(), desk) == {0: "ivan", 1: "admin"}
    (control,) = await desk.tasks("control")
    assert control.assignee_id == desk.office.id("admin")
    assert "Maria Manager is away and nobody stands in, so Admin has it." in text(control.reason)
    lamp = next(each for each in await desk.lamps() if each.step == 1)
    assert (lamp.instead_of_id, "Admin has it" in text(lamp.reason)) == (desk.office.id("maria"), True)
    await back(desk, leave, ESCALATED + 2 * MINUTE)
    assert asked(await desk.lamps(), desk) == {0: "ivan", 1: "maria"}
    (control,) = await desk.tasks("control")
    assert control.assignee_id == desk.office.id("maria")
    assert "Maria Manager is back, so it is theirs again." in text(control.reason)
    assert "Admin has it" not in text(control.reason)


async def test_a_deputy_who_cannot_decide_is_passed_over_with_a_word(desk: DealDesk) -> None:
    await escalated(desk)
    await away(desk, "maria", "petro", at=ESCALATED + MINUTE)
    assert asked(await desk.lamps(), desk)[1] == "admin"
    (control,) = await desk.tasks("control")
    said = "Maria Manager is away; Petro Other stands in but cannot decide about it, so Admin has it."
    assert said in text(control.reason)


async def test_another_manager_of_the_same_team_comes_before_an_administrator(desk: DealDesk) -> None:
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        await edit_user(
            session, admin, desk.office.id("olena"), name="Olena", role=Role.MANAGER.value, extensions=[], team="Sales", now=DUE
        )  # fmt: skip
    await escalated(desk)
    assert asked(await desk.lamps(), desk)[1] == "maria"
    await away(desk, "maria", None, at=ESCALATED + MINUTE)
    assert asked(await desk.lamps(), desk)[1] == "olena"


async def test_what_was_taken_comes_back_when_the_leave_is_over_though_no_timer_fired(desk: DealDesk) -> None:
    """Two days of it, lamps that lit meanwhile, and workers that were down at its end."""
    await desk.deal()
    await desk.sweep(DUE)
    await away(desk, "ivan", "olena", at=DUE + MINUTE, minutes=30)
    await desk.deal(number="+380672220001", at=DUE - timedelta(days=9))  # due meanwhile
    await desk.sweep(DUE + 2 * MINUTE)
    assert {lamp.addressee_id for lamp in await desk.lamps(LampState.BURNING) if lamp.step == 0} == {
        desk.office.id("olena")
    }
    await desk.sweep(DUE + 40 * MINUTE)
    first = [lamp for lamp in await desk.lamps(LampState.BURNING) if lamp.step == 0]
    assert {lamp.addressee_id for lamp in first} == {desk.office.id("ivan")}
    assert {task.assignee_id for task in await desk.tasks("lamp")} == {desk.office.id("ivan")}
    assert all(lamp.instead_of_id is None for lamp in first)
    armed = [lamp.due_at for lamp in await desk.lamps(LampState.ARMED) if lamp.step == 1]
    assert set(armed) == {DUE + 100 * MINUTE}  # whoever gets it back has a reaction pause of their own


async def test_a_leave_that_is_changed_asks_whoever_is_there_now(desk: DealDesk) -> None:
    """Shortened, what others were asked comes back; prolonged, its end is not the old one."""
    await escalated(desk)
    leave_id = await away(desk, "ivan", "olena", at=ESCALATED + MINUTE)
    admin = await desk.viewer("admin")
    assert asked(await desk.lamps(), desk)[0] == "olena"

    async def change(minutes: int, deputy: str | None, at: datetime) -> None:
        async with desk.database.write() as session:
            leave = await access_leave(session, admin, leave_id)
            deputy_id = desk.office.id(deputy) if deputy else None
            new = NewLeave(leave.user_id, leave.starts_at, leave.starts_at + minutes * MINUTE, deputy_id)
            await change_leave(session, admin, leave, new, now=at)

    await change(480, None, ESCALATED + 2 * MINUTE)
    assert asked(await desk.lamps(), desk)[0] == "maria"  # the manager, as without a deputy
    await change(4, None, ESCALATED + 3 * MINUTE)
    assert asked(await desk.lamps(), desk)[0] == "maria"
    await desk.sweep(ESCALATED + 5 * MINUTE)
    assert asked(await desk.lamps(), desk)[0] == "ivan"  # back at the new end, not at the old one
    await change(480, "olena", ESCALATED + 6 * MINUTE)
    assert asked(await desk.lamps(), desk)[0] == "olena"
    await change(3, "olena", ESCALATED + 7 * MINUTE)  # it was over already
    assert asked(await desk.lamps(), desk)[0] == "ivan"


async def test_what_somebody_has_worked_on_stays_with_them(desk: DealDesk) -> None:
    await escalated(desk, count=2)
    leave = await away(desk, "ivan", "olena", at=ESCALATED + MINUTE)
    olena, maria = await desk.viewer("olena"), await desk.viewer("maria")
    theirs = [task for task in await desk.tasks("lamp") if task.assignee_id == olena.user_id]
    assert len(theirs) == 2
    async with desk.database.write() as session:
        await comment_task(session, olena, theirs[0].id or 0, text="I call at four", now=ESCALATED + 2 * MINUTE)
    await back(desk, leave, ESCALATED + 3 * MINUTE)
    by_task = {task.id: task.assignee_id for task in await desk.tasks("lamp")}
    assert by_task == {theirs[0].id: olena.user_id, theirs[1].id: desk.office.id("ivan")}
    await away(desk, "maria", None, at=ESCALATED + 4 * MINUTE)
    lamps = [lamp for lamp in await desk.lamps(LampState.BURNING) if lamp.is_escalation]
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        await comment(session, admin, lamps[0].id or 0, "What is going on?", now=ESCALATED + 5 * MINUTE)
        rows = (await session.exec(select(Leave).where(Leave.user_id == maria.user_id))).all()
    await back(desk, rows[0].id or 0, ESCALATED + 6 * MINUTE)
    found = {lamp.id: lamp.addressee_id for lamp in await desk.lamps(LampState.BURNING) if lamp.is_escalation}
    assert found == {lamps[0].id: admin.user_id, lamps[1].id: maria.user_id}


async def test_the_half_of_a_joint_lamp_goes_to_the_deputy_and_comes_back(desk: DealDesk) -> None:
    await watch(desk, [StepChange(60, "joint", "control")], ["talked"])
    await desk.deal("Call held", at=DUE)
    await desk.sweep(ESCALATED)
    assert [task.assignee_id for task in await desk.tasks("lamp")] == [desk.office.id("ivan")]
    leave = await away(desk, "ivan", "olena", at=ESCALATED + MINUTE)
    (half,) = await desk.tasks("lamp")
    assert half.assignee_id == desk.office.id("olena")
    assert "Ivan Kravets is away; Olena Hryhorenko stands in." in text(half.reason)
    assert [task.assignee_id for task in await desk.tasks("control")] == [desk.office.id("maria")]
    other = await away(desk, "maria", None, at=ESCALATED + 2 * MINUTE)
    (half,) = await desk.tasks("lamp")
    assert "Together with Admin" in text(half.title_code)
    await back(desk, other, ESCALATED + 3 * MINUTE)
    await back(desk, leave, ESCALATED + 3 * MINUTE)
    (half,) = await desk.tasks("lamp")
    assert (half.assignee_id, "Together with Maria" in text(half.title_code)) == (desk.office.id("ivan"), True)


async def test_the_clock_is_set_an_hour_back_and_forth_while_leaves_begin_and_end(desk: DealDesk) -> None:
    await escalated(desk)
    begins, ends = ESCALATED + 60 * MINUTE, ESCALATED + 180 * MINUTE
    await away(desk, "maria", None, at=ESCALATED, since=begins, minutes=120)
    hour = 60 * MINUTE
    for at, who in (
        (begins - MINUTE, "maria"), (begins, "admin"),
        (begins - hour, "maria"), (begins - MINUTE, "maria"), (begins + MINUTE, "admin"),  # an hour back, and on
        (ends - MINUTE, "admin"), (ends + MINUTE, "maria"),
        (ends + MINUTE - hour, "admin"), (ends + MINUTE, "maria"),
        (ends + hour, "maria"),
    ):  # fmt: skip
        await timers.sweep(desk.database, at)
        await desk.sweep(at)
        assert asked(await desk.lamps(), desk)[1] == who, at
        assert len(await desk.tasks("control")) == 1
    assert len(await desk.lamps(LampState.BURNING)) == 2


async def test_a_deputy_who_is_switched_off_or_away_is_replaced_and_nothing_is_left_with_nobody(desk: DealDesk) -> None:
    admin = await desk.viewer("admin")
    await escalated(desk)
    await away(desk, "ivan", "olena", at=ESCALATED + MINUTE)
    await away(desk, "olena", None, at=ESCALATED + 2 * MINUTE, minutes=60)
    assert asked(await desk.lamps(), desk) == {0: "maria", 1: "maria"}
    await desk.sweep(ESCALATED + 70 * MINUTE)  # Olena is back
    assert asked(await desk.lamps(), desk)[0] == "olena"
    async with desk.database.write() as session:
        await edit_user(
            session, admin, desk.office.id("olena"), name="Olena", role="seller", extensions=[], team="Sales", is_active=False,
            now=ESCALATED + 80 * MINUTE,
        )  # fmt: skip
    assert asked(await desk.lamps(), desk)[0] == "maria"
    await desk.sweep(ESCALATED + 600 * MINUTE)
    assert asked(await desk.lamps(), desk)[0] == "ivan"


async def test_a_shared_task_of_late_lamps_goes_and_comes_back_as_one(desk: DealDesk) -> None:
    late = DUE + timedelta(days=3)
    for number in range(12):
        await desk.deal(number=f"+38067333{number:04}")
    await desk.sweep(late)
    (shared,) = await desk.tasks("lamp")
    leave = await away(desk, "ivan", "olena", at=late + MINUTE)
    (task,) = await desk.tasks("lamp")
    assert (task.assignee_id, task.about) == (desk.office.id("olena"), f"{ABOUT_DIGEST}{desk.office.id('olena')}")
    await back(desk, leave, late + 2 * MINUTE)
    (task,) = await desk.tasks("lamp")
    assert (task.assignee_id, task.about) == (desk.office.id("ivan"), shared.about)
    assert {lamp.task_id for lamp in await desk.lamps(LampState.BURNING)} == {task.id}


async def test_the_next_steps_of_an_outage_are_one_task_for_the_manager_too(desk: DealDesk) -> None:
    late = DUE + timedelta(days=3)
    for number in range(12):
        await desk.deal(number=f"+38067333{number:04}", owner="ivan" if number % 2 else "olena")
    await desk.sweep(late)
    assert len(await desk.tasks("lamp")) == 12  # six each: no storm
    await desk.sweep(late + timedelta(days=1))
    (control,) = await desk.tasks("control")
    assert (control.about, control.assignee_id) == (f"{ABOUT_DIGEST}{desk.office.id('maria')}", desk.office.id("maria"))
    lamps = [lamp for lamp in await desk.lamps(LampState.BURNING) if lamp.is_escalation]
    assert (len(lamps), {lamp.task_id for lamp in lamps}) == (12, {control.id})


async def test_a_leave_says_before_who_is_asked_meanwhile(desk: DealDesk) -> None:
    async with desk.database.read() as session:
        look = await who_is_asked(session, desk.office.id("maria"), None, DUE)
        assert look.own.user_id == desk.office.id("admin")
        ((team, to),) = look.escalations
        assert (team is not None and team.name, to.user_id) == ("Sales", desk.office.id("admin"))
        look = await who_is_asked(session, desk.office.id("ivan"), None, DUE)
        assert (look.own.user_id, look.escalations) == (desk.office.id("maria"), [])
        look = await who_is_asked(session, desk.office.id("ivan"), desk.office.id("olena"), DUE)
        assert look.own.user_id == desk.office.id("olena")


async def test_settling_twice_changes_nothing(desk: DealDesk) -> None:
    await escalated(desk)
    await away(desk, "maria", None, at=ESCALATED + MINUTE)
    async with desk.database.write() as session:
        assert await settle_absences(session, ESCALATED + 2 * MINUTE) == 0


async def test_a_zone_that_changes_its_rules_moves_what_is_armed_and_lights_it_once(
    desk: DealDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new tzdata comes with a start of the worker: the winter time of Kyiv is as that of Istanbul then."""
    evening = NOON.replace(hour=20)  # nobody works: the norm, a whole day, begins in the morning
    await desk.deal(at=evening)
    before = (await desk.one_lamp(LampState.ARMED)).due_at
    assert await follow_zones(desk.database, evening) is False  # nothing is known yet
    assert await follow_zones(desk.database, evening) is False

    def other_rules(name: str) -> ZoneInfo:
        return ZoneInfo("Europe/Istanbul" if name == "Europe/Kyiv" else name)

    monkeypatch.setattr("pbxcrm.calendars.queries._zone", other_rules)
    desk.database.kept.clear()  # as in another program
    assert await follow_zones(desk.database, evening) is True
    assert await follow_zones(desk.database, evening) is False
    after = (await desk.one_lamp(LampState.ARMED)).due_at
    assert after != before
    assert await desk.sweep(after - MINUTE) == 0
    assert await desk.sweep(after) == 1
    assert await desk.sweep(after) == 0
