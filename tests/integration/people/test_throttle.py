"""A guesser is slowed down; whoever proves themselves gets in all the same. Two web processes count the same rows."""

from datetime import UTC, datetime, timedelta

import pytest

from pbxcrm.people import passwords
from pbxcrm.people.login_actions import log_in
from pbxcrm.people.login_throttle import PER_ACCOUNT, PER_ADDRESS, PER_DEVICE, PER_PAIR, PER_PAIR_AT_HOME, SLOW_LANE
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import TooManyAttempts
from tests.office import PASSWORD, Office

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
OFFICE, HOME, ELSEWHERE = "192.0.2.10", "198.51.100.7", "203.0.113.50"


class LoginDoor:
    """``tries`` says "in", "wrong" or "wait"; each is asked through a database of its own, as by another process."""

    def __init__(self, url: str) -> None:
        self.url, self.now = url, NOON

    async def tries(self, login: str, password: str, ip: str, device: str = "") -> str:
        db = Database(self.url, pool_size=1)
        try:
            token, _ = await log_in(db, login, password, ip=ip, user_agent="", now=self.now, device=device)
        except TooManyAttempts as error:
            return "wait" if error.retry_after > 0 else "?"
        finally:
            await db.close()
        return "in" if token else "wrong"

    async def guesses(self, count: int, login: str, ip: str, device: str = "") -> list[str]:
        return [await self.tries(login, f"guess {number}", ip, device) for number in range(count)]


@pytest.fixture
def door(office: Office, database_url: str) -> LoginDoor:
    return LoginDoor(database_url)


async def test_five_wrong_passwords_of_anybody_do_not_lock_a_person(door: LoginDoor) -> None:
    assert await door.guesses(5, "ivan", ELSEWHERE) == ["wrong"] * 5
    assert await door.tries("ivan", PASSWORD, OFFICE) == "in"
    assert await door.guesses(5, "petro", OFFICE) == ["wrong"] * 5
    assert await door.tries("petro", PASSWORD, OFFICE) == "in", "also from the same address"


async def test_a_guesser_has_to_wait_and_the_person_does_not(door: LoginDoor) -> None:
    assert await door.tries("ivan", PASSWORD, OFFICE, "his browser") == "in"
    assert await door.guesses(PER_PAIR + 3, "ivan", ELSEWHERE) == ["wrong"] * PER_PAIR + ["wait"] * 3
    assert await door.tries("ivan", PASSWORD, ELSEWHERE) == "wait", "the right guess hears no more than a wrong one"
    assert await door.tries("ivan", PASSWORD, OFFICE) == "in", "where he has been before"
    assert await door.tries("ivan", PASSWORD, HOME) == "in", "somewhere new"
    assert await door.tries("ivan", PASSWORD, ELSEWHERE, "his browser") == "in", "with the browser that is his"
    door.now += timedelta(minutes=16)
    assert await door.tries("ivan", PASSWORD, ELSEWHERE) == "in"


async def test_twenty_wrong_ones_do_not_lock_the_office(door: LoginDoor) -> None:
    for login in ("ivan", "petro", "nobody", "nobody2"):
        await door.guesses(PER_PAIR, login, OFFICE)
    assert await door.tries("oksana", PASSWORD, OFFICE) == "in"
    for number in range(20):
        await door.tries(f"nobody{number}", "x", OFFICE)
    assert await door.tries("maria", PASSWORD, OFFICE) == "in", "the first try of a login is always heard"
    assert await door.tries("oksana", "wrong", OFFICE) == "wrong"
    assert await door.tries("oksana", PASSWORD, OFFICE) == "in"


async def test_an_address_that_tries_every_login_gets_one_guess_each(door: LoginDoor) -> None:
    for number in range(PER_ADDRESS):
        assert await door.tries(f"nobody{number}", "x", ELSEWHERE) == "wrong"
    assert await door.guesses(2, "ivan", ELSEWHERE) == ["wrong", "wait"]


async def test_many_addresses_together_are_one_guesser(door: LoginDoor) -> None:
    assert await door.tries("ivan", PASSWORD, OFFICE, "his browser") == "in"
    answers = [await door.tries("ivan", "x", f"203.0.113.{number}") for number in range(PER_ACCOUNT + 2)]
    assert answers == ["wrong"] * PER_ACCOUNT + ["wait"] * 2
    door.now += timedelta(minutes=20)
    assert await door.tries("ivan", "x", "203.0.113.200") == "wrong", "the slow lane"
    assert await door.tries("ivan", "x", "203.0.113.201") == "wait", (
        "an hour, not a quarter, and one lane for all addresses"
    )
    assert await door.tries("ivan", PASSWORD, OFFICE) == "in"
    assert await door.tries("ivan", PASSWORD, HOME, "his browser") == "in"


async def test_the_right_password_gets_in_by_the_slow_lane(door: LoginDoor) -> None:
    """From a new browser at the very address of the guesser, who gets one wrong password in ten seconds."""
    await door.tries("ivan", PASSWORD, OFFICE)
    assert (await door.guesses(PER_PAIR_AT_HOME + 5, "ivan", OFFICE)).count("wrong") == PER_PAIR_AT_HOME
    heard = []
    for _ in range(30):
        door.now += timedelta(seconds=1)
        heard.append(await door.tries("ivan", "x", OFFICE))
    assert heard.count("wrong") == 3
    door.now += SLOW_LANE
    assert await door.tries("ivan", PASSWORD, OFFICE) == "in"


async def test_a_known_browser_is_no_free_way_in(door: LoginDoor) -> None:
    assert await door.tries("ivan", PASSWORD, OFFICE, "stolen") == "in"
    answers = await door.guesses(PER_DEVICE + PER_PAIR, "ivan", ELSEWHERE, "stolen")
    assert answers.count("wait") >= PER_PAIR
    answers = await door.guesses(PER_PAIR_AT_HOME + 1, "ivan", OFFICE)
    assert answers[-1] == "wait"
    assert await door.guesses(1, "petro", HOME, "stolen") == ["wrong"]


async def test_the_queue_before_the_hashes_has_an_end(
    door: LoginDoor, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MOST_OF_ONE", 2)
    with passwords._in_queue(ELSEWHERE), passwords._in_queue(ELSEWHERE):
        assert await door.tries("ivan", PASSWORD, ELSEWHERE) == "wait"
        assert await door.tries("ivan", PASSWORD, OFFICE) == "in"
        monkeypatch.setattr(passwords, "MOST_WAITING", 2)
        assert await door.tries("ivan", PASSWORD, OFFICE) == "wait"
    assert await door.tries("ivan", PASSWORD, ELSEWHERE) == "in"
