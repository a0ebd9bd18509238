"""The commands ``db upgrade``, ``backup`` and ``restore``, and the preparation for ``run``."""

import asyncio
from pathlib import Path

import structlog

from pbxcrm import migrations
from pbxcrm.cli.locks import in_use, unused
from pbxcrm.composition import compose
from pbxcrm.deals.seed import seed
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings

log = structlog.get_logger()


async def prepare(settings: Settings) -> tuple[str | None, str | None]:
    """Upgrade the database and add the rows every installation starts with; return the revisions (before, after)."""
    compose()
    before, after = await migrations.upgrade(settings.database_url)
    db = Database(settings.database_url, pool_size=1)
    try:
        async with db.write() as session:
            await seed(session, settings.timezone)
    finally:
        await db.close()
    return before, after


def prepare_to_run(settings: Settings, *, demo: bool) -> None:
    """Prepare the database for ``pbxcrm run``: upgrade it, and add the first people or the demo data."""
    with in_use(settings.data_dir):
        asyncio.run(_prepare_to_run(settings, demo=demo))


async def _prepare_to_run(settings: Settings, *, demo: bool) -> None:
    from pbxcrm.cli.first_people import demo_people, first_admin
    from pbxcrm.composition import compose

    before, after = await prepare(settings)
    if before != after:
        log.info("database.upgraded", before=before or "nothing", after=after)
    compose()
    db = Database(settings.database_url, pool_size=1)
    try:
        if demo:
            await demo_people(db, settings)
        else:
            await first_admin(db)
    finally:
        await db.close()


def upgrade(settings: Settings) -> None:
    """Upgrade the database and print from which revision to which."""
    with in_use(settings.data_dir):
        before, after = asyncio.run(prepare(settings))
    if before == after:
        print(f"The database is up to date ({after}).")
    else:
        print(f"The database was upgraded from {before or 'nothing'} to {after}.")


def backup(settings: Settings, file: Path) -> None:
    """Write a backup to ``file`` and print its size."""
    from pbxcrm.upkeep.backup import back_up

    with in_use(settings.data_dir):
        asyncio.run(back_up(settings, file))
    print(f"Written: {file} ({file.stat().st_size / 1e6:.1f} MB). It holds no secrets of the settings file.")


def restore(settings: Settings, file: Path, *, overwrite: bool) -> None:
    """Restore a backup from ``file``. Raises Conflict while any part runs here, and what ``upkeep.backup.restore`` raises."""
    from pbxcrm.upkeep.backup import restore as put_back
    from pbxcrm.upkeep.backup import sqlite_path

    with unused(settings.data_dir):
        had = settings.is_sqlite and sqlite_path(settings).exists()
        revision = asyncio.run(put_back(settings, file, overwrite=overwrite))
    kept = " What was there before is kept beside it, with .before-restore in its name." if had else ""
    print(f"Restored from {file} (database at {revision}).{kept} Start pbxcrm again.")
