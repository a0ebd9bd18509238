"""A small week of an office, on both databases: every lamp is where the slow reference of ``tests/week`` says.

``python -m tests.week`` plays it in full size.
"""

from pathlib import Path

from pbxcrm.shared.db import Database
from tests.week.diary import play_week
from tests.week.world import WeekSize

SMALL = WeekSize(sellers=5, clients=40, deals=32, events=170)


async def test_every_lamp_of_a_week_is_where_the_reference_says(database: Database, tmp_path: Path) -> None:
    played = await play_week(database, tmp_path, SMALL, seed=4)
    assert sum(played.wanted.values()) > 100
    assert played.done["miss"] > 10
    assert played.done["give"] > 1
    assert played.differences == []
