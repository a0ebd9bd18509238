"""Rules while workers die: ``python -m tests.chaos.rules [EVENTS] [KILLS] [SEED] [sqlite|postgresql]``, on both databases without the last.

Twenty rules hear each event, five of them do something, one of these sends a webhook or an SMS (``rule_run``). Prints a line per database.
Exit code 1 if a step was lost or taken twice.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from pbxcrm.composition import compose
from pbxcrm.migrations import upgrade
from pbxcrm.shared.db import Database
from pbxcrm.shared.logs import configure
from pbxcrm.shared.wording import register_words
from tests.chaos.rule_run import RuleChaos, Size, play
from tests.databases import fresh_name, postgres_programs, running_postgres
from tests.integration.automation.conftest import open_rule_desk
from tests.office import open_office
from web.i18n import word_in


async def strike(url: str, folder: Path, size: Size) -> RuleChaos:
    await upgrade(url)
    database = Database(url)
    try:
        desk = await open_rule_desk(database, await open_office(database))
        return await play(desk, folder, size)
    finally:
        await database.close()


def main() -> None:
    compose()
    register_words(word_in)
    configure("ERROR")
    given = dict(enumerate(sys.argv[1:]))
    events = int(given.get(0, 10_000))
    size = Size(events, int(given.get(1, 40)), deals=max(25, events // 50), seed=int(given.get(2, 12)))
    faults = 0
    for kind in (given[3],) if 3 in given else ("postgresql", "sqlite"):
        with tempfile.TemporaryDirectory(prefix="rules-") as name:
            if kind == "sqlite":
                found = asyncio.run(strike(f"sqlite:///{Path(name) / 'rules.db'}", Path(name), size))
            else:
                programs = postgres_programs()
                if programs is None:
                    sys.exit("PostgreSQL is missing (apt-get install postgresql)")
                with running_postgres(programs, keeps_commits=True) as postgres:
                    url = asyncio.run(postgres.create(fresh_name()))
                    found = asyncio.run(strike(url, Path(name), size))
        print(f"{kind}: {found}", *found.wrong, sep="\n  ", flush=True)
        faults += len(found.wrong)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
