"""A small office in a test's database: two teams, an administrator and quality control."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.seed import seed
from pbxcrm.people.actions import add_user
from pbxcrm.people.models import Team, User
from pbxcrm.people.passwords import hash_password
from pbxcrm.people.queries import viewer_of
from pbxcrm.shared.db import Database

HIRED = datetime(2026, 1, 1, tzinfo=UTC)
PASSWORD = "correct horse"


@dataclass(frozen=True)
class Office:
    """People by login: ``ivan`` 101 and ``olena`` 102 are sellers in team Sales, led by ``maria`` 103; ``admin`` and ``kira`` (QC) have no
    phone; ``petro`` 201 is a seller in team Other, led by ``oksana`` 202."""

    users: dict[str, User]

    def __getitem__(self, login: str) -> User:
        return self.users[login]

    def id(self, login: str) -> int:
        found = self.users[login].id
        assert found is not None
        return found

    async def viewer(self, session: AsyncSession, login: str) -> Viewer:
        return await viewer_of(session, self.users[login])


STAFF = (
    ("admin", "Admin", "admin", (), None),
    ("maria", "Maria Manager", "manager", ("103",), "Sales"),
    ("ivan", "Ivan Kravets", "seller", ("101",), "Sales"),
    ("olena", "Olena Hryhorenko", "seller", ("102",), "Sales"),
    ("kira", "Kira Quality", "qc", (), None),
    ("oksana", "Oksana Other", "manager", ("202",), "Other"),
    ("petro", "Petro Other", "seller", ("201",), "Other"),
)


async def open_office(database: Database) -> Office:
    """Create the first pipeline and calendar, and all people of ``STAFF``."""
    users: dict[str, User] = {}
    hashed = await hash_password(PASSWORD)
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
        for login, name, role, extensions, team in STAFF:
            users[login] = await add_user(
                session,
                None,
                login=login,
                name=name,
                role=role,
                password_hash=hashed,
                extensions=extensions,
                team=team,
                now=HIRED,
            )
        for login, name in (("maria", "Sales"), ("oksana", "Other")):
            team_id = users[login].team_id
            assert team_id is not None
            found = await session.get(Team, team_id)
            assert found is not None
            assert found.name == name
            found.manager_id = users[login].id
    return Office(users)
