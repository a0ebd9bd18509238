"""People whose browsers are already logged in: most tests of pages are not about the form of the log-in."""

import secrets
from datetime import datetime

from sqlmodel import select

from pbxcrm.people.models import LoginSession, User
from pbxcrm.people.queries import token_hash
from pbxcrm.people.rules import SESSION_LIFE
from pbxcrm.shared.db import Database
from web.auth import COOKIE

#: Pages as they are: to compress and unpack them takes longer than to make some of them. Real browsers ask for them compressed (tests/e2e).
PLAIN = {"accept-encoding": "identity"}


async def logged_in(database: Database, login: str, now: datetime) -> dict[str, str]:
    """The cookie of a new session of this person, as the form gives it after four times the work."""
    token = secrets.token_urlsafe(32)
    async with database.write() as session:
        user_id = (await session.exec(select(User.id).where(User.login == login))).one()
        session.add(
            LoginSession(
                token_hash=token_hash(token),
                user_id=user_id or 0,
                created_at=now,
                expires_at=now + SESSION_LIFE,
                ip="127.0.0.1",
                user_agent="python-httpx2",
            )
        )
    return {COOKIE: token}
