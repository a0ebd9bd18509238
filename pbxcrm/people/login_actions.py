"""Log-in and change of one's own password: the actions that check a password.

Each has three steps: read, check the password without an open transaction (argon2 takes some 60 ms), write. The data may
change meanwhile, so the write step checks it again.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.people.actions import end_access
from pbxcrm.people.login_throttle import check_throttle, note_failure
from pbxcrm.people.models import FailedLogin, LoginSession, User
from pbxcrm.people.passwords import hash_password, password_matches
from pbxcrm.people.queries import access_self, get_user_by_login, token_hash
from pbxcrm.people.rules import SESSION_LIFE
from pbxcrm.shared.db import Database, lock
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import cut


async def log_in(
    db: Database, login: str, password: str, ip: str, user_agent: str, now: datetime, device: str = ""
) -> tuple[str | None, User | None]:
    """The token of a new session and its user; (None, None) if login or password is wrong. Raises TooManyAttempts.
    ``device`` is the browser's own token, by which it is recognised after a log-out; empty if it has none.

    Of many simultaneous attempts only as many are answered as the throttle allows: it is checked again, one attempt after
    the other, before the result of the password check is used.
    """
    login = cut(login.strip().lower(), FailedLogin.login)
    async with db.read() as session:
        user = await get_user_by_login(session, login)
        attempt = _Attempt(login, cut(ip, FailedLogin.ip), device, now)
        await attempt.check(session, user)
    checked = user.password_hash if user is not None else None
    right = await password_matches(password, checked, whose=ip)
    async with db.write() as session:
        await _one_at_a_time(session, (f"login:{login}", f"login-from:{ip}"))
        user = await get_user_by_login(session, login)
        await attempt.check(session, user)
        if user is None or not right or not user.is_active or user.password_hash != checked:
            note_failure(session, login=login, ip=attempt.ip, device=device, now=now)
            return None, None
        return await _open_session(session, user, attempt, user_agent), user


@dataclass(frozen=True, slots=True)
class _Attempt:
    login: str
    ip: str
    device: str
    now: datetime

    async def check(self, session: AsyncSession, user: User | None) -> None:
        """Raise TooManyAttempts if the throttle stops this attempt."""
        user_id = user.id if user is not None else None
        await check_throttle(session, login=self.login, user_id=user_id, ip=self.ip, device=self.device, now=self.now)


async def change_password(db: Database, viewer: Viewer, *, old: str, new: str, now: datetime) -> None:
    """Change one's own password; log out all other browsers and revoke the API tokens. Raises Invalid for ``old`` or ``new``."""
    async with db.read() as session:
        checked = (await access_self(session, viewer)).password_hash
    if not await password_matches(old, checked):
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
        await end_access(session, viewer.user_id, now, but=viewer.session_id)
        record(session, now, "user.password", "user", viewer.user_id, actor=viewer)


async def _open_session(session: AsyncSession, user: User, attempt: _Attempt, user_agent: str) -> str:
    assert user.id is not None
    # Failures from other addresses stay: a guesser must not start over each time the user logs in.
    await session.exec(
        delete(FailedLogin).where(col(FailedLogin.login) == user.login, col(FailedLogin.ip) == attempt.ip)
    )
    token = secrets.token_urlsafe(32)
    session.add(
        LoginSession(
            token_hash=token_hash(token),
            user_id=user.id,
            created_at=attempt.now,
            expires_at=attempt.now + SESSION_LIFE,
            ip=attempt.ip,
            device_hash=token_hash(attempt.device) if attempt.device else "",
            user_agent=cut(user_agent, LoginSession.user_agent),
        )
    )
    return token


async def _one_at_a_time(session: AsyncSession, keys: Iterable[str]) -> None:
    """Serialise attempts on one login and from one address; always in this order, which avoids deadlocks."""
    for key in keys:
        await lock(session, key)


def _wrong() -> Invalid:
    return Invalid("old", "people.password_wrong", "This is not your present password.")
