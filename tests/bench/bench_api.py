"""Look-ups and lists with a full database, over real HTTP: ``python -m tests.bench.bench_api [--contacts N] [--calls N] [--deals N]``.

Look-ups: p50 and p99 at 200 a second (goal: p99 under 20 ms with 100,000 contacts). Lists: p95 of each one, 60 requests one
after the other (goal: under 100 ms with 100,000 calls and 10,000 deals), as an administrator and as a seller.
"""

import argparse
import asyncio
import os
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from sqlalchemy import insert
from sqlmodel import SQLModel, select

from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.db import Database
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.migrations import upgrade
from pbxcrm.people.actions import create_token
from pbxcrm.settings import Settings
from tests.databases import running_redis
from tests.office import Office, open_office

NOW = datetime.now(UTC)
SELLERS = ("ivan", "olena", "petro")


async def fill(db: Database, office: Office, contacts: int, calls: int, deals: int) -> None:
    chance = random.Random(1)
    owners = [office.id(login) for login in SELLERS]
    extensions = ("101", "102", "201")

    async def add(table: type[SQLModel], rows: list[dict[str, object]]) -> None:
        async with db.write() as session:
            for start in range(0, len(rows), 5000):
                await session.execute(insert(table), rows[start : start + 5000])

    await add(
        Contact,
        [
            {
                "id": n,
                "name": f"Client {n}",
                "responsible_id": owners[n % 3],
                "note": "",
                "created_at": NOW,
                "version": 1,
            }
            for n in range(1, contacts + 1)
        ],
    )
    await add(Phone, [{"contact_id": n, "number": number(n), "label": ""} for n in range(1, contacts + 1)])
    async with db.read() as session:
        stages = (await session.exec(select(Stage))).all()
    await add(
        Deal,
        [
            {
                "id": n, "title": f"Deal {n}", "pipeline_id": 1, "stage_id": chance.choice(stages).id, "responsible_id": owners[n % 3],
                "contact_id": n, "client_number": number(n), "currency": "UAH", "source": "", "lost_reason": "",
                "created_at": NOW - timedelta(minutes=deals - n), "stage_since": NOW, "reason": {}, "version": 1,
                "closed_at": NOW if n % 4 == 0 else None,
            }
            for n in range(1, min(deals, contacts) + 1)
        ],
    )  # fmt: skip
    rows, legs = [], []
    for n in range(1, calls + 1):
        who, at = n % 3, NOW - timedelta(seconds=30 * (calls - n))
        client = chance.randint(1, contacts)
        rows.append({
            "id": n, "pbx": "default", "linkedid": f"{n}.1", "direction": "inbound", "outcome": "answered" if n % 5 else "missed",
            "client_number": number(client), "withheld": False, "rang": [extensions[who]], "talked": [extensions[who]],
            "answered_by": extensions[who], "transfers": [], "ringing": [], "talking": [], "started_at": at, "answered_at": at,
            "ended_at": at, "wait_seconds": 5.0, "talk_seconds": 60.0, "click_to_call": False, "channel_ids": [], "contact_id": client,
            "deal_id": client if client <= deals else None, "responsible_id": owners[who], "reason": {},
        })  # fmt: skip
        legs.append({
            "call_id": n, "channel_id": f"{n}.2", "extension": extensions[who], "user_id": owners[who], "dialled_at": at,
            "result": "talked",
        })  # fmt: skip
    await add(Call, rows)
    await add(CallLeg, legs)


def number(n: int) -> str:
    return f"+38067{n:07d}"


async def timed(ask: Callable[[], Awaitable[httpx2.Response]]) -> float:
    began = time.perf_counter()
    answer = await ask()
    assert answer.status_code == 200, answer.text
    return (time.perf_counter() - began) * 1000


async def look_ups(port: int, contacts: int, a_second: int, seconds: int) -> list[float]:
    """Milliseconds of each look-up; asked at even distances, whether or not the one before is answered.

    By plain sockets kept open, as Asterisk's func_curl does; a comfortable client would cost more than the answer.
    """
    chance, loop = random.Random(2), asyncio.get_running_loop()
    empty: list[bool] = []
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(wanted: str) -> float:
        began = time.perf_counter()
        asked = f"GET /dialplan/lookup?number=%2B{wanted[1:]}&did=100 HTTP/1.1\r\nHost: crm\r\n\r\n".encode()
        head = b""
        while not head:
            reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
            writer.write(asked)
            with suppress(asyncio.IncompleteReadError, ConnectionError):  # it lay idle too long and was closed
                head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        assert b" 200 " in head
        empty.append(b"Client" not in body)  # too late to be of use
        idle.append((reader, writer))
        return (time.perf_counter() - began) * 1000

    start, asked = loop.time(), []
    for n in range(a_second * seconds):
        await asyncio.sleep(max(0.0, start + n / a_second - loop.time()))
        asked.append(asyncio.create_task(ask(number(chance.randint(1, contacts)))))
    found = await asyncio.gather(*asked)
    for _, writer in idle:
        writer.close()
    if any(empty):
        print(f"| ({sum(empty)} of {len(empty)} look-ups were given up after half a second) | | | | |")
    return found


@asynccontextmanager
async def pbxcrm_web(folder: Path, redis_url: str) -> AsyncIterator[int]:
    """The product itself in a process of its own; gives its port."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
    own = {"DATA_DIR": str(folder), "REDIS_URL": redis_url, "BIND": f"127.0.0.1:{port}", "LOG_LEVEL": "WARNING"}
    environ = {**os.environ, **{f"PBXCRM_{name}": value for name, value in own.items()}}
    web = await asyncio.create_subprocess_exec(sys.executable, "-m", "pbxcrm", "web", env=environ)
    try:
        async with asyncio.timeout(60), httpx2.AsyncClient() as client:
            while True:
                try:
                    await client.get(f"http://127.0.0.1:{port}/healthz")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)  # another process cannot be awaited
        yield port
    finally:
        web.terminate()
        await web.wait()


def row(name: str, values: list[float], goal: float, share: float) -> str:
    worst = sorted(values)[int(len(values) * share)]
    verdict = "met" if worst < goal else "MISSED"
    return f"| {name} | {statistics.median(values):.1f} | {worst:.1f} | {goal:.0f} | {verdict} |"


async def main(redis_url: str, contacts: int, calls: int, deals: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        await upgrade(settings.database_url)
        db = Database(settings.database_url)
        office = await open_office(db)
        await fill(db, office, contacts, calls, deals)
        async with db.write() as session:
            tokens = {login: await create_token(session, office[login]) for login in ("admin", "ivan")}
        await db.close()
        print(f"{contacts} contacts, {calls} calls, {deals} deals, SQLite\n")
        print("| what | p50 ms | p99/p95 ms | goal ms | |\n| --- | --- | --- | --- | --- |")
        async with (
            pbxcrm_web(settings.data_dir, redis_url) as port,
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
        ):
            await look_ups(port, contacts, 50, 2)
            print(row("look-up, 200 a second, p99", await look_ups(port, contacts, 200, 10), 20, 0.99))
            for login, token in tokens.items():
                client.headers["Authorization"] = f"Bearer {token}"
                for path in (
                    "calls", "calls?outcome=missed", f"calls?client_number={number(77)}", "deals", "deals?stage_kind=open",
                    "contacts", "tasks", "callbacks",
                ):  # fmt: skip
                    values = [await timed(lambda path=path: client.get(f"/api/v1/{path}")) for _ in range(60)]  # type: ignore[misc]
                    print(row(f"{path} as {login}, p95", values, 100, 0.95))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--deals", type=int, default=10_000)
    arguments = parser.parse_args()
    with running_redis() as url:
        asyncio.run(main(url, arguments.contacts, arguments.calls, arguments.deals))
