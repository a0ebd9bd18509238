"""``python -m tests.week [SEED] [SELLERS,CLIENTS,DEALS,EVENTS] [sqlite|postgres]``: the week in full size on both databases."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from pbxcrm import migrations
from pbxcrm.composition import compose
from pbxcrm.shared.db import Database
from tests.databases import fresh_name, postgres_programs, running_postgres
from tests.week.comparing import Played
from tests.week.diary import play_week
from tests.week.world import WeekSize

FULL = "20,2300,2000,7000"


async def _play(url: str, size: WeekSize, seed: int) -> Played:
    database = Database(url)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return await play_week(database, Path(folder), size, seed)
    finally:
        await database.close()


async def _on_sqlite(size: WeekSize, seed: int) -> Played:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/week.db"
        await migrations.upgrade(url)
        return await _play(url, size, seed)


def _on_postgres(size: WeekSize, seed: int) -> Played:
    programs = postgres_programs()
    assert programs is not None, "PostgreSQL is missing (apt-get install postgresql)"
    with running_postgres(programs) as server:

        async def run() -> Played:
            return await _play(await server.create(fresh_name()), size, seed)

        return asyncio.run(run())


def main(seed: int, size: WeekSize, only: str) -> int:
    """Play on both databases or the one of ``only``. Returns the exit code: 1 if anything differs."""
    compose()
    wrong = 0
    for name in ("sqlite", "postgres") if not only else (only,):
        began = time.perf_counter()
        played = asyncio.run(_on_sqlite(size, seed)) if name == "sqlite" else _on_postgres(size, seed)
        print(f"{name}: seed {seed}, {size}")
        print(
            f"  {sum(played.wanted.values())} lamps of the reference, {sum(played.found.values())} of the product,",
            end=" ",
        )
        print(f"{played.digests} digests, {time.perf_counter() - began:.0f} s")
        print(f"  {dict(sorted(played.done.items()))}")
        for line in played.differences[:40]:  # with the subject, the checkpoint, step, lit, out, owner and addressee
            print(f"  {line}")
        wrong += len(played.differences)
        print(f"  {len(played.differences)} differences", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    seed_, size_, only_ = (*sys.argv[1:], *("1", FULL, "")[len(sys.argv) - 1 :])
    sys.exit(main(int(seed_), WeekSize(*(int(each) for each in size_.split(","))), only_))
