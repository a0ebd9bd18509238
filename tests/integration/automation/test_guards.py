"""Waits, modes, goals, chains, rates, failures and undo of rules, on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from pbxcrm.automation.models import AutomationRule, RuleRun
from pbxcrm.automation.rule_actions import archive_rule
from pbxcrm.automation.rule_checks import RuleDraft, check_draft
from pbxcrm.automation.rules import RETRY_SECONDS
from pbxcrm.automation.run_queries import access_run
from pbxcrm.automation.steps.kinds import STEPS
from pbxcrm.automation.steps.step import Settings, Step, StepContext, StepTaken
from pbxcrm.automation.undo_actions import undo_run
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.bulk_jobs import Act, BulkAct, start_bulk
from pbxcrm.deals.models import Deal, Note
from pbxcrm.deals.pipeline_actions import archive_stage
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound
from tests.calls import NOON
from tests.integration.automation.conftest import A_TASK, REGION, RuleDesk

TITLE = {"kind": "field_changed", "fields": ["title"]}
WAIT = {"kind": "wait", "minutes": 60}
HOUR = timedelta(hours=1)
IS_ROOF = {"field": "source", "op": "!=", "value": "Sold"}


async def test_a_wait_counts_working_minutes_and_then_asks_again(desk: RuleDesk) -> None:
    await desk.rule(TITLE, WAIT, A_TASK, conditions=IS_ROOF)
    kept, sold = await desk.deal(), await desk.deal(second=True)
    for deal_id in (kept, sold):
        await desk.edit(deal_id, title="New")
    await desk.work()
    assert {run.status for run in await desk.runs()} == {"waiting"}
    await desk.edit(sold, source="Sold")
    assert await desk.work(after=HOUR - timedelta(minutes=1)) == 0
    await desk.work(after=timedelta(minutes=1))
    assert [(run.deal_id, run.status) for run in await desk.runs()] == [(kept, "done"), (sold, "skipped")]
    assert (await desk.told())[1][1] == (
        "It waited, and then its condition did not hold any more. Source is Sold, and must be something else."
    )
    assert [task.deal_id for task in await desk.tasks()] == [kept]


async def test_a_wait_ends_in_working_time(desk: RuleDesk) -> None:
    await desk.rule(TITLE, {"kind": "wait", "minutes": 8 * 60}, A_TASK)
    deal_id = await desk.deal()
    await desk.edit(deal_id, title="New")
    await desk.work()
    (run,) = await desk.runs()
    assert run.due_at is not None
    assert run.due_at.date() > desk.now.date(), "the rest of today is shorter than a working day"


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("once", [("done", "All steps were taken."), ("skipped", "Skipped: it waits on this deal already.")]),
        (
            "restart",
            [
                ("skipped", "It heard the same again while it waited, and began anew."),
                ("waiting", "It goes on after 60 of working time."),
            ],
        ),
        (
            "queue",
            [("done", "All steps were taken."), ("waiting", "It goes on after 60 of working time.")],
        ),
    ],
)
async def test_a_second_event_while_a_run_waits(desk: RuleDesk, mode: str, told: list[tuple[str, str]]) -> None:
    await desk.rule(TITLE, WAIT, A_TASK, mode=mode)
    deal_id = await desk.deal()
    await desk.edit(deal_id, title="New")
    await desk.work()
    await desk.edit(deal_id, title="Newer")
    await desk.work(after=HOUR / 2)
    await desk.work(after=HOUR / 2)
    assert await desk.told() == told
    assert len(await desk.tasks()) == (mode != "restart")
    await desk.work(after=HOUR)
    assert {status for status, _ in await desk.told()} <= {"done", "skipped"}


async def test_a_goal_ends_what_waits_as_soon_as_it_is_reached(desk: RuleDesk) -> None:
    goal = {"field": "stage", "op": "=", "value": desk.stages["Invoice issued"]}
    await desk.rule(TITLE, WAIT, A_TASK, goal=goal)
    deal_id, other = await desk.deal(), await desk.deal(second=True)
    for each in (deal_id, other):
        await desk.edit(each, title="New")
    await desk.work()
    await desk.move(deal_id, "Invoice issued")
    await desk.work()
    assert await desk.told() == [
        ("done", "Its goal was reached while it waited."),
        ("waiting", "It goes on after 60 of working time."),
    ]
    assert not await desk.tasks()


async def test_a_loop_is_cut_named_and_becomes_one_task(desk: RuleDesk) -> None:
    first, second = desk.stages["Invoice issued"], desk.stages["Invoice agreed"]
    await desk.rule({"kind": "stage_entered", "stage_id": first}, {"kind": "move", "stage_id": second}, name="A")
    await desk.rule({"kind": "stage_entered", "stage_id": second}, {"kind": "move", "stage_id": first}, name="B")
    deal_id = await desk.deal()
    for _ in range(2):
        await desk.move(deal_id, "Shipped")
        await desk.move(deal_id, "Invoice issued")
        assert await desk.work() > 2
    circle = "Skipped, or it would go round in a circle: A → B → A on “Roof”."
    assert await desk.told() == 2 * [
        ("done", "All steps were taken."),
        ("done", "All steps were taken."),
        ("skipped", circle),
    ]
    (task,) = await desk.tasks()
    assert (task.assignee_id, task.about) == (desk.office.id("admin"), "automation:1")
    assert circle in reasons.text(task.reason)
    runs = await desk.runs()
    assert {run.root_id for run in runs[:3]} == {runs[0].event_id}, "the root cause travels with each act"


@pytest.mark.parametrize("unheard", [False, True])
async def test_a_mass_change_says_whether_rules_hear_it(desk: RuleDesk, *, unheard: bool) -> None:
    await desk.rule({"kind": "field_changed", "fields": ["tag"]}, A_TASK)
    deals = [await desk.deal(second=True) for _ in range(2)]
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "ivan")
        asked = BulkAct(Act.TAG, text="fair", unheard=unheard)
        await start_bulk(session, viewer, asked, [(deal_id, None) for deal_id in deals], desk.now)
    await desk.work()
    assert len(await desk.runs()) == (0 if unheard else 2)


async def test_a_rule_that_runs_too_often_or_never_tells_its_owner(desk: RuleDesk) -> None:
    often, silent, calm = [await desk.rule(TITLE, A_TASK, name=name) for name in ("Often", "Silent", "Calm")]
    deal_id = await desk.deal()
    async with desk.database.write() as session:
        for rule_id, status, times, days in (
            (often, "done", 14, 3),
            (often, "done", 60, 0),
            (silent, "skipped", 60, 1),
            (calm, "done", 300, 3),
            (calm, "done", 60, 0),
        ):
            for number in range(times):
                session.add(
                    RuleRun(
                        rule_id=rule_id, rule_version=1, event_id=1000 * days + number, act="deal.edited", subject=f"deal:{deal_id}",
                        deal_id=deal_id, root_id=1, status=status, at=desk.now + timedelta(minutes=1) - timedelta(days=days),
                    )
                )  # fmt: skip
    await desk.tick()
    await desk.tick(timedelta(hours=24))
    told = {task.about: reasons.text(task.reason) for task in await desk.tasks()}
    assert told == {
        f"automation:{silent}": "It heard 60 events in two weeks, and its condition never held.",
        f"automation:{often}": "It ran 60 times within a day, usually about 1.",
    }
    await desk.tick(timedelta(hours=24))
    assert len(await desk.tasks()) == 2, "one open task of a rule"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # where a long transaction stops all others
async def test_a_thousand_rules_on_one_event_lose_nothing_and_tell_an_owner(desk: RuleDesk) -> None:
    one = await desk.rule(TITLE, {"kind": "note", "text": "Seen"}, name="Rule 0")
    async with desk.database.write() as session:
        saved = (await session.get_one(AutomationRule, one)).model_dump(exclude={"id", "name"})
        session.add_all([AutomationRule(name=f"Rule {number}", **saved) for number in range(1, 1000)])
    deal_id = await desk.deal()
    await desk.tick()
    await desk.edit(deal_id, title="New")
    assert await desk.work(timedelta(minutes=1)) == 1
    assert await desk.work() == 0
    runs = await desk.runs()
    assert len(runs) == len({run.rule_id for run in runs}) == 1000
    assert {run.status for run in runs} == {"done"}
    async with desk.database.read() as session:
        assert len((await session.exec(select(Note.id).where(Note.deal_id == deal_id))).all()) == 1000
    await desk.tick(timedelta(hours=23, minutes=59))
    (task,) = await desk.tasks()
    assert task.about == f"automation:{max(run.rule_id for run in runs)}"
    assert reasons.text(task.reason).startswith("1000 rules heard one event, this one among them.")


async def test_rules_that_cause_each_other_have_a_depth(desk: RuleDesk) -> None:
    fields = ["title", "source"]
    for number in range(10):
        await desk.rule(
            {"kind": "field_changed", "fields": [fields[number % 2]]},
            {"kind": "field", "field": fields[(number + 1) % 2], "value": f"Number {number}"},
            conditions={
                "field": fields[number % 2],
                "op": "=",
                "value": "Go" if number == 0 else f"Number {number - 1}",
            },
        )
    deal_id = await desk.deal()
    await desk.edit(deal_id, title="Go")
    await desk.work()
    did = [run for run in await desk.runs() if run.status != "skipped"]
    assert len(did) == 8
    assert "Skipped: 8 rules had caused each other before it on “" in " ".join(said for _, said in await desk.told())


async def test_a_rule_runs_so_many_times_an_hour_on_one_deal(desk: RuleDesk) -> None:
    await desk.rule(TITLE, {"kind": "tag", "add": ["seen"]}, most_per_hour=2)
    deal_id = await desk.deal()
    for number in range(4):
        await desk.edit(deal_id, title=f"Roof {number}")
    await desk.work()
    assert [status for status, _ in await desk.told()] == ["done", "done", "skipped", "skipped"]
    assert len(await desk.tasks()) == 1
    await desk.edit(deal_id, title="Another")
    await desk.work(after=HOUR)
    assert [status for status, _ in await desk.told()][-1] == "done"


class Broken(Step):
    """A step that fails so many times, after it has changed the deal."""

    kind, title, params = "note", "Break", ()

    def __init__(self, times: int) -> None:
        self.left = times

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        context.of_deal.source = "half done"
        await context.session.flush()
        self.left -= 1
        if self.left >= 0:
            raise RuntimeError("the gateway is down")
        return StepTaken(reasons.reason("automation.stopped"))

    async def would(self, *_: Any) -> reasons.Reason:
        return reasons.reason("automation.stopped")

    async def undo(self, *_: Any) -> None:
        return None


async def test_a_failing_step_is_rolled_back_and_tried_again(desk: RuleDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.rule(
        TITLE, {"kind": "tag", "add": ["before"]}, {"kind": "note", "text": "x"}, {"kind": "tag", "add": ["after"]}
    )
    monkeypatch.setitem(STEPS, "note", Broken(3))  # a real failure cannot be ordered
    deal_id = await desk.deal()
    await desk.edit(deal_id, title="New")
    await desk.work()
    assert (await desk.row(deal_id)).source == ""
    assert await desk.told() == [
        ("waiting", "A step failed and will be tried again: RuntimeError: the gateway is down")
    ]
    for seconds in RETRY_SECONDS[:2]:
        assert await desk.work(after=timedelta(seconds=seconds - 1)) == 0
        assert await desk.work(after=timedelta(seconds=1)) == 1
    (run,) = await desk.runs()
    assert run.status == "done"
    assert [kind for kind, _, _ in await desk.steps(run.id)] == ["tag", "note", "tag"]
    assert (await desk.row(deal_id)).source == "half done"


async def test_a_step_that_never_works_becomes_a_task_of_the_owner(
    desk: RuleDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.rule(TITLE, {"kind": "note", "text": "x"}, owner_id=desk.office.id("maria"))
    monkeypatch.setitem(STEPS, "note", Broken(99))
    await desk.edit(await desk.deal(), title="New")
    await desk.work()
    for seconds in RETRY_SECONDS:
        await desk.work(after=timedelta(seconds=seconds))
    assert await desk.told() == [("failed", "A step could not be taken: RuntimeError: the gateway is down")]
    (task,) = await desk.tasks()
    assert task.assignee_id == desk.office.id("maria")
    assert "RuntimeError: the gateway is down" in reasons.text(task.reason)


async def test_a_stage_that_is_gone_fails_at_once_and_a_rule_whose_field_is_gone_says_so(desk: RuleDesk) -> None:
    moves = await desk.rule(TITLE, {"kind": "move", "stage_id": desk.stages["Invoice issued"]})
    broken = await desk.rule(TITLE, A_TASK)
    await desk.change(broken, conditions={"field": "field.gone", "op": "filled"})
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        await archive_stage(session, admin, desk.stages["Invoice issued"], now=desk.now, move_to=None)
    await desk.edit(await desk.deal(), title="New")
    await desk.work()
    assert await desk.told(moves) == [("failed", "A step could not be taken: There is no such stage any more.")]
    (said,) = await desk.told(broken)
    assert said == (
        "failed",
        "The rule asks for something that is gone: There is no field “field.gone” to filter by.",
    )
    assert len(await desk.tasks()) == 2


async def test_a_whole_firing_is_taken_back(desk: RuleDesk) -> None:
    await desk.rule(
        TITLE,
        {"kind": "field", "field": "amount", "value": "99.50"},
        {"kind": "tag", "add": ["hot"]},
        {"kind": "note", "text": "Look"},
        {"kind": "assign", "to": "user:olena"},
        A_TASK,
        {"kind": "move", "stage_id": desk.stages["Invoice issued"]},
    )
    deal_id = await desk.deal()
    before = await desk.row(deal_id)
    await desk.edit(deal_id, title="New")
    await desk.work()
    (run,) = await desk.runs()
    heard = await desk.rule({"kind": "stage_entered"}, A_TASK)
    async with desk.database.write() as session:
        petro = await desk.office.viewer(session, "petro")
        with pytest.raises(NotFound):
            await undo_run(session, petro, run.id or 0, desk.now)
    async with desk.database.write() as session:
        maria = await desk.office.viewer(session, "maria")
        assert await undo_run(session, maria, run.id or 0, desk.now) == []
        with pytest.raises(Conflict):
            await undo_run(session, maria, run.id or 0, desk.now)
    after = await desk.row(deal_id)
    for name in ("stage_id", "amount", "responsible_id"):
        assert getattr(after, name) == getattr(before, name), name
    assert {status for _, status, _ in await desk.steps(run.id)} == {"undone"}
    assert [task.status for task in await desk.tasks()] == ["cancelled"]
    assert await desk.work() == 0, "nobody hears what is taken back"
    assert not await desk.runs(heard)


async def test_what_somebody_has_changed_since_stays(desk: RuleDesk) -> None:
    await desk.rule(TITLE, {"kind": "field", "field": "source", "value": "Fair"}, {"kind": "tag", "add": ["hot"]})
    deal_id = await desk.deal()
    await desk.edit(deal_id, title="New")
    await desk.work()
    await desk.edit(deal_id, source="Friend")
    (run,) = await desk.runs()
    async with desk.database.write() as session:
        stay = await undo_run(session, await desk.office.viewer(session, "ivan"), run.id or 0, desk.now)
    assert [(step.kind, reasons.text(why)) for step, why in stay] == [("field", "Somebody has changed it since.")]
    assert (await desk.row(deal_id)).source == "Friend"
    assert [status for _, status, _ in await desk.steps(run.id)] == ["done", "undone"]


async def test_a_rule_that_is_archived_or_pauses_does_nothing(desk: RuleDesk) -> None:
    archived, pausing = (
        await desk.rule(TITLE, WAIT, A_TASK),
        await desk.rule(TITLE, A_TASK, paused_until=desk.now + HOUR),
    )
    deal_id = await desk.deal()
    await desk.edit(deal_id, title="New")
    await desk.work()
    assert not await desk.runs(pausing)
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        await archive_rule(session, admin, archived, desk.now, archived=True)
    await desk.work(after=HOUR)
    assert await desk.told(archived) == [("skipped", "The rule was switched off or archived while it waited.")]
    await desk.edit(deal_id, title="Newer")
    await desk.work()
    assert [len(await desk.runs(each)) for each in (archived, pausing)] == [1, 1]


BAD: list[tuple[str, dict[str, Any]]] = [
    ("when.kind", {"when": {"kind": "weather"}}),
    ("when.kind", {"when": {}}),
    ("when.stage_id", {"when": {"kind": "stage_entered", "stage_id": 999}}),
    ("when.stage_id", {"when": {"kind": "stage_entered", "stage_id": True}}),
    ("when.weather", {"when": {"kind": "stage_entered", "weather": 1}}),
    ("when.fields", {"when": {"kind": "field_changed"}}),
    ("when.fields", {"when": {"kind": "field_changed", "fields": ["gone"]}}),
    ("when.form_id", {"when": {"kind": "request", "form_id": 7}}),
    ("when.talk_seconds", {"when": {"kind": "call", "talk_seconds": -1}}),
    ("if.all.1.value", {"conditions": {"all": [IS_ROOF, {"field": "amount", "op": ">", "value": "much"}]}}),
    ("goal", {"goal": {"all": []}}),
    ("then", {"steps": []}),
    ("then.0.kind", {"steps": ["task"]}),
    ("then.0.kind", {"steps": [{"kind": "document", "text": "Hello"}]}),
    ("then.0.title", {"steps": [{"kind": "task"}]}),
    ("then.0.due", {"steps": [{**A_TASK, "due": "when it suits"}]}),
    ("then.0.assignee", {"steps": [{**A_TASK, "assignee": "user:nobody"}]}),
    ("then.1.stage_id", {"steps": [A_TASK, {"kind": "move", "stage_id": "6"}]}),
    ("then.0.field", {"steps": [{"kind": "field", "field": "stage", "value": "1"}]}),
    ("then.0.value", {"steps": [{"kind": "field", "field": "amount", "value": "much"}]}),
    ("then.0.value", {"steps": [{"kind": "field", "field": "amount", "value": {"a": 1}}]}),
    ("then.0.to", {"steps": [{"kind": "assign", "to": "responsible"}]}),
    ("then.0.minutes", {"steps": [{"kind": "wait", "minutes": 0}]}),
    ("then.0.minutes", {"steps": [{"kind": "wait"}]}),
    ("then", {"steps": [{"kind": "wait", "days": 1}, {"kind": "stop"}]}),
    ("then.0.minutes", {"steps": [{"kind": "wait", "minutes": 60, "months": 1}]}),
    ("then.0.working_days", {"steps": [{"kind": "wait", "working_days": 0}]}),
    ("then.0.add", {"steps": [{"kind": "tag"}]}),
    ("then.0.carry", {"steps": [{"kind": "deal", "stage_id": 6, "carry": ["soul"]}]}),
    ("then", {"steps": [{"kind": "note", "text": "x" * 60_000}]}),
    ("then", {"steps": [{"kind": "note", "text": "a\0b"}]}),
    ("then.0.kind", {"when": {"kind": "contact_created"}, "steps": [{"kind": "move", "stage_id": 6}]}),
    ("name", {"name": " "}),
    ("owner", {"owner_id": 999}),
    ("most_per_hour", {"most_per_hour": 0}),
    ("state", {"mode": "sometimes"}),
]


@pytest.mark.parametrize(("place", "wrong"), BAD)
async def test_what_is_wrong_is_said_at_its_place(desk: RuleDesk, place: str, wrong: dict[str, Any]) -> None:
    if not desk.database.is_sqlite:
        return  # checks read caches only
    asked: dict[str, Any] = {"name": "Rule", "owner_id": 1, "when": TITLE, "steps": [A_TASK], **wrong}
    async with desk.database.read() as session:
        with pytest.raises(Invalid) as refused:
            await check_draft(session, RuleDraft(**asked), REGION)
    assert refused.value.field == place


async def test_only_administrators_change_rules(desk: RuleDesk) -> None:
    for login in ("maria", "ivan", "kira"):
        with pytest.raises(NotAllowed):
            await desk.rule(TITLE, A_TASK, login=login)
    async with desk.database.read() as session:
        assert not (await session.exec(select(AutomationRule))).all()
        assert not (await session.exec(select(Deal))).all()


async def test_a_run_that_fails_by_itself_stops_no_other(desk: RuleDesk) -> None:
    """Nor the worker: it is tried again by the schedule of steps, and in the end the owner of its rule is told."""
    rule_id = await desk.rule(TITLE, WAIT, A_TASK, conditions={"field": "call.talk_seconds", "op": "empty"})
    broken, kept = await desk.deal(), await desk.deal(second=True)
    for deal_id in (broken, kept):
        await desk.edit(deal_id, title="New")
    await desk.work()
    async with desk.database.write() as session:
        run = (await session.exec(select(RuleRun).where(RuleRun.deal_id == broken))).one()
        run.event = {**run.event, "talk_seconds": "long"}  # as no program of ours writes it
    await desk.work(after=HOUR)
    assert [(run.deal_id, run.status) for run in await desk.runs()] == [(broken, "waiting"), (kept, "done")]
    for seconds in RETRY_SECONDS:
        assert (await desk.runs())[0].status == "waiting"
        await desk.work(after=timedelta(seconds=seconds))
    status, why = (await desk.told())[0]
    assert (status, "ValueError" in why) == ("failed", True)
    assert [task.about for task in await desk.tasks() if task.deal_id == broken] == [f"automation:{rule_id}"]


async def test_what_a_rule_did_to_a_client_is_taken_back_by_who_may_change_them(desk: RuleDesk) -> None:
    """Who sees a client only through a call sees the firing, and changes nothing."""
    await desk.rule({"kind": "contact_created"}, {"kind": "note", "text": "Welcome them"})
    async with desk.database.write() as session:
        petro = await desk.office.viewer(session, "petro")
        client = await create_contact(session, petro, name="Client", now=NOON, region="UA", phones=["+380671112233"])
        session.add(
            Call(
                pbx="main", linkedid="1.1", direction="inbound", outcome="answered", started_at=NOON,
                contact_id=client.id, responsible_id=desk.office.id("ivan"),
            )
        )  # fmt: skip
    await desk.work()
    (run,) = await desk.runs()
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        assert (await access_run(session, ivan, run.id or 0)).id == run.id
        with pytest.raises(NotAllowed):
            await undo_run(session, ivan, run.id or 0, NOON)
        assert await undo_run(session, await desk.office.viewer(session, "petro"), run.id or 0, NOON) == []
