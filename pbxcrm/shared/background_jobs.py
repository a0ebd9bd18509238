"""Background jobs: the worker runs them in batches, one transaction per batch. A row holds the progress of each job.

A context defines in its ``timers.py`` the function that runs one batch of each kind (``pbxcrm.composition`` registers it). It starts
a job in its own transaction::

    WORK = {"checkpoints.recompute": recompute_batch}

    job = await start(session, "checkpoints.recompute", {"stage": 7}, now, owner_id=viewer.user_id)

A batch that fails is retried a few times; then the job stops and stores the error. When a worker dies during a batch, the batch is
rolled back and another worker runs it.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Index, delete, text
from sqlmodel import Field, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from pbxcrm.shared.columns import (
    NEVER_REUSED,
    TableModel,
    json_list,
    json_object,
    maybe_link,
    maybe_utc_column,
    row_id,
    utc_column,
)
from pbxcrm.shared.db import Database, is_away
from pbxcrm.shared.lengths import cut

log = structlog.get_logger()

MOST_TRIES = 5
MOST_BATCHES = 5  # per sweep, so that deadlines do not wait
KEEP = timedelta(days=30)
ACTIVE = text("state IN ('queued', 'running', 'undoing')")


class JobState(StrEnum):
    """The state of a background job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


class BackgroundJob(TableModel, table=True):
    """``payload`` holds the arguments, ``cursor`` the progress, ``refused`` the items that could not be processed and why."""

    __tablename__ = "background_jobs"
    __table_args__ = (
        Index("ix_background_jobs_active", "id", sqlite_where=ACTIVE, postgresql_where=ACTIVE),
        NEVER_REUSED,
    )

    id: int | None = row_id()
    kind: str = Field(max_length=64)
    payload: dict[str, Any] = json_object()
    cursor: dict[str, Any] = json_object()
    state: str = Field(default=JobState.QUEUED.value, max_length=8)
    done: int = 0
    total: int = 0
    refused: list[dict[str, Any]] = json_list()
    result: dict[str, Any] = json_object()
    tries: int = 0
    error: str = Field(default="", max_length=500)
    owner_id: int | None = maybe_link("users.id")  # None: the product itself
    created_at: datetime = utc_column()
    finished_at: datetime | None = maybe_utc_column()


#: Runs one batch from ``job.cursor`` on, advances the cursor and counts. Returns True when nothing is left. Must not commit.
Batch = Callable[[AsyncSession, BackgroundJob, datetime], Awaitable[bool]]
#: Called before each batch, outside of any transaction, with the arguments of the job. False: it cannot go on yet. Must not take long.
Before = Callable[[Database, Mapping[str, Any]], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job that only reads has come: its new cursor, how many are done and found in all, what was found, whether it is over."""

    cursor: dict[str, Any]
    done: int
    total: int
    result: dict[str, Any]
    is_over: bool


#: Runs one batch of a job that only reads, in a session that cannot write. The worker keeps what it returns in a short transaction.
Reader = Callable[[AsyncSession, BackgroundJob, datetime], Awaitable[JobProgress]]
_before: dict[str, Before] = {}
_readers: dict[str, Reader] = {}
_work: dict[str, Batch] = {}
_undo: dict[str, Batch] = {}


def register_work(work: Mapping[str, Batch], undo: Mapping[str, Batch] | None = None) -> None:
    """Register, for each kind, the functions that run and undo a batch. Raises ValueError for a kind that has another function."""
    for known, given in ((_work, work), (_undo, undo or {})):
        for kind, batch in given.items():
            if known.setdefault(kind, batch) is not batch:
                raise ValueError(f"two kinds of work called {kind}")


def register_readers(readers: Mapping[str, Reader]) -> None:
    """Register the functions of jobs that only read; replaces earlier ones."""
    _readers.clear()
    _readers.update(readers)


def register_before(before: Mapping[str, Before]) -> None:
    """Register what must be done outside of a transaction before a batch of each kind; replaces earlier ones."""
    _before.clear()
    _before.update(before)


def can_undo(job: BackgroundJob) -> bool:
    """Whether the job has ended and its changes can be undone."""
    return job.kind in _undo and job.state in {JobState.DONE, JobState.FAILED}


async def start(
    session: AsyncSession,
    kind: str,
    payload: dict[str, Any],
    now: datetime,
    *,
    total: int = 0,
    owner_id: int | None = None,
) -> BackgroundJob:
    """Queue the job for the worker; the returned row has its id."""
    job = BackgroundJob(kind=kind, payload=payload, total=total, owner_id=owner_id, created_at=now)
    session.add(job)
    await session.flush()
    return job


def begin_undo(job: BackgroundJob) -> None:
    """Queue the undo of the job for the worker."""
    job.state, job.cursor, job.tries, job.error, job.finished_at = JobState.UNDOING.value, {}, 0, "", None


async def work_on(db: Database, now: datetime) -> int:
    """Run up to ``MOST_BATCHES`` batches of queued jobs. Returns how many ran. Several processes may call it at once."""
    batches = 0
    waiting: set[int] = set()  # jobs that cannot go on yet
    while batches < MOST_BATCHES and (upcoming := await _next(db, waiting)) is not None:
        claimed: int | None = None
        try:
            if upcoming.kind in _before:
                claimed = upcoming.id
                if not await _before[upcoming.kind](db, upcoming.payload):
                    waiting.add(upcoming.id or 0)
                    continue
            if upcoming.kind in _readers:
                claimed = upcoming.id
                async with db.read() as session:
                    progress = await _readers[upcoming.kind](session, upcoming, now)
                await _keep(db, upcoming, progress, now)
                batches += 1
                continue
            async with db.write() as session:
                job = await _claim(session, waiting)
                if job is None:
                    break
                claimed = job.id
                await _one(session, job, now)
            batches += 1
        except Exception as error:
            if claimed is None or is_away(error):
                raise  # the database does not answer: the caller waits and tries again
            log.exception("background.failed", job=claimed)
            await _failed(db, claimed, now, error)
    return batches


async def prune(session: AsyncSession, now: datetime) -> None:
    """Delete jobs that ended long ago."""
    await session.exec(delete(BackgroundJob).where(col(BackgroundJob.finished_at) < now - KEEP))


async def _one(session: AsyncSession, job: BackgroundJob, now: datetime) -> None:
    undoing = job.state == JobState.UNDOING
    if not undoing:
        job.state = JobState.RUNNING.value
    if await (_undo if undoing else _work)[job.kind](session, job, now):
        job.state = (JobState.UNDONE if undoing else JobState.DONE).value
        job.finished_at = now
    job.tries = 0


async def _keep(db: Database, read: BackgroundJob, progress: JobProgress, now: datetime) -> None:
    """Keep what a batch has read, unless another worker was faster."""
    async with db.write() as session:
        job = await session.get(BackgroundJob, read.id, with_for_update=True)
        if job is None or job.finished_at is not None or job.cursor != read.cursor:
            return
        job.cursor, job.done, job.total, job.result = progress.cursor, progress.done, progress.total, progress.result
        job.state = (JobState.DONE if progress.is_over else JobState.RUNNING).value
        job.finished_at = now if progress.is_over else None
        job.tries = 0


async def _next(db: Database, waiting: Collection[int]) -> BackgroundJob | None:
    async with db.read() as session:
        return (await session.exec(_oldest(waiting))).first()


async def _claim(session: AsyncSession, waiting: Collection[int]) -> BackgroundJob | None:
    return (await session.exec(_oldest(waiting).with_for_update(skip_locked=True))).first()


def _oldest(waiting: Collection[int]) -> SelectOfScalar[BackgroundJob]:
    known = (ACTIVE, col(BackgroundJob.kind).in_([*_work, *_readers]), col(BackgroundJob.id).not_in(waiting))
    return select(BackgroundJob).where(*known).order_by(col(BackgroundJob.id)).limit(1)


async def _failed(db: Database, job_id: int, now: datetime, error: Exception) -> None:
    async with db.write() as session:
        job = await session.get(BackgroundJob, job_id, with_for_update=True)
        if job is None:
            return
        job.tries, job.error = job.tries + 1, cut(f"{type(error).__name__}: {error}", BackgroundJob.error)
        if job.tries >= MOST_TRIES:
            job.state, job.finished_at = JobState.FAILED.value, now
