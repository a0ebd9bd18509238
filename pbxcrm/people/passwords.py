"""Hashing passwords with argon2, in a thread and two at a time: each takes 64 MB and a core, and a flood must not take them all."""

import asyncio
import secrets

from pwdlib import PasswordHash

LONGEST = 1000  # letters; a longer one would only keep the processor busy

hasher = PasswordHash.recommended()
_at_once = asyncio.Semaphore(2)
_nobody: str | None = None


async def hash_password(password: str) -> str:
    async with _at_once:
        return await asyncio.to_thread(hasher.hash, password)


async def matches(password: str, hashed: str | None) -> bool:
    """Whether the password is right; as slow for a login that does not exist (``hashed`` None) as for a wrong password."""
    against = hashed if hashed is not None else await _nobodys()
    async with _at_once:
        right = await asyncio.to_thread(hasher.verify, password[:LONGEST], against)
    return right and hashed is not None


async def _nobodys() -> str:
    global _nobody  # noqa: PLW0603 - made once a process; it guards nothing
    if _nobody is None:
        _nobody = await hash_password(secrets.token_urlsafe(16))
    return _nobody
