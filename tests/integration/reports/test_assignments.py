"""The report of assignments equals the rows behind it."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from pbxcrm.reports.assignments import ASSIGNMENTS
from pbxcrm.reports.queries import Filter, load_report
from pbxcrm.shared.db import Database
from pbxcrm.tasks.actions import create_task
from pbxcrm.tasks.assignment_actions import accept_task, approve_task
from pbxcrm.tasks.finish_actions import finish_task
from pbxcrm.tasks.models import TaskKind
from tests.calls import NOON
from tests.office import Office

ZONE = ZoneInfo("Europe/Kyiv")


async def test_each_figure_is_the_number_of_its_rows(database: Database, office: Office) -> None:
    async with database.write() as session:
        maria, ivan = await office.viewer(session, "maria"), await office.viewer(session, "ivan")
        ids = []
        for number in range(4):
            task = await create_task(
                session, maria, title=f"Do {number}", due_at=NOON + timedelta(hours=number), now=NOON,
                kind=TaskKind.ASSIGNMENT, assignee_id=office.id("ivan"),
            )  # fmt: skip
            ids.append(task.id or 0)
        await accept_task(session, ivan, ids[1], now=NOON)
        for each in ids[2:]:
            await finish_task(session, ivan, each, result="", now=NOON + timedelta(hours=1))
        await approve_task(session, maria, ids[3], now=NOON + timedelta(hours=1))
        wanted = Filter(NOON - timedelta(days=1), NOON + timedelta(days=1), ZONE)
        _, table = await load_report(session, maria, ASSIGNMENTS, wanted, now=NOON + timedelta(hours=1, minutes=30))
    [line] = table.lines
    assert line.name == "Ivan Kravets"
    figures = {key: value for key, value in line.values.items() if key != "percent_late"}
    assert figures == {"given": 4, "accepted": 3, "done": 2, "checked": 1, "returned": 0, "late": 2}
    assert {key: len(line.behind[key]) for key in figures} == figures
