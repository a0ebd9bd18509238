"""Each gate is tried by each path that moves a deal; the paths are those that the code itself has."""

import ast
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

import pbxcrm
import web
from pbxcrm.callbacks import unsorted_actions
from pbxcrm.callbacks.attempts import Tried, do_after_last
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode
from pbxcrm.callbacks.results import record_result
from pbxcrm.callbacks.undo_actions import undo_result
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import unmark_number
from pbxcrm.contacts.models import SpecialNumber
from pbxcrm.deals import after_closing, gate_rules
from pbxcrm.deals.actions import DealDraft, create_deal, do_create_deal, move_deal
from pbxcrm.deals.attempt_schedule import AfterLast, AttemptSchedule
from pbxcrm.deals.bulk_jobs import Act, BulkAct, start_bulk
from pbxcrm.deals.gate_rules import GateFacts, GateRefused, missing_for
from pbxcrm.deals.hooks import StageEntry
from pbxcrm.deals.merge_actions import merge_deals
from pbxcrm.deals.models import Deal, Stage, StageKind, StageMove
from pbxcrm.deals.pipeline_actions import archive_stage, clear_stage
from pbxcrm.deals.queries import stage_of_kind
from pbxcrm.deals.unmerge_actions import undo_deal_merge
from pbxcrm.people.directory import load_directory
from pbxcrm.screenpop import outcome_actions
from pbxcrm.shared import reasons
from pbxcrm.shared.background_jobs import BackgroundJob, begin_undo, work_on
from pbxcrm.shared.errors import Invalid, Missing
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.timers import Timer
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch, outbound
from tests.integration.callbacks.conftest import CallbackDesk
from tests.integration.callbacks.conftest import desk as desk  # noqa: PLC0414 - a fixture of theirs

SOON = NOON + timedelta(minutes=3)
MOVERS = {"do_move_deal", "do_move_back", "do_lose_deal", "do_move_by_itself", "move_deal"}


def callers() -> set[str]:
    """Every function of ours that calls one of those that move, as ``module:function``; not they themselves."""
    found = set()
    for package in (pbxcrm, web):
        root = Path(package.__file__ or "").parent
        for path in root.rglob("*.py"):
            module = ".".join(path.relative_to(root.parent).with_suffix("").parts)
            found |= {f"{module}:{name}" for name in _calling(ast.parse(path.read_text())) if name not in MOVERS}
    return found


def _calling(tree: ast.AST) -> Iterator[str]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name | ast.Attribute):
                name = called.id if isinstance(called, ast.Name) else called.attr
                if name in MOVERS:
                    yield function.name


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
        assert to
        await archive_stage(session, admin, deal.stage_id, to.id, now=SOON)


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
            session, maria, title="Books", now=NOON, currency="UAH", region="UA", client_number=deal.client_number
        )
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
    "pbxcrm.deals.pipeline_actions:archive_stage": by_removed_stage,
    "pbxcrm.deals.bulk_jobs:_move": by_bulk,
    "pbxcrm.deals.bulk_jobs:_move_back": by_undone_bulk,
    "pbxcrm.deals.pipeline_actions:clear_stage": by_cleared_stage,
    "pbxcrm.deals.after_closing:_take_back": by_win_taken_back,
    "pbxcrm.callbacks.attempts:do_after_last": by_last_attempt,
    "pbxcrm.deals.unmerge_actions:undo_deal_merge": by_undone_merge,
}
#: What the task says about a move that the product tried by itself.
AUTOMATIC: dict[Path_, str] = {
    by_talk: "A conversation took place",
    by_cleared_stage: "removed the stage",
    by_win_taken_back: "The win that it followed was taken back.",
    by_last_attempt: "",
    by_undone_merge: "removed the stage",
}


def test_the_paths_are_those_that_the_code_has() -> None:
    assert callers() == set(PATHS)


@pytest.mark.parametrize("path", list(dict.fromkeys(PATHS.values())))
async def test_no_path_passes_beside_the_gate(desk: CallbackDesk, path: Path_, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a rule that asks for a field on every stage, as stages will from the next issue on."""
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

    monkeypatch.setattr("pbxcrm.deals.actions.check_gate", counted)
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
    lost = Stage(pipeline_id=1, name="Lost", kind="lost", position=9)
    assert [m.kind for m in missing_for(lost, GateFacts("", owes_next_task=True))] == ["lost_reason", "next_task"]
    won = Stage(pipeline_id=1, name="Won", kind="won", position=8)
    assert [m.kind for m in missing_for(won, GateFacts("", owes_next_task=True))] == ["next_task"]
    opened = Stage(pipeline_id=1, name="Call held", kind="open", position=2)
    assert missing_for(opened, GateFacts("", owes_next_task=True)) == []


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
