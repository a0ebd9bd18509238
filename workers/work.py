"""The worker: sweeps deadlines each second, carries leftovers of the outbox, throws away what is old.

Two things drive it. arq does so while Redis is there, once a second over all workers. A plain loop does when nobody has
swept for more than a second: Redis away, arq restarting after Redis was, its queue full. Rows are claimed in the
database, so it never matters who was first.
"""

import asyncio
import sqlite3
from datetime import UTC, datetime

import structlog
from arq.worker import Worker
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.notices.sending import Post
from pbxcrm.people.actions import prune_logins
from pbxcrm.shared import background, events, jobs
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import PbxcrmError
from pbxcrm.shared.relay import Relay
from workers.settings import make_worker

log = structlog.get_logger()

SWEEP_SECONDS = 1.0
CHECKPOINT_SECONDS = 1.0
TIDY_SECONDS = 3600.0
DIGEST_SECONDS = 10.0
REDIS_REST = (0.5, 1.0, 2.0, 5.0)  # seconds before arq is started again


class Work:
    """What a worker does; ``run`` goes on until cancelled."""

    def __init__(self, db: Database, relay: Relay, redis_url: str, post: Post | None = None) -> None:
        """``post`` sends digests; None: no mail server is set."""
        self.db = db
        self.post = post
        self.redis_url = redis_url
        self.relay = relay
        self._sweeping = asyncio.Lock()
        self._swept_at = 0.0  # by the clock of the event loop
        self._away = False

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.relay.run())
            tasks.create_task(self.relay.carry_leftovers())
            tasks.create_task(self._each_second())
            tasks.create_task(self._checkpoint())
            tasks.create_task(self._tidy_each_hour())
            tasks.create_task(self._send_digests())
            tasks.create_task(self._arq())

    async def sweep(self) -> int:
        """Do what is due now."""
        async with self._sweeping:
            fired = await jobs.sweep(self.db, datetime.now(UTC))
            fired += await sweep_lamps(self.db, datetime.now(UTC))
            await background.work_on(self.db, datetime.now(UTC))
            self._swept_at = asyncio.get_running_loop().time()
        return fired

    async def sweep_or_say(self) -> int:
        """As ``sweep``; a database that is away is said in one line when it goes, and again when it is back."""
        try:
            fired = await self.sweep()
        except (SQLAlchemyError, PbxcrmError, OSError) as error:
            if not self._away:
                log.warning("database.away", why=str(getattr(error, "orig", None) or error))
            self._away = True
            return 0
        if self._away:
            log.info("database.back")
        self._away = False
        return fired

    async def tidy(self) -> None:
        """Throw away what is old: hints nobody heard, sessions and failed log-ins of long ago, deadlines done."""
        now = datetime.now(UTC)
        async with self.db.write() as session:
            await events.prune(session, now)
            await prune_logins(session, now)
            await jobs.prune(session, now)
            await background.prune(session, now)

    async def _tidy_each_hour(self) -> None:
        """Every worker for itself, whatever Redis does: what another one has thrown away is just not there any more."""
        while True:
            try:
                await self.tidy()
            except (SQLAlchemyError, PbxcrmError, OSError) as error:
                log.warning("tidy.failed", why=str(getattr(error, "orig", None) or error))
            await asyncio.sleep(TIDY_SECONDS)

    async def _send_digests(self) -> None:
        """Beside the sweep: a mail server that takes its time holds up no lamp."""
        while self.post is not None:
            try:
                await self.post.send_due(datetime.now(UTC))
            except (SQLAlchemyError, PbxcrmError, OSError) as error:
                log.warning("digests.failed", why=str(getattr(error, "orig", None) or error))
            await asyncio.sleep(DIGEST_SECONDS)

    async def _checkpoint(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            try:
                await self.db.checkpoint()
            except sqlite3.Error as error:  # a full disk, a file that is gone: whoever writes says so louder
                log.debug("checkpoint.failed", why=str(error))

    async def _each_second(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(max(0.05, self._swept_at + SWEEP_SECONDS - clock()))
            if clock() - self._swept_at < SWEEP_SECONDS:
                continue
            await self.sweep_or_say()
            if self._away:
                await asyncio.sleep(SWEEP_SECONDS)

    async def _arq(self) -> None:
        """Arq's own loop; it dies whenever Redis does, and is started again."""
        failures = 0
        while True:
            worker = make_worker(self.redis_url, self.sweep_or_say)
            started = asyncio.get_running_loop().time()
            try:
                await worker.async_run()
            except (RedisError, OSError, TimeoutError) as error:
                if asyncio.get_running_loop().time() - started > REDIS_REST[-1]:
                    failures = 0
                if failures == 0:
                    log.warning("queue.away", why=str(error), hint="Deadlines are swept without it.")
                failures += 1
                await asyncio.sleep(REDIS_REST[min(failures, len(REDIS_REST)) - 1])
            finally:
                await _end(worker)


async def _end(worker: Worker) -> None:
    """Stop what arq has running and close what it has open; a Redis that is away may refuse, which does not matter."""
    running = [task for task in (worker.main_task, *worker.tasks.values(), *worker.job_tasks.values()) if task]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    try:
        await worker.pool.aclose(close_connection_pool=True)
    except (RedisError, OSError, AttributeError):  # AttributeError: it never had a connection
        log.debug("queue.closed_badly")
