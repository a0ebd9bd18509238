"""Slows down password guessing without locking out the real user.

Wrong passwords are rows (``FailedLogin``), so all web processes count the same. Three limits stop a guesser:

- a login from one address: ten wrong passwords in a quarter of an hour, thirty if the user has logged in from there before;
- a login from anywhere: thirty in an hour, for a guesser with many addresses;
- an address: fifty in a quarter of an hour; then only logins that were not tried from there before are accepted.

A browser that has logged in as this user before (known by its cookie) is counted alone: wrong passwords of others do not
block it. At an address where this user has logged in before, only wrong passwords from there count. So five wrong passwords
from anybody do not lock a user out, nor twenty an office.

Beyond a limit there is a slow lane: one attempt in ten seconds is still checked, and the right password gets in. A guesser gets
no more than that, for an account from all unknown addresses together; a user waits seconds, not a quarter of an hour.
"""

from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.people.models import FailedLogin, LoginSession
from pbxcrm.people.queries import token_hash
from pbxcrm.shared.errors import TooManyAttempts

WINDOW = timedelta(minutes=15)
ACCOUNT_WINDOW = timedelta(hours=1)  # the longest window
PER_PAIR = 10  # per login and address
PER_PAIR_AT_HOME = 30  # per login and address, if the user has logged in from there before
PER_ACCOUNT = 30
PER_ADDRESS = 50
PER_DEVICE = 10
SLOW_LANE = timedelta(seconds=10)  # beyond a limit: one wrong password in this time


async def check_throttle(
    session: AsyncSession, *, login: str, user_id: int | None, ip: str, device: str, now: datetime
) -> None:
    """Raise TooManyAttempts over a limit. ``user_id``: the owner of the login, or None; ``device``: the browser's token or ""."""
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
    """Record a wrong password, so that ``check_throttle`` counts it."""
    session.add(FailedLogin(login=login, ip=ip, device_hash=token_hash(device) if device else "", at=now))


async def _wait(
    session: AsyncSession, condition: ColumnElement[bool] | bool, limit: int, window: timedelta, now: datetime
) -> int:
    """Seconds until the next attempt is checked; 0 for now: fewer than ``limit`` failures in the window, or the slow lane is free."""
    since = now - window
    found = await session.exec(
        select(FailedLogin.at)
        .where(condition, FailedLogin.at > since)
        .order_by(col(FailedLogin.at).desc())
        .limit(limit)
    )
    failures = found.all()
    if len(failures) < limit:
        return 0
    wait = min(failures[-1] - since, failures[0] + SLOW_LANE - now, SLOW_LANE)  # the clocks of two machines may differ
    return max(0, ceil(wait.total_seconds()))


async def _knows_device(session: AsyncSession, user_id: int | None, device: str) -> bool:
    return await _has_session(session, user_id, col(LoginSession.device_hash) == token_hash(device))


async def _is_home(session: AsyncSession, user_id: int | None, ip: str) -> bool:
    return await _has_session(session, user_id, col(LoginSession.ip) == ip)


async def _has_session(session: AsyncSession, user_id: int | None, condition: ColumnElement[bool]) -> bool:
    """Whether the user has such a session, including ended ones, which are kept for a month."""
    if user_id is None:
        return False
    found = await session.exec(select(LoginSession.id).where(LoginSession.user_id == user_id, condition).limit(1))
    return found.first() is not None
