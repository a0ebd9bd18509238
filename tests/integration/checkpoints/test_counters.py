"""After any work the counters equal the rows behind them, for everybody; and only work lets them fall."""

import random
from datetime import timedelta

from sqlmodel import col, select

from pbxcrm.checkpoints.access import is_burning, visible_lamps
from pbxcrm.checkpoints.burning_queries import burning_by_owner, rows_burning
from pbxcrm.checkpoints.escalation_actions import make_joint
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.checkpoints.queries import (
    burning_counts,
    escalation_count,
    list_control_tasks,
    list_escalations,
)
from pbxcrm.deals.lamp_queries import lamp_rank
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import list_deals
from pbxcrm.tasks.finish_actions import finish_task
from pbxcrm.tasks.list_queries import TaskChoice
from pbxcrm.tasks.models import Task
from pbxcrm.tasks.queries import list_tasks, overdue_count
from tests.calls import NOON, FactStory, batch, outbound
from tests.integration.checkpoints.conftest import DealDesk
from tests.integration.checkpoints.test_taken_back import DUE, LATER, set_norm, switch

STEPS = 40
NUMBERS = [f"+38067000000{n}" for n in range(6)]


async def test_counters_equal_their_rows_after_random_work(desk: DealDesk) -> None:
    dice, at, deals = random.Random(5), NOON, []
    for step in range(STEPS):
        number, extension = dice.choice(NUMBERS), dice.choice(["101", "102"])
        story = f"55.{step}"
        match dice.choice(["deal", "miss", "miss", "talk", "attempt", "move", "wait", "wait", "wait"]):
            case "deal":
                deals.append(await desk.deal(owner=dice.choice(["ivan", "olena"]), at=at, number=number))
            case "miss":
                await desk.intake.apply(batch(FactStory(story, number, at=at).ring(extension).wait(9).end()))
            case "talk":
                await desk.talk(at, client=number, extension=extension)
            case "attempt":
                await desk.intake.apply(batch(outbound(story, extension, client=number, at=at).end()))
            case "move" if deals:
                stage = dice.choice(["Proposal sent", "Invoice issued"])
                await desk.move(dice.choice(deals), stage, at, login="admin")
            case _:
                at += timedelta(minutes=dice.choice([21, 70, 600]))
                await desk.sweep(at)
        at += timedelta(minutes=2)
        await check(desk, step)
    assert len(await desk.lamps()) > 10


async def check(desk: DealDesk, step: int) -> None:
    """Half of the people after each step, in turn: each of them at every second state."""
    at = NOON + timedelta(days=99)
    for login in ("ivan", "olena", "maria", "oksana", "kira", "admin")[step % 2 :: 2]:
        viewer = await desk.viewer(login)
        async with desk.database.read() as session:
            burning = (await session.exec(select(Lamp).where(visible_lamps(viewer), is_burning()))).all()
            counts = await burning_counts(session, viewer)
            subjects = {(lamp.subject, lamp.callback_id or lamp.deal_id) for lamp in burning}
            assert counts.subjects == len(subjects), (step, login)
            assert sum((await burning_by_owner(session, viewer)).values()) == len(subjects), (step, login)
            assert len(await rows_burning(session, viewer, limit=999)) == len(subjects), (step, login)
            rows = await list_escalations(session, viewer)
            assert counts.escalations == len(rows), (step, login)
            others = await list_control_tasks(session, viewer)
            assert await escalation_count(session, viewer, at) == len(rows) + len(others), (step, login)
            own = TaskChoice(assignee_id=viewer.user_id, due_before=at).open(viewer)
            assert await overdue_count(session, viewer, at) == len(await list_tasks(session, viewer, *own)), login
            sees_all_lamps = viewer.role in {"admin", "qc"}
            for row in await list_deals(session, viewer, limit=200) if sees_all_lamps else ():
                mine = [lamp for lamp in burning if lamp.deal_id == row.deal.id]
                level = "second" if any(lamp.is_escalation for lamp in mine) else "first" if mine else "none"
                assert row.lamp == level, (step, row.deal.id)
    async with desk.database.read() as session:
        levels = (await session.exec(select(Deal.id).where(lamp_rank() > 0))).all()
        burns = (await session.exec(select(Lamp).where(is_burning(), col(Lamp.deal_id).is_not(None)))).all()
        assert set(levels) == {lamp.deal_id for lamp in burns}
        open_of_lamps = select(Task).where(Task.status == "open", col(Task.about).like("%lamp:%"))
        asked = {task.id for task in (await session.exec(open_of_lamps)).all()}
        assert asked == {
            lamp.task_id for lamp in (await session.exec(select(Lamp).where(is_burning()))).all() if lamp.task_id
        }


async def test_counters_equal_their_rows_while_rules_are_switched_off_and_on(desk: DealDesk) -> None:
    """Checkpoints and norms that are off for a moment, next tasks that are cancelled and joint tasks, at random."""
    dice, at, is_on, planned = random.Random(8), NOON, True, list[int]()
    norm = (await desk.stage("Proposal sent")).norm_minutes
    for number in NUMBERS:
        await desk.deal(owner=dice.choice(["ivan", "olena"]), at=at, number=number)
    await desk.sweep(DUE)
    await desk.sweep(LATER)
    at = LATER
    acts = ["wait", "wait", "switch", "norm", "joint", "plan", "cancel", "talk"]
    burnt = 0
    for step in range(STEPS):
        match dice.choice(acts):
            case "switch":
                is_on = not is_on
                await switch(desk, at, on=is_on)
            case "norm" if is_on:
                await set_norm(desk, at, None)
                await check(desk, step)
                await set_norm(desk, at, norm)
            case "joint":
                reached = [lamp for lamp in await desk.lamps(LampState.BURNING) if lamp.is_escalation]
                for lamp in reached[:1]:
                    async with desk.database.write() as session:
                        await make_joint(session, await desk.viewer("admin"), lamp.id or 0, now=at)
            case "plan":
                deal = dice.choice(await desk.rows(Deal))
                planned.append(await desk.plan(deal.id or 0, at + timedelta(days=5), at, login="admin"))
            case "cancel" if planned:
                async with desk.database.write() as session:
                    task_id = planned.pop()
                    await finish_task(session, await desk.viewer("admin"), task_id, result="", now=at, cancelled=True)
            case "talk":
                await desk.talk(at, client=dice.choice(NUMBERS))
            case _:
                at += timedelta(minutes=dice.choice([70, 600]))
                await desk.sweep(at)
        at += timedelta(minutes=2)
        burnt = max(burnt, len(await desk.lamps(LampState.BURNING)))
        await check(desk, step)
        for person in ("ivan", "olena", "maria"):  # nobody has two tasks for the lamps of one deal
            theirs = [
                task.deal_id
                for task in await desk.rows(Task)
                if task.status == "open" and task.assignee_id == desk.office.id(person) and "lamp:" in task.about
            ]
            assert len(theirs) == len(set(theirs)), (step, person)
    assert burnt == 12
