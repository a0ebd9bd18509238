"""Each path by which a client gets a second open deal in a pipeline: a person is asked, and what nobody can be asked about leaves a task."""

import ast
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.callbacks import unsorted_actions
from pbxcrm.contacts.actions import create_contact, link_number
from pbxcrm.contacts.merge_actions import merge_contacts, settle_merge
from pbxcrm.contacts.unmerge_actions import undo_merge
from pbxcrm.deals.actions import do_set_client, edit_deal, fill_in, move_deal
from pbxcrm.deals.bulk_jobs import Act, BulkAct, start_bulk
from pbxcrm.deals.creation_actions import DealDraft, create_deal, do_create_by_itself
from pbxcrm.deals.gate_rules import GateRefused
from pbxcrm.deals.lost import do_lose_deal
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageKind
from pbxcrm.deals.pipeline_actions import create_pipeline
from pbxcrm.deals.pipeline_drafts import PipelineChange
from pbxcrm.deals.queries import stage_of_kind
from pbxcrm.deals.second_deal_queries import SECOND_DEAL, Meant
from pbxcrm.people.directory import load_directory
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.models import Task
from tests.calls import NOON
from tests.integration.callbacks.conftest import CallbackDesk
from tests.integration.callbacks.conftest import desk as desk  # noqa: PLC0414 - a fixture of theirs
from tests.source import calls_of, modules

NUMBER, OTHER_NUMBER = "+380671112233", "+380672223344"
SOON = NOON + timedelta(minutes=3)


async def client_of(desk: CallbackDesk, name: str = "Marta", *numbers: str) -> int:
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        made = await create_contact(session, ivan, name=name, phones=list(numbers), now=NOON, region="UA")
    return made.id or 0


async def deal_of(desk: CallbackDesk, client: int | None, number: str = "", pipeline_id: int | None = None) -> int:
    async with desk.database.write() as session:
        made = await create_deal(
            session, await desk.office.viewer(session, "ivan"), title="Kitchen", now=NOON, currency="UAH", region="UA",
            contact_id=client, client_number=number, pipeline_id=pipeline_id, second=True,
        )  # fmt: skip
    return made.id or 0


async def lost_and_another(desk: CallbackDesk) -> int:
    """A lost deal of a client who has another open one; the id of the lost one."""
    client = await client_of(desk)
    lost = await deal_of(desk, client)
    async with desk.database.write() as session:
        deal, people = await session.get_one(Deal, lost), await load_directory(session)
        ivan = await desk.office.viewer(session, "ivan")
        await do_lose_deal(session, deal, "Too dear", SOON, actor=ivan, people=people)
    await deal_of(desk, client)
    return lost


async def reopened(desk: CallbackDesk, second: Meant) -> int:
    lost = await lost_and_another(desk)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        deal = await session.get_one(Deal, lost)
        to = await stage_of_kind(session, deal.pipeline_id, StageKind.OPEN)
        assert to is not None
        await move_deal(session, ivan, lost, to.id or 0, version=None, now=SOON, second=second)
    return lost


async def undone(desk: CallbackDesk, second: Meant) -> int:
    """As the board undoes a loss within the ten minutes."""
    lost = await lost_and_another(desk)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        deal = await session.get_one(Deal, lost)
        to = await stage_of_kind(session, deal.pipeline_id, StageKind.OPEN)
        assert to is not None
        await move_deal(session, ivan, lost, to.id or 0, version=None, now=SOON, undo=True, second=second)
    return lost


async def into_another_pipeline(desk: CallbackDesk, second: Meant) -> int:
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        made = await create_pipeline(session, admin, PipelineChange("Service"), template="leads", now=NOON)
    client = await client_of(desk)
    await deal_of(desk, client, pipeline_id=made.id)
    moving = await deal_of(desk, client)
    async with desk.database.write() as session:
        to = await stage_of_kind(session, made.id or 0, StageKind.OPEN)
        assert to is not None
        ivan = await desk.office.viewer(session, "ivan")
        await move_deal(session, ivan, moving, to.id or 0, version=None, now=SOON, second=second)
    return moving


async def client_changed(desk: CallbackDesk, second: Meant) -> int:
    client = await client_of(desk)
    await deal_of(desk, client)
    other = await deal_of(desk, None, OTHER_NUMBER)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        await edit_deal(
            session, ivan, other, version=None, now=SOON, contact_id=client, keep_contact=False, second=second
        )
    return other


async def client_filled_in(desk: CallbackDesk, second: Meant) -> int:
    """The form of a gate that asks for the client."""
    client = await client_of(desk)
    await deal_of(desk, client)
    other = await deal_of(desk, None, OTHER_NUMBER)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        await fill_in(session, ivan, other, {"contact_id": str(client)}, SOON, "UA", second=second)
    return other


async def attached(desk: CallbackDesk, second: Meant) -> int:
    client = await client_of(desk)
    await deal_of(desk, client)
    other = await deal_of(desk, None, OTHER_NUMBER)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        await unsorted_actions.attach(session, ivan, other, client, version=None, region="UA", now=SOON, second=second)
    return other


Path = Callable[[CallbackDesk, Meant], Awaitable[int]]
ASKED: list[Path] = [reopened, undone, into_another_pipeline, client_changed, client_filled_in, attached]


async def told(desk: CallbackDesk) -> list[Task]:
    return [task for task in await desk.rows(Task) if task.about.startswith("second-deal:")]


@pytest.mark.parametrize("path", ASKED)
async def test_a_person_is_asked(desk: CallbackDesk, path: Path) -> None:
    """Refused until it is meant; then nobody needs a task about it."""
    with pytest.raises(Invalid) as refused:
        await path(desk, False)
    kinds = [each.kind for each in refused.value.missing] if isinstance(refused.value, GateRefused) else []
    assert refused.value.code == SECOND_DEAL or kinds == ["second_deal"]
    assert not await told(desk)


@pytest.mark.parametrize("path", ASKED)
async def test_it_is_done_when_it_is_meant(desk: CallbackDesk, path: Path) -> None:
    deal = await path(desk, True)
    async with desk.database.read() as session:
        found = await session.get_one(Deal, deal)
        both = select(Deal).where(Deal.contact_id == found.contact_id, col(Deal.closed_at).is_(None))
        assert len((await session.exec(both.where(Deal.pipeline_id == found.pipeline_id))).all()) == 2
    assert not await told(desk)


@pytest.mark.parametrize("path", ASKED)
async def test_where_nobody_can_be_asked_a_task_says_it(desk: CallbackDesk, path: Path) -> None:
    deal = await path(desk, None)
    (task,) = await told(desk)
    assert (task.deal_id, task.assignee_id) == (deal, (await desk.viewer("ivan")).user_id)
    assert "“Kitchen”" in reasons.text(task.reason)


async def by_number(desk: CallbackDesk) -> None:
    """The number of a deal without a client is added to a client who has an open one."""
    client = await client_of(desk)
    await deal_of(desk, client)
    await deal_of(desk, None, OTHER_NUMBER)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        await link_number(session, ivan, client, OTHER_NUMBER, region="UA", now=SOON)


async def by_dock(desk: CallbackDesk) -> None:
    """Which of several clients called is chosen on the card."""
    client = await client_of(desk)
    await deal_of(desk, client)
    other = await deal_of(desk, None, OTHER_NUMBER)
    async with desk.database.write() as session:
        ivan, people = await desk.office.viewer(session, "ivan"), await load_directory(session)
        await do_set_client(session, await session.get_one(Deal, other), client, SOON, actor=ivan, people=people)


async def by_itself(desk: CallbackDesk) -> None:
    client = await client_of(desk)
    await deal_of(desk, client)
    async with desk.database.write() as session:
        pipeline = (await session.exec(select(Pipeline).where(Pipeline.is_default))).one()
        stage = await stage_of_kind(session, pipeline.id or 0, StageKind.OPEN)
        assert stage is not None
        ivan = await desk.office.viewer(session, "ivan")
        draft = DealDraft("Robot", stage, ivan.user_id, reason("deal.follows", title="x"), "UAH", contact_id=client)
        await do_create_by_itself(session, draft, SOON, await load_directory(session))


@pytest.mark.parametrize("path", [by_number, by_dock, by_itself])
async def test_along_with_another_act_a_task_says_it(
    desk: CallbackDesk, path: Callable[[CallbackDesk], Awaitable[None]]
) -> None:
    await path(desk)
    (task,) = await told(desk)
    assert "“Kitchen”" in reasons.text(task.reason)


async def two_clients_with_a_deal(desk: CallbackDesk) -> tuple[int, int]:
    """Two clients, each with an open deal in the same pipeline."""
    this, into = await client_of(desk, "Marta K"), await client_of(desk)
    for each in (into, this):
        await deal_of(desk, each)
    return this, into


@pytest.mark.parametrize(("asked", "tasks"), [(True, 0), (False, 1)])
async def test_a_merge_of_clients_leaves_a_task_unless_a_person_saw_both(
    desk: CallbackDesk, asked: bool, tasks: int
) -> None:
    this, into = await two_clients_with_a_deal(desk)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        (await session.exec(select(Deal))).all()  # whoever merges many has read the deals before
        merge = await merge_contacts(session, ivan, this, into, now=SOON, asked=asked)
    assert len(await told(desk)) == tasks
    async with desk.database.write() as session:
        await undo_merge(session, await desk.office.viewer(session, "ivan"), merge.id or 0, now=SOON)
    assert len(await told(desk)) == tasks, "taking it back asks for what was there before"


async def test_a_deal_that_comes_late_to_merged_clients_leaves_a_task(desk: CallbackDesk) -> None:
    """The page could not show it: somebody was making it meanwhile, and it is taken along a minute later."""
    this, into = await client_of(desk, "Marta K"), await client_of(desk)
    await deal_of(desk, into)
    late = await deal_of(desk, None, OTHER_NUMBER)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        merge = await merge_contacts(session, ivan, this, into, now=SOON, asked=True)
        (await session.get_one(Deal, late)).contact_id = this
    assert not await told(desk)
    async with desk.database.write() as session:
        await settle_merge(session, merge.id or 0, SOON)
    (task,) = await told(desk)
    assert (task.deal_id, task.contact_id) == (late, into)


async def test_the_deal_of_a_colleague_is_not_named(desk: CallbackDesk) -> None:
    client = await client_of(desk)
    await deal_of(desk, client)
    async with desk.database.write() as session:
        stage = (await session.exec(select(Stage).where(Stage.kind == StageKind.OPEN))).first()
        petro, people = await desk.office.viewer(session, "petro"), await load_directory(session)
        assert stage is not None
        why = reason("deal.follows", title="x")
        draft = DealDraft("Robot", stage, petro.user_id, why, "UAH", contact_id=client)
        await do_create_by_itself(session, draft, SOON, people)
    (task,) = await told(desk)
    assert task.assignee_id == petro.user_id
    assert "of Ivan Kravets" in reasons.text(task.reason)
    assert "Kitchen" not in reasons.text(task.reason)


async def test_a_bulk_act_names_which_it_refused(desk: CallbackDesk) -> None:
    lost = await lost_and_another(desk)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        deal = await session.get_one(Deal, lost)
        to = await stage_of_kind(session, deal.pipeline_id, StageKind.OPEN)
        assert to is not None
        job = await start_bulk(session, ivan, BulkAct(Act.MOVE, stage_id=to.id), [(lost, None)], SOON)
    assert [each["kind"] for refused in job.refused for each in refused["missing"]] == ["second_deal"]


async def test_a_move_within_the_pipeline_asks_nothing(desk: CallbackDesk) -> None:
    client = await client_of(desk)
    await deal_of(desk, client)
    second = await deal_of(desk, client)
    async with desk.database.write() as session:
        ivan, deal = await desk.office.viewer(session, "ivan"), await session.get_one(Deal, second)
        stages = await session.exec(
            select(Stage).where(Stage.pipeline_id == deal.pipeline_id, Stage.kind == StageKind.OPEN)
        )
        to = next(stage for stage in stages.all() if stage.id != deal.stage_id)
        await move_deal(session, ivan, second, to.id or 0, version=None, now=SOON)
    assert not await told(desk)


#: Who may say by themselves that a second deal is meant, and why.
LOOKED_BEFORE = {
    "pbxcrm.reactions.consequence_actions:_make_deal",  # the client of the call has no open deal at all
    "pbxcrm.screenpop.card_actions:make_client",  # the card looked, and a colleague's deal stays theirs
    "pbxcrm.deals.creation_actions:complete",  # ``create_deal`` has asked already
    "pbxcrm.demo.filling:_make",
}


def test_nobody_else_passes_by() -> None:
    """Every other caller asks, is asked, or leaves a task; a constant True in the code is one of these."""
    found = {
        f"{module}:{function.name}"
        for module, tree in modules()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for call in calls_of(function, *_DOORS)
        for given in [*(each.value for each in call.keywords if each.arg == "second"), *call.args[6:]]
        if isinstance(given, ast.Constant) and given.value is True
    }
    assert found - {"pbxcrm.deals.creation_actions:create_deal"} == LOOKED_BEFORE


_DOORS = (
    "do_move_deal", "do_create_deal", "do_create_by_itself", "create_deal", "move_deal", "edit_deal", "fill_in", "do_fill_in",
    "_set_client", "do_set_client", "attach",
)  # fmt: skip
