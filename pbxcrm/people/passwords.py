"""Hashing passwords with argon2, in threads and two at a time: each takes 64 MB and a core, and a flood must not take them all.

Never inside a writing transaction: on SQLite nobody else could write for those 60 ms.
"""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

from pwdlib import PasswordHash

from pbxcrm.people.rules import check_password

LONGEST = 1000  # letters; a longer one would only keep the processor busy

hasher = PasswordHash.recommended()
_two = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
_nobody: str | None = None


async def hash_password(password: str) -> str:
    """What is stored of a new password. Raises Invalid for one that is too short or too long."""
    check_password(password)
    return await asyncio.get_running_loop().run_in_executor(_two, hasher.hash, password)


async def matches(password: str, hashed: str | None) -> bool:
    """Whether the password is right; as slow for a login that does not exist (``hashed`` None) as for a wrong password."""
    nobodys = await _nobodys()  # for everybody: made for unknown logins only, the first of a process would be slower
    against = nobodys if hashed is None else hashed
    right = await asyncio.get_running_loop().run_in_executor(_two, hasher.verify, password[:LONGEST], against)
    return right and hashed is not None


async def _nobodys() -> str:
    global _nobody  # noqa: PLW0603 - made once a process; it guards nothing
    if _nobody is None:
        _nobody = await hash_password(secrets.token_urlsafe(16))
    return _nobody
