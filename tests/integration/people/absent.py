"""Managers of several kinds, and people who stand in for somebody, for tests of who sees what and hears of it."""

from datetime import timedelta

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.leave_actions import NewLeave, create_leave
from pbxcrm.people.actions import add_user
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import Team
from pbxcrm.people.passwords import hash_password
from tests.calls import NOON
from tests.office import Office


async def two_more_managers(session: AsyncSession, office: Office) -> None:
    """``vira`` is a manager in team Sales that another leads; ``pavlo`` leads a team he is not in; ``yurii`` is in no team."""
    hashed = await hash_password("correct horse")
    for login, role, team in (("vira", "manager", "Sales"), ("pavlo", "manager", None), ("yurii", "seller", None)):
        office.users[login] = await add_user(
            session, None, login=login, name=login.title(), role=role, password_hash=hashed, extensions=(), team=team, now=NOON
        )  # fmt: skip
    (await session.exec(select(Team).where(Team.name == "Other"))).one().manager_id = office.id("pavlo")


async def some_are_away(session: AsyncSession, office: Office) -> None:
    """A chain of deputies, which ends in another team; a manager for somebody of no team; a manager for one of another team."""
    admin, since = await office.viewer(session, "admin"), NOON - timedelta(hours=1)
    for login, deputy in (("ivan", "olena"), ("olena", "petro"), ("yurii", "oksana"), ("vira", "pavlo")):
        new = NewLeave(office.id(login), since, since + timedelta(hours=8), office.id(deputy))
        await create_leave(session, admin, new, now=since)
    people = await load_directory(session)
    assert people.stands_in_for(office.id("petro")) == tuple(sorted((office.id("ivan"), office.id("olena"))))
    assert people.stands_in_for(office.id("olena")) == ()
