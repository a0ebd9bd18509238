"""One act on many deals: each through its own door, what is refused is named, the rest is done, and all of it can be taken back."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from pbxcrm.access import Viewer
from pbxcrm.deals import actions, bulk_jobs
from pbxcrm.deals.actions import edit_deal, move_deal
from pbxcrm.deals.bulk_jobs import Act, BulkAct, start_bulk
from pbxcrm.deals.models import BulkChange, Deal, Stage, StageMove
from pbxcrm.deals.queries import as_rows
from pbxcrm.people.models import User
from pbxcrm.shared.background_jobs import BackgroundJob, JobState, begin_undo, work_on
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid, NotAllowed
from pbxcrm.tasks.models import Task
from tests.busy import Busy
from tests.calls import NOON
from tests.filled import Filled
from tests.office import Office

DESK, KITCHEN, CHAIRS, FOREIGN = "Reception desk", "Kitchen for Marta", "School chairs, 120 pcs", "Foreign deal"
LATER = NOON + timedelta(hours=1)


class BulkDesk:
    """What the tests need at hand."""

    def __init__(self, database: Database, office: Office, busy: Busy) -> None:
        self.database, self.office, self.busy = database, office, busy

    async def viewer(self, login: str) -> Viewer:
        async with self.database.read() as session:
            return await self.office.viewer(session, login)

    async def deal(self, title: str) -> Deal:
        async with self.database.read() as session:
            return await session.get_one(Deal, self.busy.deals[title])

    async def start(self, login: str, act: BulkAct, *titles: str) -> BackgroundJob:
        chosen = [((await self.deal(title)).id or 0, (await self.deal(title)).version) for title in titles]
        async with self.database.write() as session:
            return await start_bulk(session, await self.office.viewer(session, login), act, chosen, LATER)

    async def job(self, job: BackgroundJob) -> BackgroundJob:
        async with self.database.read() as session:
            return await session.get_one(BackgroundJob, job.id)

    async def undo(self, job: BackgroundJob) -> BackgroundJob:
        async with self.database.write() as session:
            begin_undo(await session.get_one(BackgroundJob, job.id))
        await self.work()
        return await self.job(job)

    async def work(self) -> None:
        while await work_on(self.database, LATER):
            pass

    def stage(self, name: str) -> int:
        return self.busy.stages[name].id or 0


@pytest.fixture
def desk(database: Database, begins_with_busy_office: Filled[tuple[Office, Busy]]) -> BulkDesk:
    return BulkDesk(database, *begins_with_busy_office.found(database))


async def test_a_move_of_many_names_what_it_could_not_do(desk: BulkDesk) -> None:
    async with desk.database.write() as session:
        stage = await session.get_one(Stage, desk.stage("Invoice issued"))
        stage.requires = {"fields": ["source"]}
        (await session.get_one(Deal, desk.busy.deals[KITCHEN])).source = ""
    move = BulkAct(Act.MOVE, stage_id=desk.stage("Invoice issued"))
    job = await desk.start("ivan", move, DESK, CHAIRS)
    assert (job.state, job.done, job.refused) == (JobState.DONE.value, 2, [])
    job = await desk.start("olena", move, KITCHEN)
    assert [each["id"] for each in job.refused] == [desk.busy.deals[KITCHEN]]
    assert job.refused[0]["missing"][0]["kind"] == "field"
    assert (await desk.deal(KITCHEN)).stage_id == desk.stage("Proposal sent")
    assert (await desk.deal(DESK)).stage_id == desk.stage("Invoice issued")


async def test_nobody_moves_what_they_may_not(desk: BulkDesk) -> None:
    job = await desk.start("ivan", BulkAct(Act.MOVE, stage_id=desk.stage("Invoice issued")), DESK, FOREIGN)
    assert [each["code"] for each in job.refused] == ["deals.not_found"]
    assert (await desk.deal(FOREIGN)).stage_id == desk.stage("Call held")
    with pytest.raises(NotAllowed):
        await desk.start("kira", BulkAct(Act.TAG, text="x"), DESK)


async def test_a_newer_change_is_not_overwritten(desk: BulkDesk) -> None:
    old = await desk.deal(DESK)
    async with desk.database.write() as session:
        maria = await desk.office.viewer(session, "maria")
        await move_deal(session, maria, old.id or 0, desk.stage("Call held"), version=None, now=LATER)
        ivan = await desk.office.viewer(session, "ivan")
        move = BulkAct(Act.MOVE, stage_id=desk.stage("Invoice issued"))
        job = await start_bulk(session, ivan, move, [(old.id or 0, old.version)], LATER)
    assert [each["code"] for each in job.refused] == ["deals.stale"]
    assert (await desk.deal(DESK)).stage_id == desk.stage("Call held")


@pytest.mark.parametrize(
    "wrong",
    [
        {"act": Act.MOVE, "stage_id": 999},
        {"act": Act.ASSIGN},
        {"act": Act.TAG, "text": " "},
        {"act": Act.TASK, "text": "Call"},
        {"act": Act.TASK, "due_at": LATER},
        {"act": Act.LOSE},
    ],
)
async def test_an_act_that_is_impossible_is_refused_at_once(desk: BulkDesk, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await desk.start("maria", BulkAct(**wrong), DESK)


async def test_each_act_and_its_undo(desk: BulkDesk) -> None:
    before = [await desk.deal(title) for title in (DESK, KITCHEN)]
    acts = [
        BulkAct(Act.MOVE, stage_id=desk.stage("Invoice issued")),
        BulkAct(Act.ASSIGN, user_id=desk.office.id("maria")),
        BulkAct(Act.TAG, text="Терміново"),
        BulkAct(Act.TASK, text="Call about the oak", due_at=LATER + timedelta(days=1)),
        BulkAct(Act.LOSE, text="Too dear"),
    ]
    for act in acts:
        job = await desk.start("maria", act, DESK, KITCHEN)
        assert (job.state, job.refused) == (JobState.DONE.value, []), act
        async with desk.database.read() as session:
            deals = [await session.get_one(Deal, each.id) for each in before]
            rows = await as_rows(session, deals)
        match act.act:
            case Act.MOVE:
                assert {deal.stage_id for deal in deals} == {act.stage_id}
            case Act.ASSIGN:
                assert {deal.responsible_id for deal in deals} == {act.user_id}
            case Act.TAG:
                assert [row.tags for row in rows] == [("Терміново",)] * 2
            case Act.LOSE:
                assert {deal.lost_reason for deal in deals} == {"Too dear"}
                assert all(deal.closed_at for deal in deals)
        job = await desk.undo(job)
        assert (job.state, job.result) == (JobState.UNDONE.value, {"not_undone": []}), act
        async with desk.database.read() as session:
            now = [await session.get_one(Deal, each.id) for each in before]
            assert [
                (deal.stage_id, deal.stage_since, deal.responsible_id, deal.closed_at, deal.lost_reason) for deal in now
            ] == [
                (deal.stage_id, deal.stage_since, deal.responsible_id, deal.closed_at, deal.lost_reason)
                for deal in before
            ], act
            assert [row.tags for row in await as_rows(session, now)] == [(), ()]
            tasks = (await session.exec(select(Task.status).where(Task.title == "Call about the oak"))).all()
            assert set(tasks) <= {"cancelled"}


async def test_what_somebody_changed_since_is_not_taken_back(desk: BulkDesk) -> None:
    job = await desk.start("maria", BulkAct(Act.ASSIGN, user_id=desk.office.id("maria")), DESK, KITCHEN)
    async with desk.database.write() as session:
        maria = await desk.office.viewer(session, "maria")
        olena = desk.office.id("olena")
        await edit_deal(session, maria, desk.busy.deals[DESK], version=None, now=LATER, responsible_id=olena)
    job = await desk.undo(job)
    assert [each["id"] for each in job.result["not_undone"]] == [desk.busy.deals[DESK]]
    assert (await desk.deal(DESK)).responsible_id == olena
    assert (await desk.deal(KITCHEN)).responsible_id == olena


async def many(desk: BulkDesk, number: int) -> list[tuple[int, int]]:
    found = await desk.deal(DESK)
    async with desk.database.write() as session:
        deals = [
            Deal(
                title=f"Many {n}",
                pipeline_id=found.pipeline_id,
                stage_id=found.stage_id,
                responsible_id=found.responsible_id,
                currency="UAH",
                created_at=NOON,
                stage_since=NOON,
            )
            for n in range(number)
        ]
        session.add_all(deals)
        await session.flush()
        return [(deal.id or 0, deal.version) for deal in deals]


async def test_many_are_a_job_that_survives_a_worker_that_died(desk: BulkDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_jobs, "BATCH", 10)
    chosen = await many(desk, 35)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        move = BulkAct(Act.MOVE, stage_id=desk.stage("Invoice issued"))
        job = await start_bulk(session, ivan, move, chosen, LATER)
    assert (job.state, job.done, job.total) == (JobState.QUEUED.value, 0, 35)

    class Died(BaseException):
        """The worker is killed: nothing of the batch is committed."""

    moved = actions.move_deal
    calls = 0

    async def dying(*args: Any, **named: Any) -> Deal:
        nonlocal calls
        calls += 1
        if calls == 15:
            raise Died
        return await moved(*args, **named)

    monkeypatch.setattr(actions, "move_deal", dying)  # a process cannot be killed within a test
    with pytest.raises(Died):
        await desk.work()
    assert (await desk.job(job)).done == 10
    await desk.work()
    job = await desk.job(job)
    assert (job.state, job.done, job.refused) == (JobState.DONE.value, 35, [])
    async with desk.database.read() as session:
        ids = [deal_id for deal_id, _ in chosen]
        moves = (await session.exec(select(StageMove.deal_id).where(col(StageMove.deal_id).in_(ids)))).all()
        assert sorted(moves) == ids  # each once
        assert len((await session.exec(select(BulkChange).where(BulkChange.job_id == job.id))).all()) == 35
    job = await desk.undo(job)
    assert job.state == JobState.UNDONE.value
    async with desk.database.read() as session:
        stages = (await session.exec(select(Deal.stage_id).where(col(Deal.id).in_(ids)))).all()
    assert set(stages) == {desk.stage("Proposal sent")}


async def test_the_rights_are_those_of_the_moment(desk: BulkDesk) -> None:
    """Whoever started it has become quality control meanwhile, which changes nothing."""
    chosen = await many(desk, 12)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        job = await start_bulk(session, ivan, BulkAct(Act.TAG, text="x"), chosen, LATER)
    async with desk.database.write() as session:
        (await session.get_one(User, desk.office.id("ivan"))).role = "qc"
    await desk.work()
    job = await desk.job(job)
    assert len(job.refused) == 12
    assert {each["code"] for each in job.refused} == {"access.role"}
