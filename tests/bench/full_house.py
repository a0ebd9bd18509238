"""A database as full as after some years of an office, and the product on it, in this process or in its own."""

import asyncio
import gc
import os
import random
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time

import httpx2
from redis.asyncio import Redis
from sqlalchemy import insert, text
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call, CallEvent, CallLeg
from pbxcrm.checkpoints.lamps import armed_row
from pbxcrm.checkpoints.models import Lamp, Subject
from pbxcrm.checkpoints.rules import NewLamp
from pbxcrm.cli.parts import set_aside
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.deals.models import Deal, Note, Stage, StageMove
from pbxcrm.migrations import upgrade
from pbxcrm.people.actions import add_user
from pbxcrm.people.api_tokens import create_token
from pbxcrm.people.passwords import hash_password
from pbxcrm.shared.db import Database
from pbxcrm.shared.search_keys import search_key, words_of
from pbxcrm.shared.search_words import SearchWord
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.models import Task
from tests.bench.table import Figure, percentile
from tests.lamps import callbacks_checkpoint
from tests.office import PASSWORD, Office, open_office
from web.app import create_app

CONTACTS, CALLS, DEALS, TASKS, MISSED = 100_000, 100_000, 10_000, 6_000, 3_000
SELLERS = (("ivan", "101"), ("olena", "102"), ("petro", "201"))
HERE = "http://127.0.0.1"


@dataclass(frozen=True, slots=True)
class FullHouse:
    """``client`` sends requests to the product in this process; ``tokens`` are by login; ``server`` is PostgreSQL's process id, if any."""

    settings: Settings
    client: httpx2.AsyncClient
    tokens: dict[str, str]
    server: int | None


def number(n: int) -> str:
    return f"+38067{n:07d}"


@asynccontextmanager
async def full_house(redis_url: str, database_url: str = "", server: int | None = None) -> AsyncIterator[FullHouse]:
    """Fill the empty database at ``database_url``, else a temporary SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), redis_url=redis_url, database_url=database_url)
        await upgrade(settings.database_url)
        db = Database(settings.database_url)
        try:
            office = await open_office(db)
            async with db.write() as session:
                await _add_newcomer(session)
                await fill(session, office, datetime.now(UTC))
                tokens = {login: await create_token(session, office[login]) for login in ("admin", "maria", "ivan")}
            if not db.is_sqlite:
                await _tidy(db)
            async with Redis.from_url(redis_url) as redis:
                inside = httpx2.ASGITransport(create_app(settings, db, redis))
                async with httpx2.AsyncClient(transport=inside, base_url=HERE, headers={"origin": HERE}) as client:
                    set_aside()  # as the product's own processes do
                    try:
                        yield FullHouse(settings, client, tokens, server)
                    finally:
                        gc.unfreeze()
        finally:
            await db.close()


async def _add_newcomer(session: AsyncSession) -> None:
    """Add a seller without own rows, who sees only the shared queue."""
    hashed = await hash_password(PASSWORD)
    await add_user(
        session,
        login="newcomer",
        name="New Comer",
        role="seller",
        password_hash=hashed,
        extensions=("104",),
        team="Sales",
    )


async def _tidy(db: Database) -> None:
    """Run VACUUM ANALYZE, because autovacuum is off in the tests."""
    async with db.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))


async def fill(session: AsyncSession, office: Office, now: datetime) -> None:
    """Each seller has a third of everything. A call started every 30 seconds until ``now``; a fifth of them were missed."""
    chance = random.Random(1)
    owners = [office.id(login) for login, _ in SELLERS]
    stages = (await session.exec(select(Stage).where(Stage.pipeline_id == 1))).all()

    async def add(table: type[SQLModel], rows: Iterable[dict[str, object]]) -> None:
        waiting = iter(rows)
        while some := list(islice(waiting, 5000)):
            await session.execute(insert(table), some)

    await add(Contact, (
        {
            "id": n, "name": f"Client {n}", "name_folded": search_key(f"Client {n}"), "responsible_id": owners[n % 3], "note": "", "created_at": now, "version": 1,
        }
        for n in range(1, CONTACTS + 1)
    ))  # fmt: skip
    await add(Phone, ({"contact_id": n, "number": number(n), "label": ""} for n in range(1, CONTACTS + 1)))
    places = {n: chance.choice(stages).id for n in range(1, DEALS + 1)}
    await add(Deal, (
        {
            "id": n, "title": f"Deal {n}", "title_folded": search_key(f"Deal {n}"), "pipeline_id": 1, "stage_id": places[n], "responsible_id": owners[n % 3],
            "contact_id": n, "client_number": number(n), "currency": "UAH", "source": "", "lost_reason": "",
            "created_at": now - timedelta(minutes=DEALS - n), "stage_since": now - timedelta(minutes=DEALS - n), "reason": {},
            "version": 1, "closed_at": now if n % 4 == 0 else None,
        }
        for n in range(1, DEALS + 1)
    ))  # fmt: skip
    await add(StageMove, (
        {"deal_id": n, "to_stage_id": places[n], "at": now - timedelta(minutes=DEALS - n), "reason": {}}
        for n in range(1, DEALS + 1)
    ))  # fmt: skip
    notes = {n: f"Asked for number {n}, wants an offer for oak by Friday" for n in range(1, DEALS + 1)}
    await add(Note, (
        {"id": n, "deal_id": n, "contact_id": n, "author_id": owners[n % 3], "text": noted, "at": now, "version": 1}
        for n, noted in notes.items()
    ))  # fmt: skip
    await add(SearchWord, (
        {"word": word, "kind": "notes", "row_id": n} for n, noted in notes.items() for word in words_of(noted)
    ))  # fmt: skip
    clients = [chance.randint(1, CONTACTS) for _ in range(CALLS)]
    at = [now - timedelta(seconds=30 * (CALLS - n)) for n in range(CALLS)]
    await add(Call, (
        {
            "id": n + 1, "pbx": "default", "linkedid": f"{n + 1}.1", "direction": "inbound",
            "outcome": "answered" if n % 5 else "missed", "client_number": number(client), "withheld": False,
            "rang": [SELLERS[n % 3][1]], "talked": [SELLERS[n % 3][1]] if n % 5 else [],
            "answered_by": SELLERS[n % 3][1] if n % 5 else None, "transfers": [], "ringing": [], "talking": [],
            "started_at": at[n], "answered_at": at[n] if n % 5 else None, "ended_at": at[n], "wait_seconds": 5.0,
            "talk_seconds": 60.0 if n % 5 else 0.0, "click_to_call": False, "channel_ids": [], "contact_id": client,
            "deal_id": client if client <= DEALS else None, "responsible_id": owners[n % 3], "reason": {},
        }
        for n, client in enumerate(clients)
    ))  # fmt: skip
    await add(CallLeg, (
        {
            "call_id": n + 1, "channel_id": f"{n + 1}.2", "extension": SELLERS[n % 3][1], "user_id": owners[n % 3],
            "dialled_at": at[n], "result": "talked" if n % 5 else "no_answer",
        }
        for n in range(CALLS)
    ))  # fmt: skip
    await add(CallEvent, (
        {"call_id": n + 1, "key": f"{n + 1}:{kind}", "kind": kind, "party": "", "at": at[n]}
        for n in range(CALLS - 10_000, CALLS)
        for kind in ("started", "ended")
    ))  # fmt: skip
    await _add_work(add, owners, office.id("maria"), now, (await callbacks_checkpoint(session)).id or 0)


async def _add_work(
    add: Callable[[type[SQLModel], Iterable[dict[str, object]]], Awaitable[None]],
    owners: list[int],
    manager: int,
    now: datetime,
    checkpoint: int,
) -> None:
    """Add tasks on deals (every sixth is open, some overdue) and callbacks (every tenth open, every fiftieth escalated)."""
    await add(Task, (
        {
            "kind": "todo", "title": f"Send the offer {n}", "title_folded": search_key(f"Send the offer {n}"), "title_code": {}, "note": "", "assignee_id": owners[n % 3],
            "due_at": now + timedelta(minutes=n - TASKS // 2), "deal_id": n, "contact_id": n, "about": "", "result": "",
            "status": "open" if n % 6 == 0 else "done", "done_at": None if n % 6 == 0 else now, "reason": {},
            "created_by_id": owners[n % 3], "created_at": now, "version": 1,
        }
        for n in range(1, TASKS + 1)
    ))  # fmt: skip
    missed = [now - timedelta(minutes=5 * n) for n in range(MISSED + 1)]
    await add(Episode, (
        {
            "id": n, "client_key": f"contact:{n}", "client_number": number(n), "contact_id": n, "deal_id": n,
            "missed_count": 1 + n % 3, "first_missed_at": missed[n], "last_missed_at": missed[n], "owner_id": owners[n % 3],
            "attempts": n % 4, "norm_from": missed[n], "status": "open" if n % 10 == 0 else "reached",
            "closed_at": None if n % 10 == 0 else now, "closed_reason": {}, "reason": {}, "version": 1,
        }
        for n in range(1, MISSED + 1)
    ))  # fmt: skip
    await add(Lamp, (
        armed_row(
            checkpoint, NewLamp(1, f"c{n}:bench", missed[n], 20, missed[n]), Subject.CALLBACK, deal_id=n, callback_id=n, owner_id=owners[n % 3]
        ) | {"state": "burning", "addressee_id": manager, "lit_at": missed[n], "asked_at": missed[n], "is_escalation": True}
        for n in range(50, MISSED + 1, 50)
    ))  # fmt: skip


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[int, int]]:
    """Run the product in its own process on the same database; yields its port and its process id."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
    own = {
        "DATA_DIR": str(settings.data_dir), "DATABASE_URL": settings.database_url, "REDIS_URL": str(settings.redis_url),
        "BIND": f"127.0.0.1:{port}", "LOG_LEVEL": "WARNING",
    }  # fmt: skip
    environ = {**os.environ, **{f"PBXCRM_{name}": value for name, value in own.items()}}
    web = await asyncio.create_subprocess_exec(sys.executable, "-m", "pbxcrm", "web", env=environ)
    try:
        async with asyncio.timeout(60), httpx2.AsyncClient() as client:
            while True:
                try:
                    await client.get(f"{HERE}:{port}/healthz")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)  # there is no event to await in another process
        yield port, web.pid
    finally:
        web.terminate()
        await web.wait()


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of each request: by the clock, and in processor time, which depends less on a busy machine. ``server``: the mean
    processor time of PostgreSQL per request (None without it).
    """

    clock: list[float]
    cpu: list[float]
    server: float | None

    def figure(self, name: str, goal: float) -> Figure:
        p95 = percentile(self.clock, 95)
        server = "" if self.server is None else f" + {self.server:.0f}"
        measured = f"{p95:.0f} ms, {percentile(self.cpu, 95):.0f}{server} ms of CPU"
        return Figure(f"{name}, p95", measured, f"under {goal:.0f} ms", p95 < goal)


async def times(house: FullHouse, path: str, rounds: int) -> Times:
    """Send requests one after the other; the first two are not counted."""
    clock: list[float] = []
    cpu: list[float] = []
    before = 0.0
    for n in range(rounds + 2):
        if n == 2:
            before = processor_time(house.server)
        began, computed = perf_counter(), process_time()
        answer = await house.client.get(path)
        clock.append((perf_counter() - began) * 1000)
        cpu.append((process_time() - computed) * 1000)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
    server = None if house.server is None else (processor_time(house.server) - before) * 1000 / rounds
    return Times(clock[2:], cpu[2:], server)


def processor_time(server: int | None) -> float:
    """The processor time in seconds of the running child processes of ``server`` (Linux)."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat") if server is not None else ():
        with suppress(OSError):  # the process has ended
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[1] == str(server):  # its parent
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
