"""A few blows of ``make chaos`` in a minute: whatever is killed or cut off during a real call, it is told rightly."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.chaos.recovery import recovering
from tests.chaos.story_run import Verdict, stories
from tests.databases import Postgres, postgres_programs, running_postgres
from tests.needs import need

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(900)]  # the first run installs Asterisk
KINDS = ("listener", "everything", "database and listener", "cable", "PBX and listener")
SEED = 4


async def _struck(postgres: Postgres, folder: Path) -> Verdict:
    dice = random.Random(SEED)
    async with recovering(postgres, folder, SEED) as running:
        for number, kind in enumerate(KINDS, start=1):
            while running.verdict.played.total() < number:  # a machine that stands still may not play a story
                await running.play(kind, dice.choice(stories()))
        return await running.settle()


def test_whatever_is_struck_calls_are_told_rightly(tmp_path: Path) -> None:
    programs = postgres_programs()
    if programs is None:
        need("PostgreSQL", "apt-get install postgresql")
        return
    with running_postgres(programs, keeps_commits=True) as postgres:
        found = asyncio.run(_struck(postgres, tmp_path))
    assert found.wrong == []
    assert found.calls >= len(KINDS)
