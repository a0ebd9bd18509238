"""Giving up on a database that hangs: after three seconds the answer says that the database is away.

The request runs in a task of its own. When its work with the database (``pbxcrm.shared.db.WAITING``) takes too long, the task is
cancelled and not waited for: closing a session waits for the very query that hangs.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from pbxcrm.shared.db import WAITING, Wait

PATIENCE_SECONDS = 3.0
LOOKS = 10  # checks in this time
_given_up: set[asyncio.Task[Any]] = set()  # until the database lets go of them


class DatabaseHangs(SQLAlchemyError):
    """The database accepted a query and does not answer it."""


async def patiently(work: Callable[[], Coroutine[Any, Any, None]], *, started: Callable[[], bool]) -> None:
    """Do ``work``. Raises DatabaseHangs if the database keeps it waiting too long before the answer has ``started``."""
    loop, wait = asyncio.get_running_loop(), Wait()
    token = WAITING.set(wait)
    try:
        task = loop.create_task(work())
    finally:
        WAITING.reset(token)
    try:
        ticks, seen = 0, None
        while not started() and not (await asyncio.wait({task}, timeout=PATIENCE_SECONDS / LOOKS))[0]:
            # Counted in checks, not by the clock: a busy event loop must not count as a hanging database.
            ticks = ticks + 1 if wait.since is not None and wait.since == seen else 0
            seen = wait.since
            if ticks >= LOOKS:
                _given_up.add(task)
                task.add_done_callback(_forget)
                task.cancel()
                raise DatabaseHangs(f"no answer for {PATIENCE_SECONDS:.0f} s")
        await task
    except asyncio.CancelledError:
        task.cancel()
        raise


def _forget(task: asyncio.Task[Any]) -> None:
    _given_up.discard(task)
    if not task.cancelled():
        task.exception()  # read the exception, or asyncio would log it
