"""The sample company, smaller: what tests of figures count."""

from datetime import UTC, datetime

from pbxcrm.deals.seed import seed
from pbxcrm.demo.filling import fill
from pbxcrm.demo.people import PEOPLE
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings

SUNDAY_NIGHT = datetime(2026, 3, 8, 1, 30, tzinfo=UTC)
DEALS = 400


async def open_company(database: Database) -> None:
    """Fill a migrated database with the sample company, as at ``SUNDAY_NIGHT``."""
    settings = Settings()
    async with database.write() as session:
        await seed(session, settings.timezone)
    passwords = {person.login: "correct horse battery" for person in PEOPLE}
    await fill(database, settings, passwords, SUNDAY_NIGHT, deals=DEALS)
