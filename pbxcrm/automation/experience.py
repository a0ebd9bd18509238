"""Who is experienced: whoever has won most. Only reads."""

from datetime import datetime, timedelta

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import Calendars
from pbxcrm.deals.models import Deal, StageKind
from pbxcrm.deals.queries import Funnel
from pbxcrm.people.directory import Directory

YEAR = timedelta(days=365)


async def most_experienced(
    session: AsyncSession, pipeline_id: int, funnel: Funnel, people: Directory, calendars: Calendars, now: datetime
) -> int | None:
    """The id of the person who has won most deals of this pipeline in a year, of those who are not on leave; of equals whoever won the
    larger sum. None: nobody has won any.
    """
    won = [each.id or 0 for each in funnel.stages.values() if each.kind == StageKind.WON]
    known = (col(Deal.stage_id).in_(won), col(Deal.merged_into_id).is_(None), col(Deal.closed_at) > now - YEAR)
    owner = col(Deal.responsible_id)
    query = select(owner).where(*known, Deal.pipeline_id == pipeline_id, owner.is_not(None)).group_by(owner)
    ranked = query.order_by(func.count().desc(), func.sum(col(Deal.amount)).desc(), owner)
    for user_id in (await session.exec(ranked)).all():
        if user_id is not None and people.active(user_id) is not None and calendars.leave_of(user_id, now) is None:
            return user_id
    return None
