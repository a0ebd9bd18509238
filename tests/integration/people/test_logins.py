"""A password is checked while others write, and many guesses at once get no more answers than one after the other."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from pwdlib import PasswordHash
from sqlmodel import select

from pbxcrm.access import Viewer
from pbxcrm.people import passwords
from pbxcrm.people.login_actions import change_password, log_in
from pbxcrm.people.login_throttle import PER_PAIR
from pbxcrm.people.models import FailedLogin, LoginSession, User
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid, TooManyAttempts
from tests.office import PASSWORD, Office
from tests.waiting import until

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
NEW = "a new password"
T = TypeVar("T")


class WatchedHash(PasswordHash):
    """The real hasher, which counts and can be held in the middle of its work."""

    def __init__(self, real: PasswordHash) -> None:
        super().__init__(real.hashers)
        self.verified = 0
        self.hashed = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002 - the library's own name
        self.verified += 1
        assert self.go_on.wait(20)
        return super().verify(password, hash)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.hashed += 1
        return super().hash(password, salt=salt)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> WatchedHash:
    found = WatchedHash(passwords.hasher)
    monkeypatch.setattr(passwords, "hasher", found)
    return found


async def try_it(database: Database, login: str, password: str) -> tuple[str | None, User | None]:
    return await log_in(database, login, password, ip="10.0.0.7", user_agent="a browser", now=NOON)


async def viewer(database: Database, office: Office) -> Viewer:
    async with database.read() as session:
        return await office.viewer(session, "ivan")


async def held(watched: WatchedHash, work: Awaitable[T], meanwhile: Callable[[], Awaitable[None]]) -> T:
    """What ``work`` gives when ``meanwhile`` ran to its end during its checking of a password."""
    before = watched.verified
    watched.go_on.clear()
    task = asyncio.ensure_future(work)
    try:
        await until(lambda: watched.verified > before)
        await asyncio.wait_for(meanwhile(), 30)
    finally:
        watched.go_on.set()
    return await task


async def test_others_write_while_a_password_is_checked(
    database: Database, office: Office, watched: WatchedHash
) -> None:
    async def rename() -> None:
        async with database.write() as session:
            user = await session.get_one(User, office.id("petro"))
            user.name = "Renamed meanwhile"

    token, user = await held(watched, try_it(database, "ivan", PASSWORD), rename)
    assert token
    assert user
    assert user.login == "ivan"
    ivan = await viewer(database, office)
    changing = change_password(database, ivan, old=PASSWORD, new=NEW, now=NOON)
    await held(watched, changing, rename)
    assert (await try_it(database, "ivan", NEW))[0]


async def test_a_password_changed_while_it_is_checked_is_wrong(
    database: Database, office: Office, watched: WatchedHash
) -> None:
    hashed = await passwords.hash_password(NEW)

    async def change() -> None:
        async with database.write() as session:
            (await session.get_one(User, office.id("ivan"))).password_hash = hashed

    assert await held(watched, try_it(database, "ivan", PASSWORD), change) == (None, None)
    ivan = await viewer(database, office)
    stale = change_password(database, ivan, old=NEW, new="another one", now=NOON)
    hashed = await passwords.hash_password("a third password")
    with pytest.raises(Invalid, match="present password"):
        await held(watched, stale, change)


async def test_who_is_switched_off_meanwhile_stays_outside(
    database: Database, office: Office, watched: WatchedHash
) -> None:
    async def dismiss() -> None:
        async with database.write() as session:
            (await session.get_one(User, office.id("ivan"))).is_active = False

    assert await held(watched, try_it(database, "ivan", PASSWORD), dismiss) == (None, None)
    async with database.read() as session:
        assert (await session.exec(select(LoginSession))).all() == []


async def test_guesses_at_once_get_no_more_answers_than_one_after_the_other(
    database: Database, office: Office, watched: WatchedHash
) -> None:
    """All of them begin before any has failed; the right one among them is last and hears no more than the wrong ones."""
    watched.go_on.clear()
    guesses = [asyncio.ensure_future(try_it(database, "ivan", f"guess {number}")) for number in range(12)]
    await until(lambda: watched.verified > 0)
    guesses.append(asyncio.ensure_future(try_it(database, "ivan", PASSWORD)))
    watched.go_on.set()
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    assert answers.count((None, None)) == PER_PAIR
    assert isinstance(answers[-1], TooManyAttempts)
    assert sum(isinstance(answer, TooManyAttempts) for answer in answers) == 13 - PER_PAIR
    async with database.read() as session:
        assert len((await session.exec(select(FailedLogin))).all()) == PER_PAIR


async def test_an_unknown_login_costs_the_same_work_as_a_wrong_password(
    database: Database, office: Office, watched: WatchedHash, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = []
    for login in ("nobody", "ivan"):
        monkeypatch.setattr(passwords, "_nobody", None)  # as in a process that has just begun
        watched.verified = watched.hashed = 0
        assert await try_it(database, login, "wrong") == (None, None)
        spent.append((watched.verified, watched.hashed))
    assert spent == [(1, 1), (1, 1)]
