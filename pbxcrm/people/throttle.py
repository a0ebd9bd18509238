"""Slowing a guesser down without locking those out who prove themselves.

Wrong passwords are rows (``FailedLogin``), so all web processes count the same. Who guesses is met by one of three limits:

- a login from one address: ten wrong ones in a quarter of an hour, thirty where this person has logged in from there before;
- a login from anywhere: thirty in an hour, for a guesser with many addresses;
- an address: fifty in a quarter of an hour; then only logins that have not been tried from there are still heard.

Who comes with the cookie of a browser that has logged in as this person is counted by that browser alone: nobody else's
wrong passwords keep them out. Who comes from an address where this person was before is kept out by wrong ones from there
only. So neither five wrong passwords of anybody lock a person, nor twenty an office.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.people.models import FailedLogin, LoginSession
from pbxcrm.people.queries import token_hash
from pbxcrm.shared.errors import TooManyAttempts

WINDOW = timedelta(minutes=15)
ACCOUNT_WINDOW = timedelta(hours=1)  # the longest look back
PER_PAIR = 10  # of a login from an address
PER_PAIR_AT_HOME = 30  # where this person has logged in from this address before
PER_ACCOUNT = 30
PER_ADDRESS = 50
PER_DEVICE = 10


async def check_throttle(
    session: AsyncSession, *, login: str, user_id: int | None, ip: str, device: str, now: datetime
) -> None:
    """Raises TooManyAttempts. ``user_id`` is of whose login it is, None of nobody's; ``device`` the browser's own token or empty."""
    if device and await _knows_device(session, user_id, device):
        mine = (col(FailedLogin.login) == login) & (col(FailedLogin.device_hash) == token_hash(device))
        if not await _wait(session, mine, PER_DEVICE, WINDOW, now):
            return
    at_home = await _is_home(session, user_id, ip)
    pair = (col(FailedLogin.login) == login) & (col(FailedLogin.ip) == ip)
    wait = await _wait(session, pair, PER_PAIR_AT_HOME if at_home else PER_PAIR, WINDOW, now)
    if not at_home:
        wait = max(wait, await _wait(session, col(FailedLogin.login) == login, PER_ACCOUNT, ACCOUNT_WINDOW, now))
        if await _wait(session, pair, 1, WINDOW, now):
            wait = max(wait, await _wait(session, col(FailedLogin.ip) == ip, PER_ADDRESS, WINDOW, now))
    if wait:
        raise TooManyAttempts(
            "login.throttled", "Too many wrong passwords. Try again in {retry_after} s.", retry_after=wait
        )


def note_failure(session: AsyncSession, *, login: str, ip: str, device: str, now: datetime) -> None:
    """Remember a wrong password, so that ``check_throttle`` counts it."""
    session.add(FailedLogin(login=login, ip=ip, device_hash=token_hash(device) if device else "", at=now))


async def _wait(
    session: AsyncSession, condition: ColumnElement[bool] | bool, limit: int, window: timedelta, now: datetime
) -> int:
    """Seconds until there are fewer than ``limit`` failures in the window; 0 when there are."""
    since = now - window
    found = await session.exec(
        select(FailedLogin.at)
        .where(condition, FailedLogin.at > since)
        .order_by(col(FailedLogin.at).desc())
        .limit(limit)
    )
    failures = found.all()
    return int((failures[-1] - since).total_seconds()) + 1 if len(failures) >= limit else 0


async def _knows_device(session: AsyncSession, user_id: int | None, device: str) -> bool:
    return await _has_session(session, user_id, col(LoginSession.device_hash) == token_hash(device))


async def _is_home(session: AsyncSession, user_id: int | None, ip: str) -> bool:
    return await _has_session(session, user_id, col(LoginSession.ip) == ip)


async def _has_session(session: AsyncSession, user_id: int | None, condition: ColumnElement[bool]) -> bool:
    """Also one that has ended since: they are kept for a month."""
    if user_id is None:
        return False
    found = await session.exec(select(LoginSession.id).where(LoginSession.user_id == user_id, condition).limit(1))
    return found.first() is not None
