"""Who stands in for whom now: written into the people when a leave begins or ends, so that everything that asks whose rows are whose
knows it without a clock (``access.owners``).

It compares what is stored with the leaves, so it does not matter what began or ended, or whether a worker was down. Twice changes nothing.
"""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import load_calendars
from pbxcrm.people.actions import say_people_changed
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.shared.db import Database


async def follow_stand_ins(session: AsyncSession, at: datetime) -> None:
    """Write who does the work of whom at that time."""
    await session.flush()
    differing = await _differing(session, at)
    if not differing:
        return
    for user in (await session.exec(select(User).where(col(User.id).in_(differing)).order_by(col(User.id)))).all():
        user.stood_in_by_id = differing[user.id or 0]
    await session.flush()
    say_people_changed(session, at)


async def follow_stand_ins_now(db: Database, at: datetime) -> None:
    """The same in a transaction of its own, which it opens only if something differs."""
    async with db.read() as session:
        if not await _differing(session, at):
            return
    async with db.write() as session:
        await follow_stand_ins(session, at)


async def person_changed(session: AsyncSession, _user_id: int, at: datetime, _begin_now: bool) -> None:
    """A person has left or has come back, who may be a deputy."""
    await follow_stand_ins(session, at)


async def _differing(session: AsyncSession, at: datetime) -> dict[int, int | None]:
    """User id -> who stands in for them at that time (None: nobody), where another one is stored."""
    people = await load_directory(session)
    calendars = await load_calendars(session, people)
    now = {user_id: calendars.acting(user_id, at) for user_id in people.users}
    deputies = {user_id: None if acting == user_id else acting for user_id, acting in now.items()}
    return {user_id: deputy for user_id, deputy in deputies.items() if people.users[user_id].stood_in_by_id != deputy}
