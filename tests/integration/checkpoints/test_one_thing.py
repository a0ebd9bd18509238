"""A deal that several checkpoints find neglected is one thing to do: one row, counted once everywhere, with every reason; and what is
offered is what puts it out.
"""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from pbxcrm.access import Viewer
from pbxcrm.checkpoints.actions import create_checkpoint
from pbxcrm.checkpoints.burning_queries import burning_by_owner, rows_burning
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
from pbxcrm.checkpoints.escalation_actions import accept
from pbxcrm.checkpoints.models import LampState
from pbxcrm.checkpoints.queries import beside, burning_counts, escalation_count, list_escalations
from pbxcrm.deals.actions import edit_deal
from pbxcrm.shared import reasons
from pbxcrm.tasks.finish_actions import finish_task
from pbxcrm.tasks.list_queries import TaskChoice, load_by_person, open_tasks_of_deal, overdue_by_person
from pbxcrm.tasks.queries import TaskRow, list_tasks, overdue_count
from pbxcrm.tasks.work_rules import EndedByWork, WorkActs
from tests.integration.checkpoints.conftest import DealDesk
from tests.integration.checkpoints.test_engine import DUE

MINUTE = timedelta(minutes=1)
STEPS = (StepChange(60, "responsible", "task"), StepChange(60, "manager", "control"))


async def watch(desk: DealDesk, *changes: CheckpointChange) -> Viewer:
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        for change in changes:
            await create_checkpoint(session, admin, change, now=DUE - timedelta(days=9))
    return admin


async def of_stage(desk: DealDesk, work: list[str], name: str = "Call", **more: Any) -> CheckpointChange:
    stage = await desk.stage("Call held")
    return CheckpointChange(name, "stage", STEPS, work=work, stage_id=stage.id, **more)


def silence(*work: str) -> CheckpointChange:
    return CheckpointChange("Silence", "silence", STEPS, work=work, pipeline_id=1)


async def day_of(desk: DealDesk, login: str, kind: str = "") -> list[TaskRow]:
    viewer = await desk.viewer(login)
    async with desk.database.read() as session:
        return await list_tasks(session, viewer, *TaskChoice(assignee_id=viewer.user_id, kind=kind).open(viewer))


async def test_two_checkpoints_of_a_deal_are_one_thing_to_do(desk: DealDesk) -> None:
    await watch(desk, await of_stage(desk, ["talked", "next_task"]), silence())
    deal_id = await desk.deal("Call held", at=DUE)
    other = await desk.deal("Call held", at=DUE, number="+380671112299")
    at = DUE + 60 * MINUTE
    await desk.sweep(at)
    assert len(await desk.lamps(LampState.BURNING)) == 4
    day = await day_of(desk, "ivan")
    assert [row.task.deal_id for row in day] == [deal_id, other]
    said = [(reasons.text(row.task.title_code), [reasons.text(each.title_code) for each in row.others]) for row in day]
    assert all(title.startswith("No work on") and also[0].startswith("The client has not been") for title, also in said)
    await desk.sweep(at + 60 * MINUTE)
    later = at + 61 * MINUTE
    for login in ("ivan", "maria", "admin"):
        viewer = await desk.viewer(login)
        async with desk.database.read() as session:
            own = TaskChoice(assignee_id=viewer.user_id).open(viewer)
            listed = await list_tasks(session, viewer, *own)
            assert await overdue_count(session, viewer, later) == len(listed) == (2 if login == "ivan" else 0)
            counts = await burning_counts(session, viewer)
            assert (counts.subjects, counts.escalations) == (2, 0 if login == "ivan" else 2)
            assert await burning_by_owner(session, viewer) == {desk.office.id("ivan"): 2}
            rows = await rows_burning(session, viewer, limit=50)
            assert [(row.lamp.deal_id, len(row.others)) for row in rows] == [(deal_id, 3), (other, 3)]
            if login == "ivan":
                continue
            escalations = await list_escalations(session, viewer)
            assert [lamp.deal_id for lamp in escalations] == [deal_id, other]
            assert await escalation_count(session, viewer, later) == 2
            also = await beside(session, viewer, escalations, escalations=True)
            assert [len(theirs) for theirs in also.values()] == [1, 1]
            midnight = datetime.combine(later.date() + timedelta(days=1), time.min, UTC)
            loads = await load_by_person(session, viewer, later, midnight, midnight)
            assert {load.user_id: load.overdue for load in loads} == {
                desk.office.id("ivan"): 2,
                desk.office.id("maria"): 2,
            }
            assert await overdue_by_person(session, viewer, later) == {load.user_id: load.overdue for load in loads}
            ivan = desk.office.id("ivan")
            assert await overdue_by_person(session, viewer, later, among=[ivan]) == {ivan: 2}
    async with desk.database.read() as session:
        assert len(await open_tasks_of_deal(session, deal_id)) == 1
    await desk.talk(later + MINUTE)  # ends all of the first deal
    assert {row.task.deal_id for row in await day_of(desk, "ivan")} == {other}


@pytest.mark.parametrize(
    ("owner", "whom", "own", "reached"),
    [("ivan", "joint", 0, 1), ("ivan", "manager", 0, 1), ("maria", "responsible", 1, 0), ("maria", "manager", 0, 0)],
)
async def test_a_manager_has_each_thing_among_their_tasks_or_among_the_escalations(
    desk: DealDesk, owner: str, whom: str, own: int, reached: int
) -> None:
    """What of the manager's own work has reached the administrator is the administrator's to decide."""
    change = await of_stage(desk, ["talked"])
    await watch(desk, replace(change, steps=(StepChange(60, whom, "task"),)))
    await desk.deal("Call held", at=DUE, owner=owner)
    await desk.sweep(DUE + 60 * MINUTE)
    at = DUE + 61 * MINUTE
    for login, (mine, theirs) in {"maria": (own, reached), "admin": (0, int(whom != "responsible"))}.items():
        viewer = await desk.viewer(login)
        async with desk.database.read() as session:
            assert len(await day_of(desk, login)) == await overdue_count(session, viewer, at) == mine, login
            assert len(await list_escalations(session, viewer)) == theirs
            assert await escalation_count(session, viewer, at) == theirs
    assert len(await day_of(desk, "ivan")) == int(whom == "joint")


async def test_a_manager_who_accepts_a_deal_accepts_all_that_is_said_of_it(desk: DealDesk) -> None:
    await watch(desk, await of_stage(desk, ["talked"]), silence())
    await desk.deal("Call held", at=DUE)
    for minutes in (60, 120):
        await desk.sweep(DUE + minutes * MINUTE)
    maria, at = await desk.viewer("maria"), DUE + 130 * MINUTE
    async with desk.database.write() as session:
        (lamp,) = await list_escalations(session, maria)
        await accept(session, maria, lamp.id or 0, "The client asked to wait", now=at, until=at + timedelta(days=2))
    assert await desk.lamps(LampState.BURNING) == []
    async with desk.database.read() as session:
        assert await list_escalations(session, maria) == []
    assert [lamp.look_again_at for lamp in await desk.lamps(LampState.OUT) if lamp.is_escalation] == [
        at + timedelta(days=2)
    ] * 2


@pytest.mark.parametrize(
    ("work", "more", "acts", "said"),
    [
        (["talked"], {"talked_seconds": 30}, WorkActs(talk=True), "talk to the client for at least 30 seconds"),
        (["stage_moved"], {}, WorkActs(move=True), "move the deal to another stage"),
        (["field_filled"], {"field": "amount"}, WorkActs(fields=(("amount", "Amount"),)), "fill in “Amount”"),
        (["next_task", "talked"], {}, WorkActs(talk=True, next_task=True), "talk to the client or set a next task"),
    ],
)  # fmt: skip
async def test_only_what_counts_is_offered_and_said(
    desk: DealDesk, work: list[str], more: dict[str, Any], acts: WorkActs, said: str
) -> None:
    await watch(desk, await of_stage(desk, work, **more))
    await desk.deal("Call held", at=DUE)
    await desk.sweep(DUE + 60 * MINUTE)
    (row,) = await day_of(desk, "ivan")
    assert row.acts == acts
    ivan = await desk.viewer("ivan")
    with pytest.raises(EndedByWork, match=f"^Only work on the deal ends this: {said}\\.$"):
        async with desk.database.write() as session:
            await finish_task(session, ivan, row.task.id or 0, result="", now=DUE + 61 * MINUTE)
    await desk.sweep(DUE + 120 * MINUTE)
    (control,) = await day_of(desk, "maria", "control")
    assert control.works[0].manager


async def test_a_field_that_is_filled_already_is_not_offered(desk: DealDesk) -> None:
    admin = await watch(desk, await of_stage(desk, ["talked", "field_filled"], field="amount"))
    deal_id = await desk.deal("Call held", at=DUE)
    async with desk.database.write() as session:
        await edit_deal(session, admin, deal_id, version=None, now=DUE, values={"amount": "5"})
    await desk.sweep(DUE + 60 * MINUTE)
    (row,) = await day_of(desk, "ivan")
    assert row.acts == WorkActs(talk=True)


async def test_what_ends_each_of_several_is_said_for_each(desk: DealDesk) -> None:
    filled = await of_stage(desk, ["field_filled"], name="Price", field="amount")
    await watch(desk, filled, silence("next_task"))
    await desk.deal("Call held", at=DUE)
    await desk.sweep(DUE + 60 * MINUTE)
    (row,) = await day_of(desk, "ivan")
    assert row.acts == WorkActs(talk=True, next_task=True, fields=(("amount", "Amount"),))
    error = EndedByWork("tasks.lamp", row.works)
    assert str(error) == (
        "Only work on the deal ends this: “Price”: fill in “Amount”; “Silence”: talk to the client or set a next task."
    )
