"""The health of this installation, for ``/readyz``, ``/metrics`` and ``doctor``."""

import asyncio
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.calls.models import GOING_ON, Call
from pbxcrm.checkpoints.models import PARKED, Lamp, LampState
from pbxcrm.checkpoints.queries import last_beat
from pbxcrm.pbx.models import PbxJournal, PbxStatus
from pbxcrm.pbx.state import PbxState
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import count_waiting
from pbxcrm.shared.timers import Timer

PROBE_BYTES = 64 * 1024  # the free space the disk must have at least
ASK_SECONDS = 2.0  # longest wait for an answer
STALE_SECONDS = 60.0  # a listener reports at least every few seconds; after this silence it is dead


@dataclass(frozen=True, slots=True)
class Health:
    """The health at one moment. ``database``, ``redis``, ``disk``: None if well, else the reason. Ages and lags: seconds."""

    database: str | None  # it must answer and be writable
    redis: str | None
    disk: str | None = None  # of the data directory
    pbxs: tuple[PbxStatus, ...] = ()
    journals: tuple[PbxJournal, ...] = ()
    outbox: int = 0  # events not published yet
    overdue_timers: int = 0
    oldest_overdue_seconds: float = 0.0
    open_calls: int = 0
    open_callbacks: int = 0
    engine_beat_at: datetime | None = None  # when the checkpoints' canary last fired; None: never
    parked_lamps: int = 0  # whose calendar or deal is broken
    overdue_lamps: int = 0

    @property
    def ready(self) -> bool:
        """Whether pages can be served and changes stored. Redis is not needed for that: it only wakes."""
        return self.database is None and self.disk is None

    def listening(self, pbx: PbxStatus, now: datetime) -> bool:
        """Whether a listener follows this PBX now, according to the database."""
        fresh = pbx.reported_at is not None and (now - pbx.reported_at).total_seconds() < STALE_SECONDS
        return fresh and pbx.state == PbxState.LISTENING


async def collect(db: Database, redis: Redis, now: datetime, data_dir: Path | None = None) -> Health:
    """Check database, Redis and, if ``data_dir`` is given, the disk. Never raises; takes two seconds at most."""
    away, (why_database, found), disk = await asyncio.gather(
        _ask_redis(redis), _ask_database(db, now), ask_disk(data_dir)
    )
    return Health(database=why_database, redis=away, disk=disk, **found)


async def ask_disk(data_dir: Path | None) -> str | None:
    """Why nothing can be written into the data directory; None if something can, or none is given."""
    if data_dir is None:
        return None
    try:
        async with asyncio.timeout(ASK_SECONDS):
            await asyncio.to_thread(_write_something, data_dir)
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return error.strerror or str(error)
    return None


def _write_something(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(PROBE_BYTES))
        file.flush()


async def _ask_redis(redis: Redis) -> str | None:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            await redis.ping()
    except TimeoutError:
        return "no answer"
    except (RedisError, OSError) as error:
        return str(error) or type(error).__name__
    return None


_asking: set[asyncio.Task[Any]] = set()  # including timed-out tasks that still wait for a hanging database


async def _ask_database(db: Database, now: datetime) -> tuple[str | None, dict[str, Any]]:
    # In a separate task: closing a session would wait for the query of a database that hangs.
    asking = asyncio.create_task(_look_into(db, now))
    _asking.add(asking)
    asking.add_done_callback(_asking.discard)
    try:
        done, _ = await asyncio.wait({asking}, timeout=ASK_SECONDS)
        return asking.result() if done else ("no answer", {})
    finally:
        asking.cancel()


async def _look_into(db: Database, now: datetime) -> tuple[str | None, dict[str, Any]]:
    try:
        await db.check_writable()
        async with db.read() as session:
            due = select(func.count(), func.min(Timer.due_at)).where(col(Timer.done_at).is_(None), Timer.due_at <= now)
            overdue, oldest = (await session.exec(due)).one()
            open_calls = select(func.count()).select_from(Call).where(GOING_ON)
            waiting = select(func.count()).select_from(Episode).where(Episode.status == EpisodeStatus.OPEN.value)
            lamps = select(func.count()).select_from(Lamp).where(Lamp.state == LampState.ARMED.value)
            parked = select(func.count()).select_from(Lamp).where(PARKED)
            late = lamps.where(col(Lamp.parked_at).is_(None), Lamp.due_at <= now)
            return None, {
                "engine_beat_at": await last_beat(session),
                "parked_lamps": (await session.exec(parked)).one(),
                "overdue_lamps": (await session.exec(late)).one(),
                "pbxs": tuple((await session.exec(select(PbxStatus).order_by(col(PbxStatus.pbx)))).all()),
                "journals": tuple((await session.exec(select(PbxJournal))).all()),
                "outbox": await count_waiting(session),
                "overdue_timers": overdue,
                "oldest_overdue_seconds": (now - oldest).total_seconds() if overdue else 0.0,
                "open_calls": (await session.exec(open_calls)).one(),
                "open_callbacks": (await session.exec(waiting)).one(),
            }
    except (SQLAlchemyError, OSError) as error:
        return str(getattr(error, "orig", None) or error).splitlines()[0], {}


def as_json(health: Health, now: datetime) -> dict[str, Any]:
    """The body of ``/readyz``."""
    return {
        "ready": health.ready,
        "database": health.database or "ok",
        "redis": health.redis or "ok",
        "disk": health.disk or "ok",
        "outbox": health.outbox,
        "overdue_timers": health.overdue_timers,
        "checkpoints": {
            "last_fired_age_seconds": _age(health.engine_beat_at, now),
            "overdue_lamps": health.overdue_lamps,
            "parked_lamps": health.parked_lamps,
        },
        "pbxs": {
            pbx.pbx: {
                "state": pbx.state,
                "listening": health.listening(pbx, now),
                "last_event_age_seconds": _age(pbx.last_event_at, now),
                "last_report_age_seconds": _age(pbx.reported_at, now),
                "lag_seconds": pbx.lag_seconds,
            }
            for pbx in health.pbxs
        },
    }


class _Gauges(Collector):
    """The health as a collector for Prometheus."""

    def __init__(self, health: Health, now: datetime) -> None:
        self.health = health
        self.now = now

    def collect(self) -> Iterable[Metric]:
        health, now = self.health, self.now
        yield _gauge("database_up", "Whether the database answers.", health.database is None)
        yield _gauge("disk_writable", "Whether the data directory can be written.", health.disk is None)
        yield _gauge("redis_up", "Whether Redis answers.", health.redis is None)
        yield _gauge("outbox_rows", "Hints not published yet.", health.outbox)
        yield _gauge("timers_overdue", "Deadlines that are due and not done.", health.overdue_timers)
        yield _gauge("timers_oldest_overdue_seconds", "How late the oldest of them is.", health.oldest_overdue_seconds)
        beat = _age(health.engine_beat_at, now)
        if beat is not None:
            yield _gauge("checkpoints_last_fired_age_seconds", "Since the canary checkpoint fired.", beat)
        yield _gauge("lamps_overdue", "Lamps that are due and not lit.", health.overdue_lamps)
        yield _gauge("lamps_parked", "Lamps whose calendar or deal is broken.", health.parked_lamps)
        yield _gauge("calls_open", "Calls going on now.", health.open_calls)
        yield _gauge("callbacks_open", "Clients waiting to be called back.", health.open_callbacks)
        per_pbx: dict[tuple[str, str], Callable[[PbxStatus], float | None]] = {
            ("listening", "Whether a listener follows this PBX."): lambda pbx: float(health.listening(pbx, now)),
            ("last_event_age_seconds", "Since its last event."): lambda pbx: _age(pbx.last_event_at, now),
            ("last_report_age_seconds", "Since its listener last spoke."): lambda pbx: _age(pbx.reported_at, now),
            ("lag_seconds", "From the socket to the committed database."): lambda pbx: pbx.lag_seconds,
            ("clock_offset_seconds", "Its clock minus ours."): lambda pbx: pbx.clock_offset_seconds,
            ("lease_epoch", "How often another listener took over."): lambda pbx: float(pbx.lease_epoch),
        }
        for (name, what), value_of in per_pbx.items():
            family = GaugeMetricFamily(f"pbxcrm_pbx_{name}", what, labels=["pbx"])
            for pbx in health.pbxs:
                value = value_of(pbx)
                if value is not None:
                    family.add_metric([pbx.pbx], value)
            yield family
        read = GaugeMetricFamily(
            "pbxcrm_pbx_journal_position_bytes", "How far a journal is applied.", labels=["pbx", "journal"]
        )
        for journal in health.journals:
            read.add_metric([journal.pbx, journal.journal], journal.position)
        yield read


def as_metrics(health: Health, now: datetime) -> bytes:
    """The body of ``/metrics`` in Prometheus's text format, with memory and CPU of this process."""
    registry = CollectorRegistry()
    registry.register(_Gauges(health, now))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"pbxcrm_{name}", what, value=value)


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else round((now - moment).total_seconds(), 3)
