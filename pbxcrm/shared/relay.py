"""Publishes the hints of a commit to Redis right after it, without making the committing code wait.

Each process publishes its own hints from memory and deletes their outbox rows a little later, many in one transaction:
on SQLite a deletion at once would make a card wait for the next writer's lock. The worker publishes rows that remain (the process
died, or Redis was unavailable). A browser that missed a hint reloads the state, so nothing is lost, only late.
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
REST_SECONDS = 1.0  # the worker's pause between two passes over the outbox


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
        """For ``Database.after_commit``: queue the hints for publishing; does not wait for Redis."""
        self._said += rows
        self._awake.set()

    async def run(self) -> None:
        """Publish the hints of this process until cancelled."""
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
        """For the worker: in each pass publish the rows that were in the outbox at the previous pass. Runs until cancelled."""
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
