"""Failures of the product during real calls: ``python -m tests.chaos.recovery [BLOWS] [SEED] [KIND,…] [STORY,…]``.

A real Asterisk, phones and a trunk play stories, one after the other. During each, something is killed, stopped or
disconnected: the listener, another part, everything, PostgreSQL, Redis, the connection to the PBX, the PBX itself.
``story_run`` compares. Prints a table. Exit code 1 if a call was lost, duplicated or differs.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from pbxcrm.composition import compose
from pbxcrm.shared.logs import configure
from tests.chaos import blows
from tests.chaos.product import ProductParts
from tests.chaos.story_run import LEAST, Run, asked, cel_of, play_many
from tests.databases import Postgres, postgres_programs, running_postgres


def recovering(postgres: Postgres, folder: Path, seed: int) -> Run[ProductParts]:
    """A run that strikes ``pbxcrm run``, which reads the PBX's CEL file after a gap."""
    return Run(folder, seed, lambda pbx: ProductParts(folder, postgres, pbx.ami_port, LEAST, cel_of(pbx)), blows.strike)


def main() -> None:
    compose()
    configure("ERROR")
    count, seed, kinds, names = asked(blows.KINDS)
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL is missing (apt-get install postgresql)")
    print(f"{count} blows, seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="recovery-") as folder,
        running_postgres(programs, keeps_commits=True) as postgres,
    ):
        found = asyncio.run(play_many(recovering(postgres, Path(folder), seed), count, kinds, names))
    print(*found.wrong, found.table(), found, sep="\n")
    sys.exit(bool(found.wrong))


if __name__ == "__main__":
    main()
