"""How arq is set up: JSON on both sides (never pickle), short time limits, no results kept.

arq only wakes the worker: the jobs are rows in the database (``pbxcrm.shared.timers``), and the worker's own loop finds them
there even while Redis is away.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from arq.connections import RedisSettings
from arq.cron import cron
from arq.worker import Worker

QUEUE = "pbxcrm:jobs"
JOB_SECONDS = 30  # after kill -9 a job waits this long plus 10 s, so it is short


def to_json(value: dict[str, Any]) -> bytes:
    """Serialise a job as JSON; arq's default would be pickle."""
    return json.dumps(value, default=str).encode()


def from_json(data: bytes) -> dict[str, Any]:
    """Read a job that ``to_json`` wrote."""
    found: dict[str, Any] = json.loads(data)
    return found


def make_worker(url: str, sweep: Callable[[], Coroutine[Any, Any, int]]) -> Worker:
    """An arq worker on the Redis at ``url`` that calls ``sweep`` every second."""

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
    """The Redis URL as arq's settings, without arq's own retries."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_retries = 0  # the loop around the worker retries and logs
    return settings
