"""Look-ups and lists with a full database on SQLite: 100,000 contacts, 100,000 calls, 10,000 deals.

Look-ups over real HTTP: p50 and p99 at 200 per second. Lists: p95 of each, one request after the other, as administrator, manager
and seller.
"""

import asyncio
import random
from contextlib import suppress
from time import perf_counter

from tests.bench.full_house import CONTACTS, FullHouse, full_house, number, running, times
from tests.bench.table import Figure, percentile
from tests.databases import running_redis

LISTS = (
    "calls", "calls?outcome=missed", f"calls?client_number=%2B{number(77)[1:]}", "calls?extension=101", "deals",
    "deals?stage_kind=open", "contacts", "tasks", "callbacks", "calls?q=777", "calls?q=client+777", "contacts?q=nobody",
    "deals?q=777", "tasks?q=offer", "callbacks?q=client+3",
)  # fmt: skip
ROUNDS = 40
GOAL, LOOK_UP_GOAL = 100, 20  # milliseconds
PACE, SECONDS = 200, 10


async def look_ups(port: int, a_second: int, seconds: int) -> tuple[list[float], int]:
    """Milliseconds of each look-up, sent at a constant rate whether or not the previous one is answered; and how many timed out.

    It uses plain keep-alive sockets, as Asterisk's func_curl does: an HTTP client library would cost more than the answer.
    """
    chance, loop = random.Random(2), asyncio.get_running_loop()
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    given_up = 0

    async def ask(wanted: str) -> float:
        nonlocal given_up
        began = perf_counter()
        asked = f"GET /dialplan/lookup?number=%2B{wanted[1:]}&did=100 HTTP/1.1\r\nHost: crm\r\n\r\n".encode()
        head = b""
        while not head:
            reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
            writer.write(asked)
            with suppress(asyncio.IncompleteReadError, ConnectionError):  # closed because it was idle too long
                head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        assert b" 200 " in head, head
        given_up += b"Client" not in body  # the server gave up
        idle.append((reader, writer))
        return (perf_counter() - began) * 1000

    start, asked = loop.time(), []
    for n in range(a_second * seconds):
        await asyncio.sleep(max(0.0, start + n / a_second - loop.time()))
        asked.append(asyncio.create_task(ask(number(chance.randint(1, CONTACTS)))))
    found = await asyncio.gather(*asked)
    for _, writer in idle:
        writer.close()
    return found, given_up


async def measure(house: FullHouse) -> list[Figure]:
    async with running(house.settings) as (port, _):
        await look_ups(port, 50, 2)
        found, given_up = await look_ups(port, PACE, SECONDS)
    p50, p99 = percentile(found, 50), percentile(found, 99)
    figures = [
        Figure(
            f"look-up at {PACE} a second, p50 / p99",
            f"{p50:.1f} / {p99:.1f} ms, {given_up} given up",
            f"p99 under {LOOK_UP_GOAL} ms",
            p99 < LOOK_UP_GOAL and not given_up,
        )
    ]
    for login, token in house.tokens.items():
        house.client.headers["Authorization"] = f"Bearer {token}"
        figures += [
            (await times(house, f"/api/v1/{path}", ROUNDS)).figure(f"{path} as {login}", GOAL) for path in LISTS
        ]
    return figures


def run() -> list[Figure]:
    async def measured(redis_url: str) -> list[Figure]:
        async with full_house(redis_url) as house:
            return await measure(house)

    with running_redis() as url:
        return asyncio.run(measured(url))
