"""What a new installation begins with: one pipeline, as the articles describe it, and a working week.

The stage names are English here and translated when shown, until an administrator renames them.
"""

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.models import Calendar, CalendarSpan
from pbxcrm.deals.models import Pipeline, Stage, StageKind
from pbxcrm.shared.reasons import N_

DAY = 9 * 60  # working minutes

# name, kind, probability in percent, norm in working minutes
STAGES: tuple[tuple[str, StageKind, int, int | None], ...] = (
    (N_("New request"), StageKind.OPEN, 10, 60),
    (N_("Unsorted"), StageKind.UNSORTED, 5, None),
    (N_("Didn't reach"), StageKind.DIDNT_REACH, 5, None),
    (N_("Call held"), StageKind.OPEN, 20, 2 * DAY),
    (N_("Proposal sent"), StageKind.OPEN, 40, 3 * DAY),
    (N_("Invoice issued"), StageKind.OPEN, 60, 5 * DAY),
    (N_("Invoice agreed"), StageKind.OPEN, 75, 3 * DAY),
    (N_("Prepayment received"), StageKind.OPEN, 90, 5 * DAY),
    (N_("Shipped"), StageKind.OPEN, 95, 5 * DAY),
    (N_("Received"), StageKind.WON, 100, None),
    (N_("Lost"), StageKind.LOST, 0, None),
)
PIPELINE = N_("New business")


async def seed(session: AsyncSession, timezone: str) -> None:
    """Make the first pipeline and calendar where there is none; safe to call at every start."""
    if (await session.exec(select(Pipeline.id).limit(1))).first() is None:
        pipeline = Pipeline(name=PIPELINE, is_default=True)
        session.add(pipeline)
        await session.flush()
        assert pipeline.id is not None
        for position, (name, kind, probability, norm) in enumerate(STAGES):
            session.add(
                Stage(
                    pipeline_id=pipeline.id,
                    name=name,
                    kind=kind.value,
                    position=position,
                    probability=probability,
                    norm_minutes=norm,
                )
            )
    if (await session.exec(select(Calendar.id).limit(1))).first() is None:
        calendar = Calendar(name="Office", timezone=timezone, is_default=True)
        session.add(calendar)
        await session.flush()
        assert calendar.id is not None
        for weekday in range(5):
            session.add(CalendarSpan(calendar_id=calendar.id, weekday=weekday, start_minute=9 * 60, end_minute=18 * 60))
    await session.flush()
