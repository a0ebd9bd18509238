"""Logging in, and changing one's own password: what needs a password checked.

Each is three steps: read, check the password with no transaction open (it takes argon2 some 60 ms), write. What was read may
have changed meanwhile, so the writing step looks again.
"""

import secrets
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.people.actions import revoke_sessions
from pbxcrm.people.models import FailedLogin, LoginSession, User
from pbxcrm.people.passwords import hash_password, matches
from pbxcrm.people.queries import access_self, get_user_by_login, token_hash
from pbxcrm.people.rules import FAILURES_PER_ADDRESS, FAILURES_PER_LOGIN, SESSION_LIFE, THROTTLE_WINDOW
from pbxcrm.shared.db import Database, lock
from pbxcrm.shared.errors import Invalid, TooManyAttempts


async def log_in(
    db: Database, login: str, password: str, ip: str, user_agent: str, now: datetime
) -> tuple[str | None, User | None]:
    """The token of a new session and its user; (None, None) when login or password is wrong. Raises TooManyAttempts.

    Of many attempts at once only as many are answered as the throttle allows: it is asked again, one attempt after the
    other, before anybody hears whether the password was right.
    """
    login, ip = login.strip().lower()[:64], ip[:64]
    async with db.read() as session:
        await _check_throttle(session, login, ip, now)
        user = await get_user_by_login(session, login)
    checked = user.password_hash if user is not None else None
    right = await matches(password, checked)
    async with db.write() as session:
        await _one_at_a_time(session, (f"login:{login}", f"login-from:{ip}"))
        await _check_throttle(session, login, ip, now)
        user = await get_user_by_login(session, login)
        if user is None or not right or not user.is_active or user.password_hash != checked:
            session.add(FailedLogin(login=login, ip=ip, at=now))
            return None, None
        return await _open_session(session, user, ip, user_agent, now), user


async def change_password(db: Database, viewer: Viewer, *, old: str, new: str, now: datetime) -> None:
    """Change one's own password; every other browser is logged out. Raises Invalid for ``old`` or ``new``."""
    async with db.read() as session:
        checked = (await access_self(session, viewer)).password_hash
    if not await matches(old, checked):
        raise _wrong()
    try:
        hashed = await hash_password(new)
    except Invalid as error:
        raise Invalid("new", error.code, error.message, **error.params) from error
    async with db.write() as session:
        user = await access_self(session, viewer)
        if user.password_hash != checked:
            raise _wrong()
        user.password_hash = hashed
        await revoke_sessions(session, viewer.user_id, now, but=viewer.session_id)
        record(session, now, "user.password", "user", viewer.user_id, actor=viewer)


async def _open_session(session: AsyncSession, user: User, ip: str, user_agent: str, now: datetime) -> str:
    assert user.id is not None
    await session.exec(delete(FailedLogin).where(col(FailedLogin.login) == user.login))
    token = secrets.token_urlsafe(32)
    session.add(
        LoginSession(
            token_hash=token_hash(token),
            user_id=user.id,
            created_at=now,
            expires_at=now + SESSION_LIFE,
            ip=ip,
            user_agent=user_agent[:300],
        )
    )
    return token


async def _one_at_a_time(session: AsyncSession, keys: Iterable[str]) -> None:
    """Attempts on one login, and those from one address, one after the other; always in this order, so none waits in a circle."""
    for key in keys:
        await lock(session, key)


async def _check_throttle(session: AsyncSession, login: str, ip: str, now: datetime) -> None:
    since = now - THROTTLE_WINDOW
    for condition, limit in (
        (FailedLogin.login == login, FAILURES_PER_LOGIN),
        (FailedLogin.ip == ip, FAILURES_PER_ADDRESS),
    ):
        found = await session.exec(
            select(FailedLogin.at)
            .where(condition, FailedLogin.at > since)
            .order_by(col(FailedLogin.at).desc())
            .limit(limit)
        )
        failures = found.all()
        if len(failures) >= limit:
            wait = int((failures[-1] - since).total_seconds()) + 1
            raise TooManyAttempts(
                "login.throttled", "Too many wrong passwords. Try again in {retry_after} s.", retry_after=wait
            )


def _wrong() -> Invalid:
    return Invalid("old", "people.password_wrong", "This is not your present password.")
