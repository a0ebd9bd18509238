"""The report of lamps: what lit, what went out in time, what reached the manager; each figure is its rows."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from pbxcrm.checkpoints.queries import steps_of
from pbxcrm.people.whom import JOINT
from pbxcrm.reports.lamps import LAMPS
from pbxcrm.reports.report import Asked, Table
from tests.calls import NOON, batch, outbound
from tests.integration.callbacks.conftest import CLIENT, MISSED_AT, CallbackDesk, desk
from tests.integration.reports.rows_of_figures import check
from tests.lamps import callbacks_checkpoint, sweep_all

__all__ = ["desk"]
NORM = MISSED_AT + timedelta(minutes=20)


async def table(desk: CallbackDesk, login: str, by: str) -> Table:
    viewer = await desk.viewer(login)
    asked = Asked(NOON, NOON + timedelta(days=1), ZoneInfo("Europe/Kyiv"), NORM + timedelta(hours=2), by)
    async with desk.database.read() as session:
        return await LAMPS.load(session, viewer, asked)


async def test_lit_out_in_time_and_escalated_by_stage_and_person(desk: CallbackDesk) -> None:
    await desk.miss()
    await desk.miss("+380501110002")
    await desk.miss("+380501110003", "201")
    await sweep_all(desk.database, NORM)
    at = NORM + timedelta(minutes=5)
    await desk.intake.apply(batch(outbound("17.7", "101", client=CLIENT, at=at).end()))  # in time
    await sweep_all(desk.database, NORM + timedelta(minutes=20))
    by_stage = await table(desk, "admin", "stage")
    assert [line.name for line in by_stage.lines] == ["Callbacks"]
    totals = by_stage.totals
    assert (totals["lit"], totals["in_time"], totals["burning"], totals["escalated"]) == (3, 1, 2, 2)
    assert (totals["percent_in_time"], totals["median_minutes"]) == (33, 5)
    by_owner = {line.name: line for line in (await table(desk, "admin", "owner")).lines}
    ivan, petro = desk.office["ivan"].name, desk.office["petro"].name
    assert {name: line.values["lit"] for name, line in by_owner.items()} == {ivan: 2, petro: 1}
    for by in ("stage", "owner"):
        assert check(LAMPS, await table(desk, "admin", by)) >= 12
    assert [row.kind for row in by_owner[ivan].behind["in_time"]] == ["callback"]
    assert [line.name for line in (await table(desk, "maria", "owner")).lines] == [
        ivan
    ]  # only the manager's own people


async def test_a_joint_first_step_asks_and_is_not_with_the_manager(desk: CallbackDesk) -> None:
    """Two people were asked together. Only the step after it is with the manager."""
    async with desk.database.write() as session:
        steps = await steps_of(session, [(await callbacks_checkpoint(session)).id])
        for first in (step for each in steps.values() for step in each if step.position == 0):
            first.whom = JOINT
            session.add(first)
    await desk.miss()
    await sweep_all(desk.database, NORM)
    totals = (await table(desk, "admin", "stage")).totals
    assert (totals["lit"], totals["burning"], totals["escalated"], totals["percent_in_time"]) == (1, 1, 0, 0)
    await sweep_all(desk.database, NORM + timedelta(minutes=20))
    totals = (await table(desk, "admin", "stage")).totals
    assert (totals["lit"], totals["escalated"], totals["percent_in_time"]) == (1, 1, 0)
    assert check(LAMPS, await table(desk, "admin", "stage")) == 10
