"""Hashes passwords with argon2, in threads, at most two at a time: each needs 64 MB and a core, so a flood is limited.
The queue is limited, and one address cannot fill it.

Never hash inside a write transaction: on SQLite nobody else could write for those 60 ms.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from pwdlib import PasswordHash

from pbxcrm.people.rules import PASSWORD_MAX, check_password
from pbxcrm.shared.errors import TooManyAttempts

MOST_WAITING = 100  # three seconds of work
MOST_OF_ONE = 50  # from one address: an office in the morning

hasher = PasswordHash.recommended()
_two = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
_nobody: str | None = None
_queue: Counter[str] = Counter()  # waiting and running hashes by address


async def hash_password(password: str) -> str:
    """The hash of a new password. Raises Invalid if it is too short or too long, TooManyAttempts if too many wait."""
    check_password(password)
    with _in_queue(""):
        return await asyncio.get_running_loop().run_in_executor(_two, hasher.hash, password)


async def password_matches(password: str, hashed: str | None, whose: str = "") -> bool:
    """Whether the password is right. An unknown login (``hashed`` None) takes as long as a wrong password.

    ``whose`` is the address it comes from. Raises TooManyAttempts if too many wait, in total or from this address.
    """
    with _in_queue(whose):
        nobodys = (
            await _nobodys()
        )  # made for known logins too, else the first unknown login of a process would be slower
        against = nobodys if hashed is None else hashed
        right = await asyncio.get_running_loop().run_in_executor(_two, hasher.verify, password[:PASSWORD_MAX], against)
    return right and hashed is not None


@contextmanager
def _in_queue(whose: str) -> Iterator[None]:
    if _queue.total() >= MOST_WAITING or (whose and _queue[whose] >= MOST_OF_ONE):
        raise TooManyAttempts(
            "login.busy", "Many people are logging in right now. Try again in {retry_after} s.", retry_after=3
        )
    _queue[whose] += 1
    try:
        yield
    finally:
        _queue[whose] -= 1
        if not _queue[whose]:
            del _queue[whose]


async def _nobodys() -> str:
    global _nobody  # noqa: PLW0603 - made once per process; it guards nothing
    if _nobody is None:
        word = secrets.token_urlsafe(16)
        _nobody = await asyncio.get_running_loop().run_in_executor(_two, hasher.hash, word)
    return _nobody
