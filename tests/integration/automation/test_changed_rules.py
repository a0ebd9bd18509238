"""A rule is changed while runs of it wait."""

from datetime import timedelta
from typing import Any

import pytest

from pbxcrm.automation.rule_actions import Waiting, save_rule
from pbxcrm.automation.rule_checks import RuleDraft
from pbxcrm.shared.errors import Conflict
from tests.integration.automation.conftest import A_TASK, REGION, RuleDesk

TITLE = {"kind": "field_changed", "fields": ["title"]}
WAIT = {"kind": "wait", "minutes": 60}
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("waiting", "titles"), [(Waiting.KEEP, ["Old"]), (Waiting.MOVE, ["New"]), (Waiting.CANCEL, [])]
)
async def test_a_changed_rule_keeps_moves_or_cancels_what_waits(
    desk: RuleDesk, waiting: Waiting, titles: list[str]
) -> None:
    rule_id = await desk.rule(TITLE, WAIT, {**A_TASK, "title": "Old"})
    await desk.edit(await desk.deal(), title="Go")
    await desk.work()
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        draft = RuleDraft("Rule", desk.office.id("admin"), TITLE, [WAIT, {**A_TASK, "title": "New"}], state="on")
        await save_rule(session, admin, rule_id, draft, version=1, waiting=waiting, region=REGION, now=desk.now)
        with pytest.raises(Conflict):
            await save_rule(session, admin, rule_id, draft, version=1, region=REGION, now=desk.now)
    await desk.work(after=HOUR)
    assert [task.title for task in await desk.tasks()] == titles
    if waiting is Waiting.CANCEL:
        why = "Somebody changed the rule while it waited, and ended what waits."
        assert await desk.told() == [("skipped", why)]


@pytest.mark.parametrize("steps", [[{"kind": "wait", "minutes": 30}, A_TASK], [A_TASK, A_TASK]])
async def test_moved_runs_wait_as_the_rule_says_now(desk: RuleDesk, steps: list[dict[str, Any]]) -> None:
    """Counted from when they began to wait; where the rule waits no more, not at all. A change of something else moves no time."""
    rule_id = await desk.rule(TITLE, WAIT, A_TASK)
    await desk.edit(await desk.deal(), title="Go")
    await desk.work()
    began = desk.now
    desk.now += timedelta(minutes=10)
    await desk.rule(TITLE, WAIT, A_TASK, rule_id=rule_id, name="Renamed")
    assert [run.due_at for run in await desk.runs()] == [began + HOUR]
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        draft = RuleDraft("Rule", desk.office.id("admin"), TITLE, steps, state="on")
        await save_rule(session, admin, rule_id, draft, version=None, waiting=Waiting.MOVE, region=REGION, now=desk.now)
    (run,) = await desk.runs()
    waits = steps[0].get("minutes", 0)
    assert run.due_at == began + timedelta(minutes=waits)
    if waits:
        assert await desk.told() == [("waiting", "It goes on after 30 of working time.")]
        assert [said for *_, said in await desk.steps(run.id)] == ["Waits 30 of working time"]
    await desk.work(after=timedelta(minutes=max(0, waits - 10)))
    assert len(await desk.tasks()) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [({"minutes": 60}, {"days": 1}), ({"days": 2}, {"days": 1}), ({"months": 1}, {"working_days": 1})],
)
async def test_moved_runs_wait_for_days_too(desk: RuleDesk, before: dict[str, int], after: dict[str, int]) -> None:
    rule_id = await desk.rule(TITLE, {"kind": "wait", **before}, A_TASK)
    await desk.edit(await desk.deal(), title="Go")
    await desk.work()
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        draft = RuleDraft("Rule", desk.office.id("admin"), TITLE, [{"kind": "wait", **after}, A_TASK], state="on")
        await save_rule(session, admin, rule_id, draft, version=None, waiting=Waiting.MOVE, region=REGION, now=desk.now)
    (run,) = await desk.runs()
    assert run.due_at == desk.now + timedelta(days=1)
    assert [said for *_, said in await desk.steps(run.id)] == [
        f"Waits 1 {'working day' if 'working_days' in after else 'day'}"
    ]
