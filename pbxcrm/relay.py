"""Carrying what a commit put into the outbox to Redis right after it.

What a process has just committed it publishes from memory, and forgets the rows a little later, many in one transaction:
on SQLite a card would otherwise wait for the lock of whoever writes next. What nobody forgot in time (the process died,
Redis was away) the worker carries. Whoever misses a message asks for the state again, so nothing is lost, it only comes later.
"""

import asyncio

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from pbxcrm.db import Database
from pbxcrm.events import RELAY_AT_ONCE, Said, forget, newest, publish, relay

log = structlog.get_logger()
PUBLISH_SECONDS = 0.25  # a Redis that takes longer is away
FORGET_SECONDS = 0.3
REST_SECONDS = 1.0  # after a failure, and between two looks at what others left behind


class Relay:
    """One a process; ``run`` must be running."""

    def __init__(self, db: Database, redis: Redis) -> None:
        self.db = db
        self.redis = redis
        self._published: list[int] = []
        self._away = False
        self._again_at = 0.0  # by the clock of the event loop: until then Redis is left alone
        db.after_commit = self.say

    async def say(self, rows: list[Said]) -> None:
        """Publish what was just committed. The one who commits waits for it, but hardly: a task of its own would need several
        turns of a loop whose next batch takes each of them some milliseconds.
        """
        clock = asyncio.get_running_loop().time
        if clock() < self._again_at:
            return  # the worker carries them
        try:
            await asyncio.wait_for(publish(self.redis, rows), PUBLISH_SECONDS)
        except (RedisError, OSError) as error:  # also a TimeoutError
            self._again_at = clock() + REST_SECONDS
            self._say_away(error)
        else:
            self._say_back()
            self._published += [row.id for row in rows]

    async def run(self) -> None:
        """Forget what this process has published, until cancelled."""
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
            log.warning("redis.away", why=str(error), hint="Pages refresh late until it is back; nothing is lost.")
        self._away = True

    def _say_back(self) -> None:
        if self._away:
            log.info("relay.back")
        self._away = False
