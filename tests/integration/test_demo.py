"""The sample data: something to see at any hour, within minutes."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.calendars.queries import load_calendars
from pbxcrm.callbacks.queries import load_context
from pbxcrm.deals.models import Deal
from pbxcrm.deals.seed import seed
from pbxcrm.demo import NORM_MINUTES, PEOPLE, SAMPLES, fill
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings

SUNDAY_NIGHT = datetime(2026, 3, 8, 1, 30, tzinfo=UTC)


@pytest.fixture
def settings() -> Settings:
    return Settings()


async def test_who_waits_burns_soon_at_any_hour(sqlite_url: str, settings: Settings) -> None:
    db = Database(sqlite_url)
    async with db.write() as session:
        await seed(session, settings.timezone)
    await fill(db, settings, {person.login: "correct horse battery" for person in PEOPLE}, SUNDAY_NIGHT)
    async with db.read() as session:
        office = (await load_calendars(session, await load_directory(session))).default
        context = await load_context(session)
        titles = (await session.exec(select(Deal.title).order_by(col(Deal.title)))).all()
    await db.close()
    assert list(titles) == sorted(sample.title for sample in SAMPLES)
    assert context.norm == context.pause == NORM_MINUTES
    assert all(office.is_working(SUNDAY_NIGHT + timedelta(hours=hour)) for hour in range(24 * 8))
    morning = office.next_morning(SUNDAY_NIGHT).astimezone(office.timezone)
    assert (morning.weekday(), morning.hour, morning.minute) == (0, 9, 0)
