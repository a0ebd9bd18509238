"""Carrying what is in the outbox to Redis right after each commit, without making the one who commits wait.

Whoever misses a message asks for the state again, and the worker carries what was left behind; so while Redis is away
nothing is lost, it only comes later.
"""

import asyncio

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from pbxcrm.db import Database
from pbxcrm.events import RELAY_AT_ONCE, relay

log = structlog.get_logger()
REST_SECONDS = 1.0  # after a failure


class Relay:
    """One task a process. ``Database.after_commit`` is its ``wake``; several commits in a row make one round."""

    def __init__(self, db: Database, redis: Redis) -> None:
        self.db = db
        self.redis = redis
        self._awake = asyncio.Event()
        self._away = False
        db.after_commit = self.wake

    async def wake(self) -> None:
        self._awake.set()

    async def run(self) -> None:
        """Carry until cancelled."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            if not await self.carry():
                await asyncio.sleep(REST_SECONDS)
                self._awake.set()

    async def carry(self) -> bool:
        """Carry everything there is; False when Redis or the database is away. Said once, not each time."""
        try:
            while await relay(self.db, self.redis) == RELAY_AT_ONCE:
                pass
        except (RedisError, OSError) as error:
            if not self._away:
                log.warning("redis.away", why=str(error), hint="Pages refresh late until it is back; nothing is lost.")
            self._away = True
            return False
        except SQLAlchemyError as error:
            if not self._away:
                log.warning("relay.database_away", why=str(getattr(error, "orig", None) or error))
            self._away = True
            return False
        if self._away:
            log.info("relay.back")
        self._away = False
        return True
