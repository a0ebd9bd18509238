"""Each gate is tried by each path that moves or creates a deal; the paths are those that the code itself has."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from pbxcrm.callbacks import unsorted_actions
from pbxcrm.callbacks.attempts import Tried, do_after_last
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode
from pbxcrm.callbacks.results import record_result
from pbxcrm.callbacks.undo_actions import undo_result
from pbxcrm.calls.models import Call, Line
from pbxcrm.contacts.actions import unmark_number
from pbxcrm.contacts.models import SpecialNumber
from pbxcrm.deals import after_closing, gate_rules
from pbxcrm.deals.actions import do_move_deal, move_deal
from pbxcrm.deals.attempt_schedule import AfterLast, AttemptSchedule
from pbxcrm.deals.bulk_jobs import Act, BulkAct, start_bulk
from pbxcrm.deals.clearing_actions import clear_stage
from pbxcrm.deals.creation_actions import Completed, DealDraft, create_deal, do_create_deal
from pbxcrm.deals.gate_rules import GateFacts, GateRefused, missing_for
from pbxcrm.deals.hooks import StageEntry
from pbxcrm.deals.merge_actions import merge_deals
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageKind, StageMove
from pbxcrm.deals.pipeline_actions import archive_stage
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.deals.queries import stage_of_kind
from pbxcrm.deals.unmerge_actions import undo_deal_merge
from pbxcrm.people.directory import load_directory
from pbxcrm.screenpop import card_actions, outcome_actions
from pbxcrm.shared import reasons
from pbxcrm.shared.background_jobs import BackgroundJob, begin_undo, work_on
from pbxcrm.shared.errors import Invalid, Missing
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.timers import Timer
from pbxcrm.tasks.actions import create_task
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch, outbound
from tests.forms import make_form, send
from tests.integration.callbacks.conftest import CallbackDesk
from tests.integration.callbacks.conftest import desk as desk  # noqa: PLC0414 - a fixture of theirs
from tests.integration.deals.rule_paths import SOON, by_rule, by_rule_that_makes, by_undone_rule
from tests.source import builders, callers

MOVERS = {"do_move_deal", "do_move_back", "do_lose_deal", "do_move_by_itself", "move_deal"}
CREATORS = {"do_create_deal", "do_create_by_itself", "create_deal"}


async def _raw(desk: CallbackDesk) -> int:
    """A missed client's deal in Didn't reach; the id of its callback."""
    return (await desk.miss()).id or 0


async def _say(desk: CallbackDesk, episode_id: int, result: AttemptResult) -> Attempt:
    async with desk.database.write() as session:
        ivan = await desk.viewer("ivan")
        told = await record_result(
            session, ivan, episode_id, result, now=SOON, region="UA", why="too dear", without_call="by mail"
        )
        assert told.attempt
        return told.attempt


async def by_move(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    await _raw(desk)
    deal, ivan = await desk.one(Deal), await desk.viewer("ivan")
    refuse()
    async with desk.database.write() as session:
        lost = await stage_of_kind(session, deal.pipeline_id, StageKind.LOST)
        assert lost
        await move_deal(session, ivan, deal.id or 0, lost.id or 0, version=None, now=SOON, lost_reason="too dear")


async def by_callback(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    episode_id = await _raw(desk)
    refuse()
    await _say(desk, episode_id, AttemptResult.NOT_INTERESTED)


async def by_undone_callback(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    attempt = await _say(desk, await _raw(desk), AttemptResult.NOT_INTERESTED)
    refuse()
    async with desk.database.write() as session:
        await undo_result(session, await desk.viewer("ivan"), attempt.id or 0, now=SOON)


async def by_unmarked_number(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    await _say(desk, await _raw(desk), AttemptResult.SPAM)
    refuse()
    async with desk.database.write() as session:
        number = (await session.exec(select(SpecialNumber.number))).one()
        await unmark_number(session, await desk.viewer("ivan"), number, now=SOON)


async def _answered(desk: CallbackDesk) -> int:
    await desk.intake.apply(batch(FactStory("17.1").ring("101").answer("101").wait(9).end()))
    return (await desk.one(Call)).id or 0


async def by_card(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    call_id = await _answered(desk)
    refuse()
    async with desk.database.write() as session:
        await outcome_actions.finish(
            session, await desk.viewer("ivan"), call_id, "not_interested", SOON, why="too dear"
        )


async def by_undone_card(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    call_id = await _answered(desk)
    ivan = await desk.viewer("ivan")
    async with desk.database.write() as session:
        await outcome_actions.finish(session, ivan, call_id, "not_interested", SOON, why="too dear")
    refuse()
    async with desk.database.write() as session:
        await outcome_actions.unhide(session, ivan, call_id, SOON)


async def by_talk(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    await _raw(desk)
    refuse()
    await desk.intake.apply(batch(outbound("17.7", "101", at=SOON).wait(3).answer("101").wait(60).end()))


async def by_removed_stage(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    await _raw(desk)
    deal, admin = await desk.one(Deal), await desk.viewer("admin")
    refuse()
    async with desk.database.write() as session:
        to = await stage_of_kind(session, deal.pipeline_id, StageKind.OPEN)
        (await session.get_one(Stage, deal.stage_id)).kind = StageKind.OPEN.value  # calls need one of their own
        await archive_stage(session, admin, deal.stage_id, to.id if to else None, now=SOON)


async def _bulk(desk: CallbackDesk) -> BackgroundJob:
    """One deal is lost by a bulk act, as its job does it."""
    deal, ivan = await desk.one(Deal), await desk.viewer("ivan")
    act = BulkAct(Act.LOSE, text="too dear")
    async with desk.database.write() as session:
        return await start_bulk(session, ivan, act, [(deal.id or 0, None)], SOON)


async def by_bulk(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    await _raw(desk)
    refuse()
    await _refused_of(desk, await _bulk(desk))


async def by_undone_bulk(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    await _raw(desk)
    job = await _bulk(desk)
    async with desk.database.write() as session:
        begin_undo(await session.get_one(BackgroundJob, job.id))
    refuse()
    while await work_on(desk.database, SOON):
        pass
    await _refused_of(desk, job)


async def _refused_of(desk: CallbackDesk, job: BackgroundJob) -> None:
    """A bulk act names what the gate refused in its result; the test of all paths wants it as the error that it is."""
    async with desk.database.read() as session:
        found = await session.get_one(BackgroundJob, job.id)
    not_undone: list[dict[str, Any]] = found.result.get("not_undone", [])
    (said,) = [*found.refused, *not_undone]
    raise GateRefused([Missing(each["kind"], each["key"], each["message"]) for each in said["missing"]], {})


async def by_cleared_stage(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    """The timer that moves the rest of the deals out of a stage that was removed."""
    await _raw(desk)
    deal = await desk.one(Deal)
    refuse()
    async with desk.database.write() as session:
        stage = await session.get_one(Stage, deal.stage_id)
        stage.archived_at = NOON
        to = await stage_of_kind(session, deal.pipeline_id, StageKind.OPEN)
        assert to
        payload = {"stage": stage.id, "to": to.id, "by": "Admin", "after": 0}
        await clear_stage(session, Timer(kind="", key="", due_at=SOON, payload=payload), SOON)


async def by_win_taken_back(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    """The deal that followed a won one, whose win is taken back."""
    await _raw(desk)
    deal = await desk.one(Deal)
    async with desk.database.write() as session:
        stages = {kind: await stage_of_kind(session, deal.pipeline_id, kind) for kind in StageKind}
        people = await load_directory(session)
        left, stage = stages[StageKind.WON], stages[StageKind.OPEN]
        assert left
        assert stage
        new = DealDraft("Follows", stage, None, reason("deal.follows", title="Won"), "UAH", follows_id=deal.id)
        await do_create_deal(session, new, NOON, actor=None, people=people)
        refuse()
        move = StageMove(deal_id=deal.id or 0, to_stage_id=stage.id or 0, at=SOON)
        won = await session.get_one(Deal, deal.id)
        await after_closing.follow_closing(session, StageEntry(won, stage, move, left, SOON, None, people))


async def by_last_attempt(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    """The schedule of attempts is over, and says to which stage the deal goes."""
    await _raw(desk)
    deal = await desk.one(Deal)
    refuse()
    async with desk.database.write() as session:
        to = await stage_of_kind(session, deal.pipeline_id, StageKind.LOST)
        assert to
        schedule = AttemptSchedule((10,), AfterLast.STAGE, to.id)
        tried = Tried("Taras", deal, deal.responsible_id, 1, schedule, reason("attempts.no_stage"), "over")
        assert await do_after_last(session, tried, SOON, await load_directory(session)) is None


async def by_undone_merge(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    """The stage of the merged deal was removed meanwhile, so it goes to another when the merge is undone."""
    await _raw(desk)
    deal, maria = await desk.one(Deal), await desk.viewer("maria")
    async with desk.database.write() as session:
        other = await create_deal(
            session, maria, title="Books", now=NOON, currency="UAH", region="UA", second=True, client_number=deal.client_number
        )  # fmt: skip
        merge = await merge_deals(session, maria, deal.id or 0, other.id or 0, now=NOON)
        (await session.get_one(Stage, deal.stage_id)).archived_at = NOON
    refuse()
    async with desk.database.write() as session:
        await undo_deal_merge(session, maria, merge.id or 0, now=SOON)


async def by_refused_caller(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    """Not a client: from the page of unsorted deals."""
    await _answered(desk)
    deal, ivan = await desk.one(Deal), await desk.viewer("ivan")
    refuse()
    async with desk.database.write() as session:
        await unsorted_actions.refuse(session, ivan, deal.id or 0, "supplier", version=None, region="UA", now=SOON)


async def by_sorted_taken_back(desk: CallbackDesk, refuse: Callable[[], None]) -> None:
    await _answered(desk)
    deal, ivan = await desk.one(Deal), await desk.viewer("ivan")
    async with desk.database.write() as session:
        await unsorted_actions.refuse(session, ivan, deal.id or 0, "wrong_number", version=None, region="UA", now=SOON)
    refuse()
    async with desk.database.write() as session:
        await unsorted_actions.take_back(session, ivan, deal.id or 0, now=SOON)


Path_ = Callable[[CallbackDesk, Callable[[], None]], Awaitable[None]]
PATHS: dict[str, Path_] = {
    "web.pages.deals:move": by_move,  # drag, keys, menu, the stage path and the form; its HTTP in test_deals_pages.py
    "web.api.v1.deals:change_deal": by_move,  # its HTTP in test_writing.py
    "web.pages.unsorted:accept": by_move,  # its HTTP in test_unsorted_pages.py
    "pbxcrm.callbacks.unsorted_actions:refuse": by_refused_caller,
    "pbxcrm.callbacks.unsorted_actions:take_back": by_sorted_taken_back,
    "pbxcrm.callbacks.results:_lose": by_callback,
    "pbxcrm.callbacks.undo_actions:_move_back": by_undone_callback,
    "pbxcrm.deals.lost:reopen_deals": by_unmarked_number,
    "pbxcrm.screenpop.outcome_actions:_lose": by_card,
    "pbxcrm.screenpop.outcome_actions:_take_back": by_undone_card,
    "pbxcrm.reactions.consequence_actions:_leave_didnt_reach": by_talk,
    "pbxcrm.deals.clearing_actions:begin_clearing": by_removed_stage,
    "pbxcrm.deals.bulk_jobs:_move": by_bulk,
    "pbxcrm.deals.bulk_jobs:_move_back": by_undone_bulk,
    "pbxcrm.deals.clearing_actions:clear_stage": by_cleared_stage,
    "pbxcrm.deals.after_closing:_take_back": by_win_taken_back,
    "pbxcrm.callbacks.attempts:do_after_last": by_last_attempt,
    "pbxcrm.deals.unmerge_actions:undo_deal_merge": by_undone_merge,
    "pbxcrm.automation.steps.move_step:do": by_rule,
    "pbxcrm.automation.steps.move_step:undo": by_undone_rule,
}
#: What the task says about a move that the product tried by itself.
AUTOMATIC: dict[Path_, str] = {
    by_talk: "A conversation took place",
    by_cleared_stage: "removed the stage",
    by_win_taken_back: "The win that it followed was taken back.",
    by_last_attempt: "",
    by_undone_merge: "removed the stage",
    by_rule: "The rule “Rule” did it.",
}


def test_the_paths_are_those_that_the_code_has() -> None:
    assert callers(*MOVERS) == set(PATHS)


def test_the_ways_of_creating_are_those_that_the_code_has() -> None:
    assert callers(*CREATORS) == set(CREATED)


def test_only_one_module_builds_deals() -> None:
    """The sample company is put there in bulk, before anybody uses it; a dry run asks a copy, which is never stored."""
    assert builders("Deal") == {
        f"pbxcrm.{each}" for each in ("deals.creation_actions", "demo.history", "automation.trial_jobs")
    }


@pytest.mark.parametrize("path", list(dict.fromkeys(PATHS.values())))
async def test_no_path_passes_beside_the_gate(desk: CallbackDesk, path: Path_, monkeypatch: pytest.MonkeyPatch) -> None:
    stood: list[Deal] = []

    def refuse() -> None:
        monkeypatch.setattr(
            gate_rules, "_RULES", (lambda _to, _facts: Missing("field", "budget", "Fill in “budget”."),)
        )

    moved: list[int] = []
    original = gate_rules.check_gate

    def counted(to: Stage, facts: GateFacts) -> None:
        moved.append(to.id or 0)
        original(to, facts)

    monkeypatch.setattr("pbxcrm.deals.gate_queries.check_gate", counted)
    if path in AUTOMATIC:
        await path(desk, refuse)
        task = next(task for task in await desk.rows(Task) if task.about.startswith("gate:"))
        stood += [deal for deal in await desk.rows(Deal) if deal.id == task.deal_id]
        assert task.status == "open"
        assert "Fill in “budget”." in reasons.text(task.reason)
        assert AUTOMATIC[path] in reasons.text(task.reason)
    else:
        with pytest.raises(GateRefused) as refused:
            await path(desk, refuse)
        assert (refused.value.code, refused.value.missing[0].key) == ("deals.gate", "budget")
        stood.append(await desk.one(Deal))
    assert moved, "the gate was asked"
    assert stood[0].stage_id != moved[-1], "and the deal stands where it stood"


async def by_hand(desk: CallbackDesk) -> None:
    async with desk.database.write() as session:
        await create_deal(session, await desk.viewer("ivan"), title="Books", now=NOON, currency="UAH", region="UA")


async def by_named_caller(desk: CallbackDesk) -> None:
    """The dock: a new client and a deal of a call that has none."""
    call_id = await _answered(desk)
    async with desk.database.write() as session:
        call, deal = await session.get_one(Call, call_id), await session.get_one(Deal, (await desk.one(Deal)).id)
        call.deal_id = None
        await session.delete((await session.exec(select(StageMove))).one())
        await session.flush()
        await session.delete(deal)
    async with desk.database.write() as session:
        ivan = await desk.viewer("ivan")
        await card_actions.make_client(session, ivan, call_id, "Olha", region="UA", now=SOON, deal_currency="UAH")


async def by_call(desk: CallbackDesk) -> None:
    await _answered(desk)


async def by_won(desk: CallbackDesk, asks: Requirements | None = None) -> None:
    """The next pipeline goes on with a deal that is won. ``asks``: what the first stage there requires of it."""
    async with desk.database.write() as session:
        ivan, people = await desk.viewer("ivan"), await load_directory(session)
        made = await create_deal(session, ivan, title="Books", now=NOON, currency="UAH", region="UA")
        pipeline = await session.get_one(Pipeline, made.pipeline_id)
        pipeline.next_pipeline_id = pipeline.id
        (await session.get_one(Stage, made.stage_id)).requires = asks.stored() if asks is not None else {}
        stage = await stage_of_kind(session, made.pipeline_id, StageKind.WON)
        assert stage
        await do_move_deal(session, made, stage, SOON, actor=ivan, people=people)


async def by_form(desk: CallbackDesk) -> None:
    await send(desk.database, await make_form(desk.database, await desk.viewer("admin"), NOON), SOON)


CREATED: dict[str, Callable[[CallbackDesk], Awaitable[None]]] = {
    "web.pages.new_deals:create": by_hand,  # its HTTP in test_deals_pages.py
    "web.api.v1.deals:add_deal": by_hand,  # its HTTP in test_writing.py
    "pbxcrm.demo.filling:_make": by_hand,
    "pbxcrm.screenpop.card_actions:make_client": by_named_caller,
    "pbxcrm.reactions.consequence_actions:_make_deal": by_call,
    "pbxcrm.deals.after_closing:_go_on": by_won,
    "pbxcrm.forms.actions:do_take_in": by_form,
    "pbxcrm.automation.steps.deal_step:do": by_rule_that_makes,
}


@pytest.mark.parametrize("create", [by_hand, by_named_caller])
async def test_a_person_who_creates_a_deal_is_asked_what_its_stage_asks(
    desk: CallbackDesk, create: Callable[[CallbackDesk], Awaitable[None]]
) -> None:
    await _ask_for(desk, StageKind.OPEN, fields=("source",))
    with pytest.raises(GateRefused) as refused:
        await create(desk)
    assert [missing.key for missing in refused.value.missing] == ["source"]
    assert not await desk.rows(Deal)


async def test_the_deal_of_a_call_stands_where_calls_go_and_a_task_says_what_is_missing(desk: CallbackDesk) -> None:
    await _ask_for(desk, StageKind.UNSORTED, fields=("proposal_until",))
    await by_call(desk)
    deal, stages = await desk.one(Deal), {row.id: row for row in await desk.rows(Stage)}
    assert stages[deal.stage_id].kind == StageKind.UNSORTED
    (task,) = [task for task in await desk.rows(Task) if task.about == f"gate:{deal.id}"]
    assert "Fill in “Proposal expires”." in reasons.text(task.reason)
    assert (task.deal_id, task.assignee_id) == (deal.id, deal.responsible_id)


async def test_a_line_that_names_a_stage_with_a_gate_gets_its_deals_in_unsorted(desk: CallbackDesk) -> None:
    await _ask_for(desk, StageKind.OPEN, fields=("proposal_until",))
    async with desk.database.write() as session:
        pipeline = (await session.exec(select(Pipeline).where(Pipeline.is_default))).one()
        stage = await stage_of_kind(session, pipeline.id or 0, StageKind.OPEN)
        assert stage
        session.add(Line(name="Sales", did="100", stage_id=stage.id))
    await by_call(desk)
    deal, stages = await desk.one(Deal), {row.id: row for row in await desk.rows(Stage)}
    assert stages[deal.stage_id].kind == StageKind.UNSORTED
    (task,) = [task for task in await desk.rows(Task) if task.about == f"gate:{deal.id}"]
    assert f"The deal was to begin in “{stage.name}”" in reasons.text(task.reason)


async def test_what_follows_a_won_deal_begins_in_unsorted_when_its_stage_asks_for_more(desk: CallbackDesk) -> None:
    await by_won(desk, asks=Requirements(next_task=True))
    won, followed = sorted(await desk.rows(Deal), key=lambda row: row.id or 0)
    stages = {row.id: row for row in await desk.rows(Stage)}
    assert (followed.follows_id, stages[followed.stage_id].kind) == (won.id, StageKind.UNSORTED)
    (task,) = [task for task in await desk.rows(Task) if task.about == f"gate:{followed.id}"]
    assert "This stage asks for a next task with a date." in reasons.text(task.reason)


async def test_a_deal_is_created_with_what_its_stage_asks_or_not_at_all(desk: CallbackDesk) -> None:
    await _ask_for(desk, StageKind.OPEN, fields=("source",), next_task=True)
    ivan = await desk.viewer("ivan")
    with pytest.raises(GateRefused) as refused:
        async with desk.database.write() as session:
            await create_deal(
                session, ivan, title="Books", now=NOON, currency="UAH", region="UA",
                completed=Completed({"source": "Fair"}),
            )  # fmt: skip
    assert [missing.kind for missing in refused.value.missing] == ["next_task"]
    assert not await desk.rows(Deal)
    async with desk.database.write() as session:

        async def plan(deal: Deal) -> None:
            await create_task(session, ivan, title="Call", due_at=SOON, now=NOON, deal_id=deal.id)

        await create_deal(
            session, ivan, title="Books", now=NOON, currency="UAH", region="UA",
            completed=Completed({"source": "Fair"}, plan),
        )  # fmt: skip
    deal = await desk.one(Deal)
    assert (deal.source, (await desk.one(Task)).deal_id) == ("Fair", deal.id)


async def _ask_for(desk: CallbackDesk, kind: StageKind, **asked: Any) -> None:
    """Every stage of this kind asks for something."""
    async with desk.database.write() as session:
        for stage in (await session.exec(select(Stage).where(Stage.kind == kind))).all():
            stage.requires = Requirements(**asked).stored()


async def test_an_automatic_move_that_is_refused_again_makes_no_second_task(
    desk: CallbackDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await by_talk(
        desk,
        lambda: monkeypatch.setattr(gate_rules, "_RULES", (lambda _to, _facts: Missing("file", "file", "Attach."),)),
    )
    await desk.intake.apply(batch(FactStory("17.8", at=SOON + timedelta(minutes=9)).ring("101").answer("101").end()))
    assert len([task for task in await desk.rows(Task) if task.about.startswith("gate:")]) == 1


async def test_on_the_card_a_deal_is_not_lost_after_a_failed_attempt_with_nothing_planned(desk: CallbackDesk) -> None:
    """The real rule by the path that passed beside it: the dock."""
    await desk.plan_no_retries()
    call_id = await _answered(desk)
    await desk.intake.apply(batch(outbound("17.2", "101", at=SOON).wait(25).end()))
    assert not await desk.rows(Episode)
    ivan, at = await desk.viewer("ivan"), SOON + timedelta(minutes=2)
    async with desk.database.write() as session:
        with pytest.raises(GateRefused) as refused:
            await outcome_actions.finish(session, ivan, call_id, "not_interested", at, why="too dear")
    assert [missing.kind for missing in refused.value.missing] == ["next_task"]
    assert (await desk.one(Deal)).closed_at is None


def test_a_gate_tells_everything_that_is_missing_at_once() -> None:
    for kind, asked in (("lost", ["lost_reason", "next_task"]), ("won", ["next_task"]), ("open", [])):
        stage = Stage(pipeline_id=1, name="Any", kind=kind, position=9)
        assert [missing.kind for missing in missing_for(stage, GateFacts("", owes_next_task=True))] == asked


async def test_a_reason_that_is_too_long_is_refused_and_not_cut(desk: CallbackDesk) -> None:
    await _raw(desk)
    deal, ivan = await desk.one(Deal), await desk.viewer("ivan")
    async with desk.database.write() as session:
        lost = await stage_of_kind(session, deal.pipeline_id, StageKind.LOST)
        assert lost
        with pytest.raises(Invalid) as refused:
            await move_deal(session, ivan, deal.id or 0, lost.id or 0, version=None, now=SOON, lost_reason="x" * 201)
    assert (refused.value.field, refused.value.params) == ("lost_reason", {"most": 200})
    assert (await desk.one(Deal)).stage_id == deal.stage_id
