"""A few blows of ``make chaos`` in two minutes: whatever is killed or cut off during a real call, it is told rightly."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.failover import failing_over
from tests.chaos.recovery import recovering
from tests.chaos.story_run import Run, Thing, Verdict, stories
from tests.databases import Postgres, postgres_programs, running_postgres
from tests.needs import need

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(900)]  # the first run installs Asterisk
KINDS = ("listener", "everything", "database and listener", "cable", "PBX and listener")
OF_TWO = ("kill", "kill + both databases", "stop + both databases", "kill + both cables")
SEED = 4


async def _struck(running: Run[Thing], kinds: tuple[str, ...]) -> Verdict:
    dice = random.Random(SEED)
    async with running:
        for number, kind in enumerate(kinds, start=1):
            while running.verdict.played.total() < number:  # a machine that stands still may not play a story
                await running.play(kind, dice.choice(stories()))
        return await running.settle()


@pytest.mark.parametrize(("run", "kinds"), [(recovering, KINDS), (failing_over, OF_TWO)], ids=["one", "two machines"])
def test_whatever_is_struck_calls_are_told_rightly(
    run: Callable[[Postgres, Path, int], Run[Any]], kinds: tuple[str, ...], tmp_path: Path
) -> None:
    programs = postgres_programs()
    if programs is None:
        need("PostgreSQL", "apt-get install postgresql")
        return
    with running_postgres(programs, keeps_commits=True) as postgres:
        found = asyncio.run(_struck(run(postgres, tmp_path, SEED), kinds))
    assert found.wrong == []
    assert found.calls >= len(kinds)
