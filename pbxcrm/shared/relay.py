"""Carrying what a commit put into the outbox to Redis right after it, without making the one who commits wait.

What a process has just committed it publishes from memory, and forgets the rows a little later, many in one transaction:
on SQLite a card would otherwise wait for the lock of whoever writes next. What nobody forgot in time (the process died,
Redis was away) the worker carries. Whoever misses a message asks for the state again, so nothing is lost, it only comes later.
"""

import asyncio

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from pbxcrm.shared.db import Database
from pbxcrm.shared.events import RELAY_AT_ONCE, PublishedHint, forget, newest, publish, relay

log = structlog.get_logger()
FORGET_SECONDS = 0.3
REST_SECONDS = 1.0  # after a failure, and between two looks at what others left behind


class Relay:
    """One per process; ``run`` must be running, and ``Database.after_commit`` must be ``say``."""

    def __init__(self, db: Database, redis: Redis) -> None:
        self.db = db
        self.redis = redis
        self._said: list[PublishedHint] = []
        self._published: list[int] = []
        self._awake = asyncio.Event()
        self._away = False

    async def say(self, rows: list[PublishedHint]) -> None:
        """For ``Database.after_commit``: publish these soon; does not wait for Redis."""
        self._said += rows
        self._awake.set()

    async def run(self) -> None:
        """Publish what this process commits until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish())
            tasks.create_task(self._forget())

    async def _publish(self) -> None:
        while True:
            await self._awake.wait()
            self._awake.clear()
            rows, self._said = self._said, []
            try:
                await publish(self.redis, rows)
            except (RedisError, OSError) as error:
                self._say_away(error)  # and leave the rows to the worker
            else:
                self._say_back()
                self._published += [row.id for row in rows]

    async def _forget(self) -> None:
        while True:
            await asyncio.sleep(FORGET_SECONDS)
            if self._published:
                ids, self._published = self._published, []
                try:
                    await forget(self.db, ids)
                except (SQLAlchemyError, OSError) as error:
                    log.warning("relay.not_forgotten", count=len(ids), why=str(getattr(error, "orig", None) or error))

    async def carry_leftovers(self) -> None:
        """Again and again publish what was in the outbox already at the last look; until cancelled. The worker's duty."""
        seen = 0
        while True:
            try:
                while await relay(self.db, self.redis, up_to=seen) == RELAY_AT_ONCE:
                    pass
                seen = await newest(self.db)
            except (RedisError, OSError) as error:
                self._say_away(error)
            except SQLAlchemyError as error:
                if not self._away:
                    log.warning("relay.database_away", why=str(getattr(error, "orig", None) or error))
                self._away = True
            else:
                self._say_back()
            await asyncio.sleep(REST_SECONDS)

    def _say_away(self, error: Exception) -> None:
        if not self._away:
            why = str(error) or "no answer"
            log.warning("redis.away", why=why, hint="Pages refresh late until it is back; nothing is lost.")
        self._away = True

    def _say_back(self) -> None:
        if self._away:
            log.info("relay.back")
        self._away = False
