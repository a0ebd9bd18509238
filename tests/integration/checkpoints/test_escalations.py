"""What a manager does about a deal that nobody works on: the same acts as about a callback."""

from datetime import timedelta

import pytest
from sqlmodel import select

from pbxcrm.checkpoints.engine import settle_deals
from pbxcrm.checkpoints.escalation_actions import accept, comment, make_joint, reassign
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, Lamp, LampState
from pbxcrm.checkpoints.queries import escalation_count, list_control_tasks, list_escalations
from pbxcrm.deals.actions import edit_deal
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import as_rows
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.tasks.models import Task
from tests.integration.checkpoints.conftest import DealDesk


async def escalated(desk: DealDesk) -> tuple[int, Lamp]:
    """A deal left beyond its norm and the pause."""
    deal_id = await desk.deal()
    for _ in range(2):
        await desk.sweep((await desk.one_lamp(LampState.ARMED)).due_at)
    (lamp,) = [lamp for lamp in await desk.lamps() if lamp.is_escalation]
    return deal_id, lamp


async def test_a_deal_before_the_manager_is_an_escalation_and_counted_once(desk: DealDesk) -> None:
    deal_id, lamp = await escalated(desk)
    assert (lamp.state, lamp.addressee_id) == (LampState.BURNING, desk.office.id("maria"))
    seen: dict[str, int] = {}
    for login in ("maria", "oksana", "ivan", "kira"):
        viewer = await desk.viewer(login)
        async with desk.database.read() as session:
            rows = await list_escalations(session, viewer)
            others = await list_control_tasks(session, viewer)
            assert await escalation_count(session, viewer, lamp.due_at) == len(rows) + len(others)
            seen[login] = len(rows)
    assert seen == {"maria": 1, "oksana": 0, "ivan": 0, "kira": 1}
    async with desk.database.read() as session:
        deal = await session.get_one(Deal, deal_id)
        assert [row.lamp for row in await as_rows(session, [deal])] == ["second"]


async def test_accepting_puts_both_out_and_the_norm_runs_again(desk: DealDesk) -> None:
    deal_id, lamp = await escalated(desk)
    norm = (await desk.stage("Proposal sent")).norm_minutes
    maria, at = await desk.viewer("maria"), lamp.due_at + timedelta(minutes=5)
    async with desk.database.write() as session:
        await accept(session, maria, lamp.id or 0, "They decide in spring", now=at)
    out = await desk.lamps(LampState.OUT)
    assert [(each.step, each.decision, each.note) for each in out] == [
        (0, "", ""),
        (1, "accepted", "They decide in spring"),
    ]
    assert await desk.tasks("lamp") == await desk.tasks("control") == []
    with pytest.raises(Conflict):
        async with desk.database.write() as session:
            await accept(session, maria, lamp.id or 0, "twice", now=at)
    again = await desk.one_lamp(LampState.ARMED)
    assert (again.step, again.deal_id, again.entered_at, again.minutes) == (0, deal_id, at, norm)
    assert again.due_at > at
    for _ in range(2):  # it burns again, for the seller and then for the manager, and says who accepted it before
        assert await desk.sweep((await desk.one_lamp(LampState.ARMED)).due_at) == 1
    (first, second) = await desk.lamps(LampState.BURNING)
    assert (first.step, second.step, second.is_escalation) == (0, 1, True)
    assert first.reason["code"] == "lamp.again"


async def test_a_delay_is_accepted_until_the_time_that_the_manager_names(desk: DealDesk) -> None:
    deal_id, lamp = await escalated(desk)
    maria, at = await desk.viewer("maria"), lamp.due_at + timedelta(minutes=5)
    until = at + timedelta(days=30)
    for wrong in (at, at + timedelta(days=400)):
        with pytest.raises(Invalid) as refused:
            async with desk.database.write() as session:
                await accept(session, maria, lamp.id or 0, "They decide in spring", now=at, until=wrong)
        assert refused.value.field == "until"
    async with desk.database.write() as session:
        await accept(session, maria, lamp.id or 0, "They decide in spring", now=at, until=until)
    assert (await desk.one_lamp(LampState.ARMED)).due_at == until
    assert await desk.sweep(until - timedelta(minutes=1)) == 0
    async with desk.database.write() as session:
        await settle_deals(session, [deal_id], until - timedelta(minutes=1))
    assert (await desk.one_lamp(LampState.ARMED)).due_at == until
    assert await desk.sweep(until) == 1


async def test_work_after_a_delay_was_accepted_begins_its_clock_anew(desk: DealDesk) -> None:
    deal_id, lamp = await escalated(desk)
    maria, at = await desk.viewer("maria"), lamp.due_at + timedelta(minutes=5)
    async with desk.database.write() as session:
        await accept(session, maria, lamp.id or 0, "later", now=at, until=at + timedelta(days=30))
    talked = at + timedelta(days=1)
    await desk.talk(talked)
    armed = await desk.one_lamp(LampState.ARMED)
    assert (armed.deal_id, armed.entered_at, armed.minutes) == (
        deal_id,
        talked + timedelta(minutes=1),
        (await desk.stage("Proposal sent")).norm_minutes,
    )


async def test_giving_the_deal_answers_it_and_the_new_one_has_a_pause_of_their_own(desk: DealDesk) -> None:
    deal_id, lamp = await escalated(desk)
    maria, at = await desk.viewer("maria"), lamp.due_at + timedelta(minutes=5)
    with pytest.raises(Invalid):
        async with desk.database.write() as session:
            await reassign(session, maria, lamp.id or 0, desk.office.id("ivan"), now=at)
    async with desk.database.write() as session:
        given = await reassign(session, maria, lamp.id or 0, desk.office.id("olena"), now=at)
        assert (given.decision, given.out_by_id) == ("reassigned", maria.user_id)
    assert (await desk.deal_row(deal_id)).responsible_id == desk.office.id("olena")
    burning = await desk.one_lamp(LampState.BURNING)
    assert (burning.step, burning.owner_id, burning.addressee_id) == (
        0,
        desk.office.id("olena"),
        desk.office.id("olena"),
    )
    assert (await desk.one_lamp(LampState.ARMED)).entered_at == at


async def test_nothing_is_given_to_somebody_whose_role_may_not_work_on_it(desk: DealDesk) -> None:
    deal_id, lamp = await escalated(desk)
    admin = await desk.viewer("admin")
    with pytest.raises(Invalid) as refused:
        async with desk.database.write() as session:
            await reassign(session, admin, lamp.id or 0, desk.office.id("kira"), now=lamp.due_at)
    assert refused.value.field == "user_id"
    with pytest.raises(Invalid):
        async with desk.database.write() as session:
            await edit_deal(
                session, admin, deal_id, version=None, now=lamp.due_at, responsible_id=desk.office.id("kira")
            )
    assert (await desk.deal_row(deal_id)).responsible_id == desk.office.id("ivan")


async def test_a_comment_is_an_assignment_and_the_lamp_burns_on(desk: DealDesk) -> None:
    deal_id, lamp = await escalated(desk)
    maria = await desk.viewer("maria")
    with pytest.raises(Invalid):
        async with desk.database.write() as session:
            await comment(session, maria, lamp.id or 0, "  ", now=lamp.due_at)
    async with desk.database.write() as session:
        await comment(session, maria, lamp.id or 0, "Ask for the accountant", now=lamp.due_at)
    (said,) = await desk.tasks("assignment")
    assert (said.assignee_id, said.deal_id, said.note) == (desk.office.id("ivan"), deal_id, "Ask for the accountant")
    assert len(await desk.lamps(LampState.BURNING)) == 2


async def test_a_comment_for_which_no_room_is_left_is_refused_at_its_field(desk: DealDesk) -> None:
    _, lamp = await escalated(desk)
    maria = await desk.viewer("maria")
    async with desk.database.write() as session:
        await comment(session, maria, lamp.id or 0, "a" * 990, now=lamp.due_at)
    with pytest.raises(Invalid, match="9 are left") as refused:
        async with desk.database.write() as session:
            await comment(session, maria, lamp.id or 0, "b" * 10, now=lamp.due_at + timedelta(minutes=1))
    assert refused.value.field == "text"
    async with desk.database.write() as session:
        await comment(session, maria, lamp.id or 0, "b" * 9, now=lamp.due_at + timedelta(minutes=2))
    (kept,) = [row for row in await desk.rows(Lamp) if row.id == lamp.id]
    assert kept.note == "a" * 990 + "\n" + "b" * 9


async def joined(desk: DealDesk, lamp: Lamp) -> list[Task]:
    """The open tasks of lamps after the manager has pressed *Do it together* twice, which is once too often."""
    maria = await desk.viewer("maria")
    for _ in range(2):
        async with desk.database.write() as session:
            await make_joint(session, maria, lamp.id or 0, now=lamp.due_at)
    return [task for task in await desk.rows(Task) if task.kind in {"lamp", "control"} and task.status == "open"]


async def test_doing_it_together_leaves_everybody_one_task_in_words_for_them(desk: DealDesk) -> None:
    deal_id, lamp = await escalated(desk)
    oksana = await desk.viewer("oksana")
    with pytest.raises(NotFound):
        async with desk.database.write() as session:
            await make_joint(session, oksana, lamp.id or 0, now=lamp.due_at)
    maria, ivan = desk.office["maria"].name, desk.office["ivan"].name
    assert {task.assignee_id: task.title for task in await joined(desk, lamp)} == {
        desk.office.id("ivan"): f"Together with {maria}: No work on “Deal 1” within the norm of “Proposal sent”",
        desk.office.id("maria"): f"{ivan} has not worked on “Deal 1” within the norm",
    }
    await desk.give(deal_id, "olena", lamp.due_at + timedelta(minutes=1))
    (left,) = [task for task in await desk.rows(Task) if task.kind in {"lamp", "control"} and task.status == "open"]
    assert (left.assignee_id, left.title) == (
        desk.office.id("olena"),
        "No work on “Deal 1” within the norm of “Proposal sent”",
    )


async def test_who_has_no_task_yet_gets_one_in_words_for_them(desk: DealDesk) -> None:
    """The first step asked the manager alone."""
    await _set_steps(desk, [("manager", "control")])
    await desk.deal()
    await desk.sweep((await desk.one_lamp(LampState.ARMED)).due_at)
    lamp = await desk.one_lamp(LampState.BURNING)
    tasks = {task.assignee_id: task.title for task in await joined(desk, lamp)}
    assert tasks[desk.office.id("ivan")] == f"Together with {desk.office['maria'].name}: Work on “Deal 1”"
    assert len(tasks) == 2
    await desk.talk(lamp.due_at + timedelta(minutes=10))
    assert {task.status for task in await desk.rows(Task) if task.kind in {"lamp", "control"}} == {"done"}


@pytest.mark.parametrize("before", [[], [("responsible", "task")]])
async def test_a_joint_step_asks_nobody_twice_and_nobody_in_the_third_person(
    desk: DealDesk, before: list[tuple[str, str]]
) -> None:
    await _set_steps(desk, [*before, ("joint", "control")])
    await desk.deal()
    for _ in range(len(before) + 1):
        await desk.sweep((await desk.one_lamp(LampState.ARMED)).due_at)
    maria, ivan = desk.office["maria"].name, desk.office["ivan"].name
    tasks = [task for task in await desk.rows(Task) if task.kind in {"lamp", "control"}]
    assert sorted((task.assignee_id, task.title) for task in tasks) == sorted(
        [
            (
                desk.office.id("ivan"),
                f"Together with {maria}: No work on “Deal 1” within the norm of “Proposal sent”",
            ),
            (desk.office.id("maria"), f"{ivan} has not worked on “Deal 1” within the norm"),
        ]
    )
    await desk.talk((await desk.lamps(LampState.BURNING))[-1].due_at + timedelta(minutes=10))
    assert {task.status for task in await desk.rows(Task) if task.kind in {"lamp", "control"}} == {"done"}


async def _set_steps(desk: DealDesk, steps: list[tuple[str, str]]) -> None:
    """Let the checkpoint of *Proposal sent* have these steps, as (whom, what)."""
    stage = await desk.stage("Proposal sent")
    async with desk.database.write() as session:
        checkpoint = (await session.exec(select(Checkpoint).where(Checkpoint.stage_id == stage.id))).one()
        for row in (
            await session.exec(select(CheckpointStep).where(CheckpointStep.checkpoint_id == checkpoint.id))
        ).all():
            await session.delete(row)
        await session.flush()
        for position, (whom, what) in enumerate(steps):
            session.add(
                CheckpointStep(
                    checkpoint_id=checkpoint.id or 0,
                    position=position,
                    after_minutes=60 if position else None,
                    whom=whom,
                    what=what,
                )
            )
