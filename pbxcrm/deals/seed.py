"""The first data of a new installation: one pipeline (``funnel_templates``), and a calendar with a working week.

The stage names are English and translated when shown, until an administrator renames them.
"""

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.models import Calendar, CalendarSpan
from pbxcrm.deals.models import Pipeline
from pbxcrm.deals.pipeline_actions import seed_pipeline


async def seed(session: AsyncSession, timezone: str) -> None:
    """Create the first pipeline and calendar if there are none. It is called at every start."""
    if (await session.exec(select(Pipeline.id).limit(1))).first() is None:
        await seed_pipeline(session)
    if (await session.exec(select(Calendar.id).limit(1))).first() is None:
        calendar = Calendar(name="Office", timezone=timezone, is_default=True)
        session.add(calendar)
        await session.flush()
        assert calendar.id is not None
        for weekday in range(5):
            session.add(CalendarSpan(calendar_id=calendar.id, weekday=weekday, start_minute=9 * 60, end_minute=18 * 60))
    await session.flush()
