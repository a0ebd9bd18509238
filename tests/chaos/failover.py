"""A hundred failures of two listeners during simulated calls: ``python -m tests.chaos.failover [BLOWS] [SEED] [RATE]``.

``RATE``: calls that begin per second. Do not change the working tree meanwhile: processes are restarted from it.
Exit code 1 if a call was lost, duplicated, reopened or differs from what the PBX did.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from pbxcrm.composition import compose
from tests.chaos.two_machines import TwoMachines, Verdict
from tests.databases import postgres_programs, running_postgres

KEPT = Path(tempfile.gettempdir()) / "pbxcrm-chaos"  # data directories and logs of a failed run


async def run(blows: int, seed: int, rate: float) -> Verdict:
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL is missing (apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        server = running_postgres(programs)
        postgres = await asyncio.to_thread(server.__enter__)
        try:
            async with TwoMachines(postgres, Path(folder), seed=seed, rate=rate) as machines:
                await machines.go(blows)
                found = await machines.verdict()
                if found.wrong:
                    shutil.copytree(folder, KEPT, dirs_exist_ok=True)
                return found
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)


def main() -> None:
    compose()
    blows = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rate = float(sys.argv[3]) if len(sys.argv) > 3 else 3.0
    found = asyncio.run(run(blows, seed, rate))
    for sentence in [*found.notes, *found.wrong]:
        print(sentence)
    print(
        f"{found.blows} blows (seed {seed}), {found.takeovers} changes of the listener, {found.calls} calls,"
        f" {len(found.wrong)} differences; the longest takeover after a kill took {found.longest_takeover:.1f} s"
    )
    sys.exit(bool(found.wrong))


if __name__ == "__main__":
    main()
