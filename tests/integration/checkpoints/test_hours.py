"""Before working hours, a leave or a pause are saved: what they do to the lamps, and letting the clocks begin then."""

from datetime import timedelta

import pytest
from sqlmodel import select

from pbxcrm.calendars.actions import CalendarChange, change_calendar, create_calendar
from pbxcrm.calendars.drafts import calendars_after
from pbxcrm.calendars.leave_actions import NewLeave, create_leave
from pbxcrm.calendars.models import Calendar
from pbxcrm.checkpoints.hours_queries import look_at_hours, look_at_team, watched_of
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.checkpoints.pause_actions import approve_pause, end_pause, look_at_end, pause_deal, running_pause
from pbxcrm.checkpoints.preview_jobs import Look
from pbxcrm.people.actions import edit_user
from pbxcrm.people.models import Team, User
from pbxcrm.shared.errors import Invalid
from tests.calls import NOON
from tests.integration.checkpoints.conftest import DealDesk

ALWAYS = CalendarChange(week=["00:00-24:00"] * 7)
SELDOM = CalendarChange(week=["09:00-10:00", "", "", "", "", "", ""])


async def _default(desk: DealDesk) -> int:
    async with desk.database.read() as session:
        return (await session.exec(select(Calendar.id).where(Calendar.is_default))).one() or 0


async def _save(desk: DealDesk, change: CalendarChange, *, days: int = 0, begin_now: bool = False) -> None:
    admin, calendar_id = await desk.viewer("admin"), await _default(desk)
    async with desk.database.write() as session:
        await change_calendar(session, admin, calendar_id, change, now=NOON + timedelta(days=days), begin_now=begin_now)


async def _look(desk: DealDesk, change: CalendarChange, *, days: int) -> Look:
    async with desk.database.read() as session:
        then = await calendars_after(session, await _default(desk), change)
        return await look_at_hours(session, then, NOON + timedelta(days=days))


async def test_other_hours_say_what_they_would_light_and_then_light_exactly_that(desk: DealDesk) -> None:
    await _save(desk, SELDOM)
    for _ in range(3):
        await desk.deal()
    late = NOON + timedelta(days=5)
    assert await desk.sweep(late) == 0
    assert await _look(desk, CalendarChange(name="Only a name"), days=5) == Look(0, 0)
    assert await _look(desk, SELDOM, days=5) == Look(0, 0)
    assert await _look(desk, ALWAYS, days=5) == Look(3, 3)
    await _save(desk, ALWAYS, days=5)
    assert await desk.sweep(late) == 3
    assert await _look(desk, SELDOM, days=5) == Look(3, 0)  # their next steps wait


async def test_clocks_that_begin_with_the_new_hours_light_nothing_at_once_and_their_norm_afterwards(
    desk: DealDesk,
) -> None:
    await _save(desk, SELDOM)
    deal_id = await desk.deal()
    late = NOON + timedelta(days=5)
    norm = (await desk.stage("Proposal sent")).norm_minutes or 0
    await _save(desk, ALWAYS, days=5, begin_now=True)
    assert await desk.sweep(late) == 0
    armed = await desk.one_lamp(LampState.ARMED)
    assert (armed.begins_at, armed.entered_at, armed.due_at) == (late, late, late + timedelta(minutes=norm))
    await desk.give(deal_id, "olena", late + timedelta(minutes=1))  # whatever else is settled, it stays so
    assert (await desk.one_lamp(LampState.ARMED)).due_at == late + timedelta(minutes=norm)
    assert await desk.sweep(late + timedelta(minutes=norm)) == 1


async def test_the_pause_of_a_lamp_that_burns_begins_with_the_new_hours_too(desk: DealDesk) -> None:
    await desk.deal()
    assert await desk.sweep((await desk.one_lamp(LampState.ARMED)).due_at) == 1
    lit = await desk.one_lamp(LampState.BURNING)
    await _save(desk, SELDOM, days=1)
    assert (await desk.one_lamp(LampState.ARMED)).due_at > NOON + timedelta(days=6)
    assert await _look(desk, ALWAYS, days=6) == Look(1, 1)
    await _save(desk, ALWAYS, days=6, begin_now=True)
    assert await desk.sweep(NOON + timedelta(days=6)) == 0
    armed = await desk.one_lamp(LampState.ARMED)
    assert (armed.step, armed.entered_at) == (1, NOON + timedelta(days=6))
    assert lit.lit_at is not None


async def test_only_the_people_of_a_calendar_are_touched(desk: DealDesk) -> None:
    await _save(desk, SELDOM)
    await desk.deal()
    async with desk.database.read() as session:
        teams = [team.id or 0 for team in (await session.exec(select(Team))).all()]
        ivan = await session.get_one(User, desk.office.id("ivan"))
        new = CalendarChange(name="New", timezone="Europe/Kyiv", week=["00:00-24:00"] * 7, team_ids=teams)
        late = NOON + timedelta(days=5)
        assert await look_at_hours(session, await calendars_after(session, None, new), late) == Look(1, 1)
        others = [team for team in teams if team != ivan.team_id]
        new = CalendarChange(name="New", timezone="Europe/Kyiv", week=["00:00-24:00"] * 7, team_ids=others)
        assert await look_at_hours(session, await calendars_after(session, None, new), late) == Look(0, 0)
        with pytest.raises(Invalid) as refused:
            await calendars_after(session, None, CalendarChange(timezone="Europe/Kyiv", week=["banana"] * 7))
        assert refused.value.field == "day_0"


async def test_another_team_says_what_its_hours_would_light_and_can_begin_now(desk: DealDesk) -> None:
    await _save(desk, SELDOM)
    await desk.deal()
    late, admin, ivan = NOON + timedelta(days=5), await desk.viewer("admin"), desk.office.id("ivan")
    async with desk.database.write() as session:
        other = (await session.exec(select(Team).where(Team.name == "Other"))).one()
        always = CalendarChange(
            name="Always", timezone="Europe/Kyiv", week=["00:00-24:00"] * 7, team_ids=[other.id or 0]
        )
        await create_calendar(session, admin, always, now=NOON)
        user = await session.get_one(User, ivan)
        same = user.team_id
    async with desk.database.read() as session:
        assert await look_at_team(session, ivan, other.id, late) == Look(1, 1)
        assert await look_at_team(session, ivan, same, late) == Look(0, 0)
    async with desk.database.write() as session:
        await edit_user(
            session,
            admin,
            ivan,
            name="Ivan",
            role="seller",
            extensions=["101"],
            team=other.id,
            now=late,
            begin_now=True,
        )
    armed = await desk.one_lamp(LampState.ARMED)
    assert (armed.begins_at, await desk.sweep(late)) == (late, 0)


async def test_what_burns_and_asks_a_person_goes_to_the_deputy_when_the_leave_begins(desk: DealDesk) -> None:
    await desk.deal()
    assert await desk.sweep((await desk.one_lamp(LampState.ARMED)).due_at) == 1
    lit = await desk.one_lamp(LampState.BURNING)
    at, maria = lit.due_at + timedelta(minutes=1), await desk.viewer("maria")
    ivan, olena = desk.office.id("ivan"), desk.office.id("olena")
    async with desk.database.read() as session:
        assert await watched_of(session, ivan) == Look(1, 0)
    async with desk.database.write() as session:
        await create_leave(session, maria, NewLeave(ivan, at, at + timedelta(days=3), olena), now=at)
    assert (await desk.one_lamp(LampState.BURNING)).addressee_id == olena
    (task,) = await desk.tasks("lamp")
    assert task.assignee_id == olena
    wrong = NewLeave(olena, at + timedelta(days=9), at + timedelta(days=10), desk.office.id("kira"))
    with pytest.raises(Invalid) as refused:  # who may not work on deals is nobody's deputy
        async with desk.database.write() as session:
            await create_leave(session, maria, wrong, now=at)
    assert refused.value.field == "deputy"


async def test_a_pause_says_when_the_next_lamp_lights_then(desk: DealDesk) -> None:
    deal_id, ivan = await desk.deal(), await desk.viewer("ivan")
    due = (await desk.one_lamp(LampState.ARMED)).due_at
    until, at = NOON + timedelta(days=3), NOON + timedelta(minutes=1)
    async with desk.database.read() as session:
        look = await look_at_end(session, deal_id, until, now=at)
    assert look.now_at == due
    async with desk.database.write() as session:
        await pause_deal(session, ivan, deal_id, until, "they are away", now=at)
    assert (await desk.one_lamp(LampState.ARMED)).due_at == look.then_at
    later = NOON + timedelta(days=1)
    async with desk.database.read() as session:
        look = await look_at_end(session, deal_id, later, now=later)
    async with desk.database.write() as session:
        await end_pause(session, ivan, deal_id, now=later)
    assert (await desk.one_lamp(LampState.ARMED)).due_at == look.then_at


async def test_a_shorter_pause_of_a_step_says_which_escalations_it_lights(desk: DealDesk) -> None:
    """The later steps of a checkpoint count in its look as its first."""
    from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
    from pbxcrm.checkpoints.models import Checkpoint
    from pbxcrm.checkpoints.preview_jobs import look_at_change

    await desk.deal()
    assert await desk.sweep((await desk.one_lamp(LampState.ARMED)).due_at) == 1
    second = await desk.one_lamp(LampState.ARMED)
    (checkpoint,) = [row for row in await desk.rows(Checkpoint) if row.id == second.checkpoint_id]
    admin = await desk.viewer("admin")

    async def looked(minutes: int) -> Look:
        change = CheckpointChange(
            checkpoint.name,
            checkpoint.trigger,
            [StepChange(None, "responsible", "task"), StepChange(minutes, "manager", "control")],
            work=checkpoint.work,
            stage_id=checkpoint.stage_id,
            talked_seconds=checkpoint.talked_seconds,
        )
        async with desk.database.read() as session:
            return await look_at_change(
                session, admin, change, checkpoint.id, now=second.entered_at + timedelta(minutes=2)
            )

    assert (await looked(second.minutes)).would_light == 0
    assert (await looked(1)).would_light == 1
    assert [lamp.step for lamp in await desk.rows(Lamp)] == [0, 1]


async def test_asking_for_a_longer_pause_leaves_the_running_one_until_it_is_approved(desk: DealDesk) -> None:
    deal_id = await desk.deal()
    ivan, maria, due = (
        await desk.viewer("ivan"),
        await desk.viewer("maria"),
        (await desk.one_lamp(LampState.ARMED)).due_at,
    )
    minute = timedelta(minutes=1)
    async with desk.database.write() as session:
        await pause_deal(session, ivan, deal_id, NOON + 10 * minute, "They are at lunch", now=NOON)
    assert (await desk.one_lamp(LampState.ARMED)).due_at == due + 10 * minute
    for days, asked in ((20, NOON + 2 * minute), (30, NOON + 3 * minute)):  # the second instead of the first
        async with desk.database.write() as session:
            longer = await pause_deal(session, ivan, deal_id, NOON + timedelta(days=days), "On holiday", now=asked)
            assert longer.waits_for_approval
        assert (await desk.one_lamp(LampState.ARMED)).due_at == due + 10 * minute
        assert len(await desk.tasks("control")) == 1
    async with desk.database.read() as session:
        running = await running_pause(session, deal_id, NOON + 4 * minute)
        assert running is not None
        assert running.until_at == NOON + 10 * minute
    async with desk.database.write() as session:
        await approve_pause(session, maria, deal_id, now=NOON + 5 * minute)
    assert (await desk.one_lamp(LampState.ARMED)).due_at > NOON + timedelta(days=30)
    assert await desk.tasks("control") == []
    async with desk.database.write() as session:
        await end_pause(session, ivan, deal_id, now=NOON + 30 * minute)
    assert (await desk.one_lamp(LampState.ARMED)).due_at == due + 30 * minute
