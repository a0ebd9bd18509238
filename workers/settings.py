"""How arq is set up: JSON on both sides (never pickle), short time limits, no results kept.

arq only wakes: what must happen stands in the database (``pbxcrm.shared.jobs``), and the worker's own loop finds it there
also while Redis is away.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from arq.connections import RedisSettings
from arq.cron import cron
from arq.worker import Worker

QUEUE = "pbxcrm:jobs"
JOB_SECONDS = 30  # after kill -9 a job waits for this and 10 s more, so it is short


def to_json(value: dict[str, Any]) -> bytes:
    """How arq writes a job: as JSON, never as pickle."""
    return json.dumps(value, default=str).encode()


def from_json(data: bytes) -> dict[str, Any]:
    """How arq reads a job."""
    found: dict[str, Any] = json.loads(data)
    return found


def make_worker(url: str, sweep: Callable[[], Coroutine[Any, Any, int]]) -> Worker:
    """An arq worker on the Redis at ``url``. ``sweep`` does what is due."""

    async def sweep_now(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> int:
        return await sweep()

    each_second = cron(sweep_now, name="sweep", second=set(range(60)), keep_result=0, timeout=JOB_SECONDS, max_tries=1)
    return Worker(
        cron_jobs=[each_second],
        queue_name=QUEUE,
        redis_settings=redis_settings(url),
        handle_signals=False,
        job_timeout=JOB_SECONDS,
        keep_result=0,
        poll_delay=0.25,
        job_serializer=to_json,
        job_deserializer=from_json,
        log_results=False,
    )


def redis_settings(url: str) -> RedisSettings:
    """The address as arq wants it."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_retries = 0  # the loop around the worker waits and tries again, and says so
    return settings
