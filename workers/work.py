"""The worker: sweeps deadlines every second, runs rules, delivers leftovers of the outbox, sends digests and messages to clients, reads mailboxes, deletes old rows.

Two things start a sweep. arq does it while Redis is up, once per second over all workers. A plain loop does it when this
worker has not swept for more than a second: Redis is away, arq is restarting, or its queue is full. Rows are claimed in the
database, so it does not matter which comes first.
"""

import asyncio
import sqlite3
from datetime import UTC, datetime

import structlog
from arq.worker import Worker
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from pbxcrm.automation.hook_actions import prune_calls
from pbxcrm.automation.runner import CURRENCY, run_due
from pbxcrm.automation.runner import prune as prune_runs
from pbxcrm.checkpoints.sweep import say_stopped, sweep_lamps
from pbxcrm.checkpoints.zone_actions import follow_zones
from pbxcrm.files.queries import needed_hashes
from pbxcrm.files.store import Store
from pbxcrm.forms.mail_actions import MailPoll
from pbxcrm.forms.queries import held_hashes
from pbxcrm.messages.sender import MessageSender
from pbxcrm.notices.digest_actions import Post
from pbxcrm.people.actions import prune_logins
from pbxcrm.shared import background_jobs, events, timers
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import PbxcrmError
from pbxcrm.shared.relay import Relay
from workers.settings import make_worker

log = structlog.get_logger()

SWEEP_SECONDS = 1.0
CHECKPOINT_SECONDS = 1.0
TIDY_SECONDS = 3600.0
RULES_SECONDS = 0.5
DIGEST_SECONDS = 10.0
MAIL_SECONDS = 5.0
GOODBYE_SECONDS = 2.0  # a database that is away must not keep a worker from stopping
REDIS_REST = (0.5, 1.0, 2.0, 5.0)  # seconds of pause before arq is started again


class WorkLoop:
    """The tasks of one worker; ``run`` starts them."""

    def __init__(
        self,
        db: Database,
        relay: Relay,
        redis_url: str,
        post: Post | None = None,
        files: Store | None = None,
        mail: MailPoll | None = None,
        region: str = "",
        sender: MessageSender | None = None,
        currency: str = CURRENCY,
    ) -> None:
        """``post`` sends digests; None: no mail server is set. ``files`` is where orphans are swept; None: nowhere. ``mail`` reads
        mailboxes; None: the settings name none. ``region``: of telephone numbers that rules set. ``sender`` sends messages to clients; None: nobody does here.
        ``currency``: of a client's first deal that a rule makes.
        """
        self.db = db
        self.post = post
        self.files = files
        self.mail = mail
        self.region, self.currency = region, currency
        self.sender = sender
        self.redis_url = redis_url
        self.relay = relay
        self._sweeping = asyncio.Lock()
        self._swept_at = 0.0  # by the clock of the event loop
        self._away = False

    async def run(self) -> None:
        """Run all tasks until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.relay.run())
                tasks.create_task(self.relay.carry_leftovers())
                tasks.create_task(self._each_second())
                tasks.create_task(self._checkpoint())
                tasks.create_task(self._tidy_each_hour())
                tasks.create_task(self._run_rules())
                tasks.create_task(self._send_digests())
                tasks.create_task(self._read_mailboxes())
                if self.sender is not None:  # a task of its own: a slow server delays nothing else
                    tasks.create_task(self.sender.run())
                tasks.create_task(self._arq())
        finally:
            await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        """So that doctor and status page need not wait for the canary to be late."""
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await say_stopped(self.db, datetime.now(UTC))
        except (SQLAlchemyError, PbxcrmError, OSError) as error:  # TimeoutError is one
            log.debug("goodbye.failed", why=str(error))

    async def sweep(self) -> int:
        """Do what is due now; return how many jobs and lamps were done."""
        async with self._sweeping:
            fired = await timers.sweep(self.db, datetime.now(UTC))
            fired += await sweep_lamps(self.db, datetime.now(UTC))
            await background_jobs.work_on(self.db, datetime.now(UTC))
            self._swept_at = asyncio.get_running_loop().time()
        return fired

    async def sweep_or_say(self) -> int:
        """``sweep``, but an error of the database is logged once when it goes away, and once when it is back; 0 then."""
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
        """Delete old rows: outbox events, sessions and failed log-ins, finished jobs and background work; and orphans of files. Look
        whether this program knows other rules of time zones than the one before.
        """
        now = datetime.now(UTC)
        await follow_zones(self.db, now)
        if self.files is not None:
            async with self.db.read() as session:
                needed = {*await needed_hashes(session), *await held_hashes(session, now)}
            await asyncio.to_thread(self.files.sweep, needed)
        async with self.db.write() as session:
            await events.prune(session, now)
            await prune_logins(session, now)
            await timers.prune(session, now)
            await background_jobs.prune(session, now)
            await prune_runs(session, now)
            await prune_calls(session, now)

    async def _tidy_each_hour(self) -> None:
        """Every worker does this, without Redis: deleting the same rows twice does no harm."""
        while True:
            try:
                await self.tidy()
            except (SQLAlchemyError, PbxcrmError, OSError) as error:
                log.warning("tidy.failed", why=str(getattr(error, "orig", None) or error))
            await asyncio.sleep(TIDY_SECONDS)

    async def _run_rules(self) -> None:
        """Run the rules of automation in a separate task, so that many of them do not delay lamps. Their events stand in the database."""
        while True:
            handled = 0
            try:
                handled = await run_due(self.db, datetime.now(UTC), self.region, self.currency)
            except (SQLAlchemyError, PbxcrmError, OSError) as error:
                log.warning("rules.failed", why=str(getattr(error, "orig", None) or error))
            if not handled:
                await asyncio.sleep(RULES_SECONDS)

    async def _send_digests(self) -> None:
        """Send digests in a separate task, so that a slow mail server does not delay lamps."""
        while self.post is not None:
            try:
                await self.post.send_due(datetime.now(UTC))
            except (SQLAlchemyError, PbxcrmError, OSError) as error:
                log.warning("digests.failed", why=str(getattr(error, "orig", None) or error))
            await asyncio.sleep(DIGEST_SECONDS)

    async def _read_mailboxes(self) -> None:
        """Read mailboxes in a separate task, for the same reason; the deadlines stand in the database."""
        while self.mail is not None:
            try:
                await self.mail.read_due(datetime.now(UTC))
            except (SQLAlchemyError, PbxcrmError, OSError) as error:
                log.warning("mailboxes.failed", why=str(getattr(error, "orig", None) or error))
            await asyncio.sleep(MAIL_SECONDS)

    async def _checkpoint(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            try:
                await self.db.checkpoint()
            except sqlite3.Error as error:  # a full disk or a missing file: writers report it
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
        """Run arq's loop, and start it again whenever it fails because Redis is away."""
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
                    log.warning("queue.away", why=str(error), hint="Deadlines are handled without it.")
                failures += 1
                await asyncio.sleep(REDIS_REST[min(failures, len(REDIS_REST)) - 1])
            finally:
                await _end(worker)


async def _end(worker: Worker) -> None:
    """Stop arq's tasks and close its connections; errors of a Redis that is away are ignored."""
    running = [task for task in (worker.main_task, *worker.tasks.values(), *worker.job_tasks.values()) if task]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    try:
        await worker.pool.aclose(close_connection_pool=True)
    except (RedisError, OSError, AttributeError):  # AttributeError: it never had a connection
        log.debug("queue.closed_badly")
