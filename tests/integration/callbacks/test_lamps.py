"""Norm, lamp, pause, manager: each once, put out only by work, moved when the options change."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.calendars.leave_actions import NewLeave, create_leave
from pbxcrm.callbacks.access import visible_episodes
from pbxcrm.callbacks.actions import change_options
from pbxcrm.callbacks.models import AttemptResult, Episode
from pbxcrm.callbacks.results import record_result
from pbxcrm.calls.rules import NO_NUMBER
from pbxcrm.checkpoints.escalation_actions import accept, reassign
from pbxcrm.checkpoints.lighting import LATE, MOST_LATE
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.checkpoints.queries import escalation_count, list_escalations
from pbxcrm.deals.models import Deal
from pbxcrm.reports.day_figures import load_day_figures
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound
from pbxcrm.shared.events import Outbox
from pbxcrm.shared.timers import Timer
from pbxcrm.tasks.finish_actions import finish_task, reopen_task
from pbxcrm.tasks.list_queries import TaskChoice, list_closed, open_tasks_of_deal, reached_count
from pbxcrm.tasks.models import Task
from pbxcrm.tasks.queries import list_tasks, overdue_count
from pbxcrm.tasks.rules import ENDED_BY
from tests.calls import NOON, FactStory, batch, outbound
from tests.integration.callbacks.conftest import CLIENT, MISSED_AT, CallbackDesk
from tests.lamps import sweep_all

NORM = MISSED_AT + timedelta(minutes=20)
PAUSE = NORM + timedelta(minutes=20)


async def sweep(desk: CallbackDesk, at: datetime) -> int:
    return await sweep_all(desk.database, at)


async def tasks(desk: CallbackDesk, kind: str) -> list[Task]:
    return [task for task in await desk.rows(Task) if task.kind == kind]


async def escalations(desk: CallbackDesk) -> list[Lamp]:
    return [lamp for lamp in await desk.rows(Lamp) if lamp.is_escalation]


async def escalation_of(desk: CallbackDesk) -> Lamp:
    (found,) = await escalations(desk)
    return found


async def burn(desk: CallbackDesk) -> Lamp:
    """A callback left beyond norm and pause."""
    await desk.miss()
    await sweep(desk, NORM)
    await sweep(desk, PAUSE)
    return await escalation_of(desk)


async def test_a_withheld_number_is_named_so_in_the_title_of_its_lamps(desk: CallbackDesk) -> None:
    await desk.intake.apply(batch(FactStory(client=None).ring("101").wait(9).end()))
    await sweep(desk, NORM)
    await sweep(desk, PAUSE)
    titles = [task.title for task in (*await tasks(desk, "lamp"), *await tasks(desk, "control"))]
    assert titles == [f"Not called back in time: {NO_NUMBER}", f"{NO_NUMBER} is still not called back by Ivan Kravets"]


async def test_norm_then_lamp_then_pause_then_manager(desk: CallbackDesk) -> None:
    await desk.miss()
    assert await sweep(desk, NORM - timedelta(seconds=1)) == 0
    await sweep(desk, NORM)
    (lamp,) = await tasks(desk, "lamp")
    assert (lamp.assignee_id, lamp.due_at, lamp.status) == (desk.office.id("ivan"), NORM, "open")
    assert lamp.title == "Not called back in time: +380 67 111 22 33"
    assert reasons.sentences(lamp.reason)[:2] == [
        "The norm of 20 working minutes has passed without a call back.",
        "The caller hung up while Ivan Kravets (101) rang.",
    ]
    await sweep(desk, PAUSE - timedelta(seconds=1))
    assert not await escalations(desk)
    await sweep(desk, PAUSE)
    escalation = await escalation_of(desk)
    (control,) = await tasks(desk, "control")
    assert escalation.addressee_id == control.assignee_id == desk.office.id("maria")
    assert (escalation.owner_id, escalation.state) == (desk.office.id("ivan"), LampState.BURNING)
    assert "20 more working minutes after the lamp; Ivan Kravets has it" in reasons.text(escalation.reason)
    for later in (1, 60, 3000):
        await sweep(desk, PAUSE + timedelta(minutes=later))
    assert (len(await tasks(desk, "lamp")), len(await tasks(desk, "control"))) == (1, 1)


async def test_whoever_is_responsible_for_the_deal_hears_of_its_lamps(desk: CallbackDesk) -> None:
    """Their board and card show them, also where the callback and so the lamp is somebody else's."""
    await desk.miss()
    deal, olena = await desk.one(Deal), desk.office.id("olena")
    async with desk.database.write() as session:
        (await session.get_one(Deal, deal.id)).responsible_id = olena
    for at in (NORM, PAUSE):
        before = len(await desk.rows(Outbox))
        await sweep(desk, at)
        said = [row for row in (await desk.rows(Outbox))[before:] if (row.topic, row.ref) == ("deal", str(deal.id))]
        assert said
        assert all(olena in row.users for row in said)


async def test_the_norm_counts_working_minutes(desk: CallbackDesk) -> None:
    friday = datetime(2026, 11, 20, 15, 50, tzinfo=UTC)  # 17:50 in Kyiv
    await desk.miss(at=friday - timedelta(seconds=9))
    await sweep(desk, datetime(2026, 11, 23, 7, 9, 59, tzinfo=UTC))
    assert not await tasks(desk, "lamp")
    await sweep(desk, datetime(2026, 11, 23, 7, 10, tzinfo=UTC))  # Monday 9:10
    assert len(await tasks(desk, "lamp")) == 1


@pytest.mark.parametrize("who", ["us", "client"])
async def test_a_conversation_puts_everything_out(desk: CallbackDesk, who: str) -> None:
    await burn(desk)
    story = outbound("17.7", "102", at=PAUSE) if who == "us" else FactStory("17.7", at=PAUSE).ring("102")
    await desk.intake.apply(batch(story.wait(3).answer("102")))
    assert (await escalation_of(desk)).state == LampState.OUT
    assert [task.status for task in await desk.rows(Task)] == ["done", "done", "done"]
    async with desk.database.read() as session:
        assert not (await session.exec(select(Timer).where(col(Timer.done_at).is_(None)))).all()
        assert not (await session.exec(select(Lamp).where(Lamp.state != LampState.OUT.value))).all()


async def test_an_attempt_puts_the_lamps_out_and_the_planned_time_has_a_norm_of_its_own(desk: CallbackDesk) -> None:
    await burn(desk)
    await desk.intake.apply(batch(outbound("17.7", "101", at=PAUSE).end()))
    assert (await escalation_of(desk)).state == LampState.OUT
    (lamp,) = await tasks(desk, "lamp")
    assert (lamp.status, lamp.result) == ("done", "The client was called; the next attempt has a time.")
    planned = PAUSE + timedelta(minutes=10)
    assert (await desk.one(Episode)).next_attempt_at == planned
    await sweep(desk, planned + timedelta(minutes=19))
    assert len(await tasks(desk, "lamp")) == 1
    await sweep(desk, planned + timedelta(minutes=20))
    again = (await tasks(desk, "lamp"))[-1]
    assert again.status == "open"
    assert "planned attempt was not made" in reasons.text(again.reason)


async def test_reading_or_claiming_puts_out_nothing(desk: CallbackDesk) -> None:
    from pbxcrm.callbacks.claims import claim

    await desk.miss()
    await sweep(desk, NORM)
    episode = await desk.one(Episode)
    async with desk.database.write() as session:
        await claim(session, await desk.viewer("ivan"), episode.id or 0, now=NORM)
    await sweep(desk, PAUSE)
    assert (await escalation_of(desk)).state == LampState.BURNING


async def decided(desk: CallbackDesk) -> list[tuple[str, int | None]]:
    """What the log says became of escalations, and by whom."""
    return [(row.action, row.actor_id) for row in await desk.rows(AuditEntry) if row.action.startswith("escalation.")]


async def test_accepting_needs_a_reason_and_stops_the_clock_until_they_call_again(desk: CallbackDesk) -> None:
    escalation = await burn(desk)
    maria = await desk.viewer("maria")
    assert escalation.id
    with pytest.raises(Invalid):
        async with desk.database.write() as session:
            await accept(session, maria, escalation.id, " ", now=PAUSE)
    async with desk.database.write() as session:
        await accept(session, maria, escalation.id, "they come by tomorrow", now=PAUSE)
    accepted = await escalation_of(desk)
    assert (accepted.decision, accepted.note, accepted.out_by_id) == (
        "accepted",
        "they come by tomorrow",
        desk.office.id("maria"),
    )
    assert [task.status for task in await tasks(desk, "control")] == ["done"]
    assert await decided(desk) == [("escalation.accepted", maria.user_id)]
    await sweep(desk, PAUSE + timedelta(days=3))
    assert len(await escalations(desk)) == 1
    assert (await desk.one(Episode)).status == "open"
    await desk.miss(at=PAUSE + timedelta(days=1))
    await sweep(desk, PAUSE + timedelta(days=1, minutes=21))
    assert len(await tasks(desk, "lamp")) == 2
    with pytest.raises(Conflict, match="dealt with"):
        async with desk.database.write() as session:
            await accept(session, maria, escalation.id, "twice", now=PAUSE)


async def test_reassigning_moves_callback_task_and_deal_and_begins_the_norm_anew(desk: CallbackDesk) -> None:
    escalation = await burn(desk)
    assert escalation.id
    async with desk.database.write() as session:
        await reassign(session, await desk.viewer("maria"), escalation.id, desk.office.id("olena"), now=PAUSE)
    episode, deal, escalation = await desk.one(Episode), await desk.one(Deal), await escalation_of(desk)
    (callback,) = await tasks(desk, "callback")
    olena = desk.office.id("olena")
    assert (episode.owner_id, deal.responsible_id, callback.assignee_id) == (olena, olena, olena)
    assert (escalation.decision, callback.due_at) == ("reassigned", PAUSE + timedelta(minutes=20))
    assert await decided(desk) == [("escalation.reassigned", desk.office.id("maria"))]
    assert reasons.sentences(episode.reason)[-1] == "Maria Manager gave it to Olena Hryhorenko."
    await sweep(desk, PAUSE + timedelta(minutes=20))
    assert (await tasks(desk, "lamp"))[-1].assignee_id == olena


async def test_only_the_managers_of_the_team_decide(desk: CallbackDesk) -> None:
    escalation = await burn(desk)
    assert escalation.id
    seen: dict[str, int] = {}
    for login in ("maria", "oksana", "ivan", "kira", "admin"):
        viewer = await desk.viewer(login)
        async with desk.database.read() as session:
            seen[login] = len(await list_escalations(session, viewer))
            assert await escalation_count(session, viewer, PAUSE) == seen[login]
    assert seen == {"maria": 1, "oksana": 0, "ivan": 0, "kira": 1, "admin": 1}
    for login, error in (("oksana", NotFound), ("ivan", NotAllowed), ("kira", NotAllowed)):
        viewer = await desk.viewer(login)
        with pytest.raises(error):
            async with desk.database.write() as session:
                await accept(session, viewer, escalation.id, "why not", now=PAUSE)
    with pytest.raises(Invalid) as wrong:
        async with desk.database.write() as session:
            await reassign(session, await desk.viewer("maria"), escalation.id, desk.office.id("petro"), now=PAUSE)
    assert wrong.value.field == "user_id"


async def test_changed_options_move_what_is_pending_and_fire_nothing_twice(desk: CallbackDesk) -> None:
    await desk.miss()
    await desk.miss("+380501110000", at=NOON + timedelta(minutes=10))
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        await change_options(session, admin, {"callback_due_minutes": 40}, now=NOON + timedelta(minutes=11))
    await sweep(desk, MISSED_AT + timedelta(minutes=39))
    assert not await tasks(desk, "lamp")
    assert (await tasks(desk, "callback"))[0].due_at == MISSED_AT + timedelta(minutes=40)
    async with desk.database.write() as session:
        await change_options(session, admin, {"callback_due_minutes": 5}, now=MISSED_AT + timedelta(minutes=39))
    await sweep(desk, MISSED_AT + timedelta(minutes=39))
    assert len(await tasks(desk, "lamp")) == 2
    async with desk.database.write() as session:
        await change_options(
            session,
            admin,
            {"callback_due_minutes": 500, "callback_pause_minutes": 1},
            now=MISSED_AT + timedelta(minutes=39),
        )
    await sweep(desk, MISSED_AT + timedelta(minutes=40))
    assert (len(await tasks(desk, "lamp")), len(await escalations(desk))) == (2, 2)
    with pytest.raises(NotAllowed):
        async with desk.database.write() as session:
            await change_options(session, await desk.viewer("maria"), {"callback_due_minutes": 5}, now=NORM)
    with pytest.raises(Invalid) as wrong:
        async with desk.database.write() as session:
            await change_options(session, admin, {"callback_due_minutes": -5}, now=NORM)
    assert wrong.value.field == "callback_due_minutes"


async def test_a_callback_that_is_nobodys_reaches_every_manager(desk: CallbackDesk) -> None:
    await desk.intake.apply(batch(FactStory("1.1", did="1").wait(9).end()))  # nobody's phone rang
    episode = await desk.one(Episode)
    async with desk.database.write() as session:
        row = await session.get(Episode, episode.id)
        assert row
        row.owner_id = None
    await sweep(desk, NORM)
    await sweep(desk, PAUSE)
    escalation = await escalation_of(desk)
    assert "is nobody's" in reasons.text(escalation.reason)
    manager = next(login for login in ("maria", "oksana") if desk.office.id(login) == escalation.addressee_id)
    async with desk.database.read() as session:
        assert len(await list_escalations(session, await desk.viewer(manager))) == 1


async def test_result_by_hand_stops_the_clock(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    async with desk.database.write() as session:
        await record_result(
            session,
            await desk.viewer("ivan"),
            episode.id or 0,
            AttemptResult.WRONG_NUMBER,
            now=NORM,
            region="UA",
            without_call="the number has eight digits",
        )
    assert await sweep(desk, PAUSE + timedelta(days=1)) == 0


@pytest.mark.parametrize("kind", ["callback", "lamp", "control"])
async def test_nobody_finishes_by_hand_what_ends_by_work_nor_opens_it_again(desk: CallbackDesk, kind: str) -> None:
    await burn(desk)
    (task,) = await tasks(desk, kind)
    assert task.id
    who = await desk.viewer("maria" if kind == "control" else "ivan")
    for cancelled in (False, True):
        with pytest.raises(Conflict, match=ENDED_BY[kind]):
            async with desk.database.write() as session:
                await finish_task(session, who, task.id, result="", now=PAUSE, cancelled=cancelled)
    assert [task.status for task in await desk.rows(Task)] == ["open", "open", "open"]
    await desk.intake.apply(batch(FactStory("17.7", at=PAUSE).ring("102").answer("102")))
    with pytest.raises(Conflict, match=ENDED_BY[kind]):
        async with desk.database.write() as session:
            await reopen_task(session, who, task.id, now=PAUSE)
    assert [task.status for task in await desk.rows(Task)] == ["done", "done", "done"]


async def test_one_miss_is_one_row_and_counts_once(desk: CallbackDesk) -> None:
    """Callback, lamp and escalation are three tasks of one miss: one row for the seller, one for the manager, one overdue."""
    await burn(desk)
    assert len(await desk.rows(Task)) == 3
    ivan, maria = await desk.viewer("ivan"), await desk.viewer("maria")
    async with desk.database.read() as session:
        (row,) = await list_tasks(session, ivan, *TaskChoice(assignee_id=ivan.user_id).open(ivan))
        assert (row.task.kind, row.lamp) == ("callback", "second")
        assert await overdue_count(session, ivan, PAUSE) == 1
        # What has reached her stands among the escalations, and not among her own tasks, too.
        assert await list_tasks(session, maria, *TaskChoice(assignee_id=maria.user_id).open(maria)) == []
        assert (await overdue_count(session, maria, PAUSE), await reached_count(session, maria)) == (0, 1)
        assert await escalation_count(session, maria, PAUSE) == 1
        (hers,) = await list_tasks(session, maria, *TaskChoice(assignee_id=maria.user_id, kind="control").open(maria))
        assert hers.task.kind == "control"
        (teams,) = await list_tasks(session, maria, *TaskChoice().open(maria))
        assert teams.task.kind == "callback"
        figures = await load_day_figures(session, maria, NOON, PAUSE)
        assert (figures.overdue, figures.open_tasks, figures.burning) == (1, 1, 1)
        (on_deal,) = await open_tasks_of_deal(session, row.task.deal_id or 0)
        assert on_deal.task.id == row.task.id
        of_kind = await list_tasks(session, ivan, *TaskChoice(assignee_id=ivan.user_id, kind="lamp").open(ivan))
        assert [found.task.kind for found in of_kind] == ["lamp"]  # who asks for lamps gets them
    await desk.intake.apply(batch(FactStory("17.7", at=PAUSE).ring("102").answer("102")))
    async with desk.database.read() as session:
        (done,) = await list_closed(session, ivan, TaskChoice(assignee_id=ivan.user_id))
        assert done.task.kind == "callback"


async def test_many_late_callbacks_of_one_person_stay_one_row_each(desk: CallbackDesk) -> None:
    """After a stop the late lamps of a person share one task; those of callbacks have a row already, and would be counted twice."""
    for number in range(MOST_LATE + 2):
        await desk.miss(f"+3806711122{number:02}")
    at = NORM + LATE + timedelta(minutes=1)
    await sweep(desk, at)
    ivan = await desk.viewer("ivan")
    async with desk.database.read() as session:
        rows = await list_tasks(session, ivan, *TaskChoice(assignee_id=ivan.user_id).open(ivan))
        assert [(row.task.kind, row.lamp) for row in rows] == [("callback", "first")] * (MOST_LATE + 2)
        assert await overdue_count(session, ivan, at) == MOST_LATE + 2


async def test_another_team_sees_a_manager_s_missed_call_only_while_it_is_asked_about_it(desk: CallbackDesk) -> None:
    """Nobody is their own manager: where the only manager of a team does not call back, an administrator is asked, or their deputy."""
    oksana, admin = await desk.viewer("oksana"), await desk.viewer("admin")
    away = NewLeave(admin.user_id, MISSED_AT, MISSED_AT + timedelta(days=1), oksana.user_id)
    async with desk.database.write() as session:
        await create_leave(session, admin, away, now=MISSED_AT)

    async def seen() -> int:
        async with desk.database.read() as session:
            return len((await session.exec(select(Episode.id).where(visible_episodes(oksana)))).all())

    await desk.miss(CLIENT, "103")  # maria, who leads the team Sales
    await sweep(desk, NORM)
    assert await seen() == 0
    await sweep(desk, PAUSE)
    escalation = await escalation_of(desk)
    assert (escalation.owner_id, escalation.addressee_id) == (desk.office.id("maria"), oksana.user_id)
    assert await seen() == 1
    await desk.intake.apply(batch(outbound("5.1", "103", CLIENT, PAUSE).answer("103").wait(9).end()))
    assert await seen() == 0
