"""A web form that is posted 10,000 times in a minute: what the strangers are told, what is stored, and a list of deals meanwhile (SQLite)."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import httpx2

from tests.bench.bench_popup import busy_seconds
from tests.bench.table import Figure, percentile
from tests.e2e.crm import Crm, crm

POSTS, AT_ONCE, PER_MINUTE = 10_000, 40, 10


async def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        async with crm(Path(folder)) as running:
            pipeline = (await running.items("pipelines"))[0]["id"]
            body = {"name": "Site", "pipeline_id": pipeline, "per_minute": PER_MINUTE}
            made = await running.client.post(f"{running.address}/api/v1/forms", json=body)
            made.raise_for_status()
            address = f"{running.address}/f/{made.json()['key']}"
            began = perf_counter()
            same = await _flood(running, address, "the same content", lambda _number: "Call me")
            other = await _flood(running, address, "each another content", lambda number: f"Call me, {number}")
            stored = len(await running.items("requests", limit=200))
            most = PER_MINUTE * (1 + int((perf_counter() - began) // 60))
            least = Figure("… requests stored of both floods", str(stored), f"at most {most}", stored <= most)
            return [*same, *other, least]


async def _flood(running: Crm, address: str, what: str, said: Callable[[int], str]) -> list[Figure]:
    """``POSTS`` from one address, ``AT_ONCE`` at the same time, while somebody reads deals over REST."""
    answers: Counter[int] = Counter()
    reads: list[float] = []
    numbers = iter(range(POSTS))
    headers = {"accept": "application/json"}
    async with httpx2.AsyncClient(timeout=60, headers=headers) as stranger:

        async def send() -> None:
            for number in numbers:
                sent = {"name": "Robot", "phone": "067 111 22 33", "message": said(number)}
                answers[(await stranger.post(address, json=sent)).status_code] += 1

        async def read() -> None:
            while True:
                began = perf_counter()
                await running.items("deals", limit=50)
                reads.append(perf_counter() - began)
                await asyncio.sleep(0.2)

        reading = asyncio.create_task(read())
        web = running.run.parts()["web"]
        worked, began = busy_seconds(web), perf_counter()
        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
        taken = perf_counter() - began
        reading.cancel()
        own = (busy_seconds(web) - worked) / POSTS * 1000
    told = ", ".join(f"{count:,} × {status}" for status, count in sorted(answers.items()))
    failed = sum(count for status, count in answers.items() if status >= 500)
    late = percentile(reads, 95) * 1000
    return [
        Figure(
            f"{POSTS:,} posts of {what}",
            f"{taken:.0f} s, {own:.1f} ms of processor each; {told}",
            "60 s, no error of ours",
            taken < 60 and not failed,
        ),
        Figure("… a list of deals over REST meanwhile, p95", f"{late:.0f} ms", "", None),
    ]


def run() -> list[Figure]:
    return asyncio.run(measure())
