"""The data of a digest: burning lamps, lamps due today, overdue tasks; for a manager also by seller."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import leads
from pbxcrm.checkpoints import burning_queries
from pbxcrm.checkpoints.burning_queries import ListedLamp
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User
from pbxcrm.people.queries import viewer_of
from pbxcrm.tasks.models import Task, is_open
from pbxcrm.tasks.queries import overdue_count, own_day

MOST = 10  # rows of each kind; of the rest only the number is shown


@dataclass(frozen=True, slots=True)
class SellerLine:
    """The numbers of burning and soon due lamps of one person, for a manager."""

    name: str
    burns: int
    lights: int


@dataclass(frozen=True, slots=True)
class DigestFacts:
    """``language`` is a code; empty: the default language. The lists hold at most ``MOST`` rows; the numbers count all."""

    user_id: int
    name: str
    email: str
    language: str
    day: date
    timezone: ZoneInfo
    now: datetime
    burns: int
    burning: list[ListedLamp]
    lights: int
    lighting: list[ListedLamp]
    overdue: int
    tasks: list[Task]
    by_seller: list[SellerLine]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to report; then no e-mail is sent."""
        return not (self.burns or self.lights or self.overdue)


async def load_digest(
    session: AsyncSession, people: Directory, user: User, day: date, timezone: ZoneInfo, now: datetime
) -> DigestFacts:
    """The data for the user's digest of ``day``, over what the user may see; lines by seller for managers and administrators."""
    viewer, user_id = await viewer_of(session, user), user.id or 0
    midnight = datetime.combine(day + timedelta(days=1), time.min, timezone)
    burns = await burning_queries.burning_by_owner(session, viewer)
    soon = (await burning_queries.lighting(session, viewer, now, midnight, midnight)).by_owner
    lights = {owner_id: each.all for owner_id, each in soon.items()}
    tasks = await session.exec(
        select(Task)
        .where(is_open(), col(Task.due_at) <= now, *own_day(viewer))
        .order_by(col(Task.due_at), col(Task.id))
        .limit(MOST)
    )
    by_seller: list[SellerLine] = []
    if leads(user.role):
        burn, light = Counter(burns), Counter(lights)
        owners = sorted(burn.keys() | light.keys(), key=lambda owner: (-burn[owner], -light[owner], owner or 0))
        by_seller = [SellerLine(people.name(owner) if owner else "", burn[owner], light[owner]) for owner in owners]
    return DigestFacts(
        user_id=user_id,
        name=user.name,
        email=user.email,
        language=user.language,
        day=day,
        timezone=timezone,
        now=now,
        burns=sum(burns.values()),
        burning=await burning_queries.rows_burning(session, viewer, limit=MOST),
        lights=sum(lights.values()),
        lighting=await burning_queries.rows_lighting(session, viewer, now, midnight, limit=MOST),
        overdue=await overdue_count(session, viewer, now),
        tasks=list(tasks.all()),
        by_seller=by_seller,
    )
