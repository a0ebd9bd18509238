"""Failures of two machines' listeners during real calls: ``python -m tests.chaos.failover [BLOWS] [SEED] [KIND,…] [STORY,…]``.

A real Asterisk, phones and a trunk play stories, one after the other. During each, listeners are killed, stopped and continued, and
database and PBX are cut, killed and mended, in every order (``pair_blows``). One machine's clock is 20 s fast. ``story_run`` compares.
Prints a table. Exit code 1 if a call was lost, duplicated, reopened or differs. Do not change the working tree meanwhile:
processes are restarted from it. ``simulated_failover`` does the same during many simulated calls at once.
"""

import asyncio
import random
import sys
import tempfile
from pathlib import Path

from pbxcrm.composition import compose
from pbxcrm.shared.logs import configure
from tests.chaos import pair_blows
from tests.chaos.story_run import LEAST, Run, asked, cel_of, play_many
from tests.chaos.two_machines import TwoMachines
from tests.databases import Postgres, postgres_programs, running_postgres


def failing_over(postgres: Postgres, folder: Path, seed: int) -> Run[TwoMachines]:
    """A run that strikes two machines' listeners, which read the PBX's CEL file after a gap."""
    dice = random.Random(seed)
    return Run(
        folder,
        seed,
        lambda pbx: TwoMachines(folder, postgres, pbx.ami_port, LEAST, cel_of(pbx), dice),
        pair_blows.strike,
    )


async def run(postgres: Postgres, folder: Path) -> bool:
    """Whether something was wrong."""
    count, seed, kinds, names = asked(pair_blows.KINDS)
    print(f"{count} blows, seed {seed}", flush=True)
    running = failing_over(postgres, folder, seed)
    found = await play_many(running, count, kinds, names)
    print(*found.wrong, found.table(), found, sep="\n")
    times = sorted(running.struck.takeovers)
    print(
        f"{running.struck.changes} changes of the listener; of {len(times)} takeovers that were timed, from the kill or stop of the"
        f" leader until all was applied, the longest took {max(times, default=0.0):.1f} s: {[round(time, 1) for time in times]}"
    )
    return bool(found.wrong)


def main() -> None:
    compose()
    configure("ERROR")
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL is missing (apt-get install postgresql)")
    with (
        tempfile.TemporaryDirectory(prefix="failover-") as folder,
        running_postgres(programs, keeps_commits=True) as postgres,
    ):
        sys.exit(asyncio.run(run(postgres, Path(folder))))


if __name__ == "__main__":
    main()
