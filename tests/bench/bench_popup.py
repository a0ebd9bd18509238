"""From the event at the PBX's socket to the card in a real Chromium: 50 calls per second, 50 and 500 people with open pages.

The whole product runs as separate processes (``pbxcrm run``: web, listener, worker, Redis; SQLite) beside a simulated PBX. Each
call rings two phones. ``DESKS`` people share one Chromium; ``RINGS`` of the calls per second ring at their phones. The time runs
from when the simulator writes "Newstate: Ringing" of such a phone to the socket until a MutationObserver sees the card in the
document, both by the clock of this machine. Run it with ``[POPUP_RATE=50] [POPUP_STREAMS=50,500] python -m tests.bench popup`` on an
idle machine: other work on the same cores adds waiting time to the result.
"""

import asyncio
import json
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import uvloop
from playwright.async_api import Page
from redis.asyncio import Redis
from sqlalchemy import update
from sqlmodel import col, select

from ami.simulator import Simulator
from pbxcrm.access import Role
from pbxcrm.calls.models import Call
from pbxcrm.deals.seed import seed
from pbxcrm.migrations import upgrade
from pbxcrm.people.models import Extension, LoginSession, Team, User
from pbxcrm.people.queries import token_hash
from pbxcrm.people.rules import SESSION_LIFE
from pbxcrm.screenpop.models import WrapUp
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import CHANNEL
from pbxcrm.shared.redis_server import redis_url
from pbxcrm.shared.settings import Settings
from tests.bench.table import Figure, percentile
from tests.e2e.browser import descendants, live, running_browser
from tests.running import START_SECONDS, Running, running
from tests.waiting import until

RATE = int(os.environ.get("POPUP_RATE", "50"))  # calls per second
STREAMS = tuple(int(n) for n in os.environ.get("POPUP_STREAMS", "50,500").split(","))
RINGS = 1  # calls per second, of these, that ring at a desk
DESKS = 4
PEOPLE = 504
TEAM = 12
WARM_UP, SECONDS = 4, 100
FINISHED_AFTER = 15  # seconds after somebody answered
PAGE = "/tasks"  # the page of the desks; a board would redraw the deals of a seller who gets one every two seconds
GOAL_MS = 100
STORY = "ring_group_answered"

# Stores when each ringing card entered the document, in ms since 1970.
WATCH = """
window.seen = {};
document.addEventListener("DOMContentLoaded", () => {
  const look = () => { for (const card of document.querySelectorAll("#dock-cards .callcard")) window.seen[card.id] ??= performance.timeOrigin + performance.now(); };
  const cards = document.getElementById("dock-cards");
  if (cards) new MutationObserver(look).observe(cards, { childList: true, subtree: true });
});
"""
_CHANNEL = re.compile(rb"\r\nChannel: PJSIP/(\d+)-")
_LINKEDID = re.compile(rb"\r\nLinkedid: (\S+)")


def extension(person: int) -> str:
    return str(1000 + person)


class WatchedPbx(Simulator):
    """The simulated PBX that records when it reported that a desk's phone rings."""

    def __init__(self) -> None:
        super().__init__(extensions=[extension(n) for n in range(1, PEOPLE + 1)], seed=1, stretch=1.5)
        self.rang_at: dict[tuple[int, str], float] = {}  # (desk, Linkedid) -> seconds since 1970

    async def go_on(self, seconds: float) -> None:
        """Start calls at a constant rate; ``RINGS`` of them per second ring at a desk."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number in range(int(RATE * seconds)):
            await asyncio.sleep(max(0.0, begin + number / RATE - loop.time()))
            phones = dict(zip(("101", "102", "103"), self._dice.sample(self._extensions[DESKS:], 3), strict=True))
            every = max(1, RATE // RINGS)
            if number % every == 0:
                phones["101"] = extension(number // every % DESKS + 1)
            self._start(self._stories[STORY], self._crowd.somebody(), phones)

    def _say(self, data: bytes) -> None:
        now = time.time()
        for raw in data.split(b"\r\n\r\n"):
            if raw.startswith(b"Event: Newstate") and b"ChannelStateDesc: Ringing" in raw:
                channel, linkedid = _CHANNEL.search(raw), _LINKEDID.search(raw)
                assert channel
                assert linkedid
                desk = int(channel[1]) - 1000
                if desk <= DESKS:
                    self.rang_at[desk, linkedid[1].decode()] = now
        super()._say(data)


async def people(db: Database) -> None:
    """Create sellers in teams of twelve, each with a phone and a logged-in session (its token is ``token-N``)."""
    now = datetime.now(UTC)
    async with db.write() as session:
        await seed(session, "Europe/Kyiv")
        session.add_all(Team(id=n + 1, name=f"Team {n}") for n in range(PEOPLE // TEAM))
        await session.flush()
        numbers = range(1, PEOPLE + 1)
        session.add_all(
            User(id=n, login=f"user{n}", name=f"Person {n}", role=Role.SELLER, password_hash="", team_id=1 + n % (PEOPLE // TEAM), created_at=now)
            for n in numbers
        )  # fmt: skip
        await session.flush()
        session.add_all(Extension(number=extension(n), user_id=n) for n in numbers)
        session.add_all(
            LoginSession(token_hash=token_hash(f"token-{n}"), user_id=n, created_at=now, expires_at=now + SESSION_LIFE)
            for n in numbers
        )  # fmt: skip


class StreamReader(asyncio.Protocol):
    """An open live stream whose content is discarded: a browser at the least cost for this machine."""

    def __init__(self, host: str, person: int) -> None:
        self._question = (
            f"GET /live?parts=1 HTTP/1.1\r\nHost: {host}\r\nCookie: pbxcrm_session=token-{person}\r\n\r\n".encode()
        )
        self.opened = asyncio.Event()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._question)

    def data_received(self, data: bytes) -> None:
        if b"event: hello" in data:
            self.opened.set()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


class Streams:
    """The live streams of people who are not at a desk."""

    def __init__(self, address: str) -> None:
        self.host, _, self.port = address.removeprefix("http://").rstrip("/").rpartition(":")
        self.open: list[StreamReader] = []

    async def grow(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        while len(self.open) < count:
            more = [
                StreamReader(self.host, DESKS + len(self.open) + n + 1) for n in range(min(25, count - len(self.open)))
            ]
            self.open += more
            for reader in more:
                await loop.create_connection(lambda reader=reader: reader, self.host, int(self.port))  # type: ignore[misc]
            await asyncio.wait_for(asyncio.gather(*(reader.opened.wait() for reader in more)), 60)

    def close(self) -> None:
        for reader in self.open:
            reader.close()


@asynccontextmanager
async def product(folder: Path, pbx: WatchedPbx) -> AsyncIterator[Running]:
    settings = Settings(data_dir=folder)
    await upgrade(settings.database_url)
    db = Database(settings.database_url)
    await people(db)
    await db.close()
    async with running(PBXCRM_DATA_DIR=str(folder), PBXCRM_AMI_URL=pbx.url, PBXCRM_LOG_LEVEL="WARNING") as run:
        await until(lambda: run.address, START_SECONDS)
        await until(run.well, START_SECONDS)
        yield run


def resident(pid: int) -> int:
    """The resident memory of a process in KiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def busy_seconds(pid: int) -> float:
    """The processor time of a process in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited_seconds(pid: int) -> float:
    """How long the first thread of a process was ready and waited for a processor, in seconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def measuring() -> dict[str, int]:
    """The processes that measure, by name: this one with the simulated PBX and the streams, and those of Chromium."""
    browsers = {f"chromium {pid}": pid for pid, line in descendants(os.getpid()) if "chrom" in line.split(" ", 1)[0]}
    return {"simulator and streams": os.getpid(), **browsers}


def used(before: dict[str, float], now: dict[str, float]) -> str:
    """The shares of one core between two readings of seconds, those of Chromium as one."""
    shares: dict[str, float] = {}
    for name, seconds in now.items():
        part = "Chromium" if name.startswith("chromium ") else name
        shares[part] = shares.get(part, 0.0) + (seconds - before.get(name, 0.0)) / (WARM_UP + SECONDS)
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


async def say_how_it_ended(folder: Path) -> None:
    """Record results as people do: some seconds after a talk, so that its card goes. It writes to the database instead of clicking."""
    db = Database(Settings(data_dir=folder).database_url)
    try:
        while True:
            await asyncio.sleep(1)
            now = datetime.now(UTC)
            long_ago = col(WrapUp.talked_at) < now - timedelta(seconds=FINISHED_AFTER)
            async with db.write() as session:
                await session.exec(update(WrapUp).where(col(WrapUp.done_at).is_(None), long_ago).values(done_at=now))
    finally:
        await db.close()


async def latencies(pbx: WatchedPbx, pages: list[Page], folder: Path) -> tuple[list[float], int]:
    """Milliseconds from the event to the card, and the number of rings without a card (the call ended before)."""
    for page in pages:
        await page.evaluate("() => { window.seen = {} }")
    await pbx.go_on(WARM_UP)
    pbx.rang_at.clear()
    await pbx.go_on(SECONDS)
    rang = dict(pbx.rang_at)
    await until(lambda: not pbx.going_on, 60)
    db = Database(Settings(data_dir=folder).database_url)
    async with db.read() as session:
        ids = dict((await session.exec(select(Call.linkedid, Call.id))).all())
    await db.close()
    seen = [await page.evaluate("() => window.seen") for page in pages]
    found = [
        seen[desk - 1][f"call-{ids[linkedid]}"] - at * 1000
        for (desk, linkedid), at in rang.items()
        if f"call-{ids.get(linkedid)}" in seen[desk - 1]
    ]
    return found, len(rang) - len(found)


@dataclass
class Hints:
    """When Redis got the hint of a ringing desk phone: up to then it is the listener's time, then that of web server and Chromium."""

    heard: list[tuple[float, frozenset[int]]] = field(default_factory=list)  # seconds since 1970, user ids

    async def listen(self, url: str) -> None:
        async with Redis.from_url(url) as redis, redis.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            async for message in pubsub.listen():
                if message["type"] != "message" or b'"urgent": true' not in message["data"]:
                    continue  # keep this cheap: the same process simulates the PBX
                for hint in json.loads(message["data"]):
                    if hint["topic"] == "dock" and hint["urgent"]:
                        self.heard.append((time.time(), frozenset(hint["users"])))

    def after(self, desk: int, at: float) -> float | None:
        return next((heard - at for heard, users in self.heard if heard >= at and desk in users), None)


async def desks(stack: AsyncExitStack, address: str) -> list[Page]:
    browser = await stack.enter_async_context(running_browser())
    pages = []
    for n in range(1, DESKS + 1):
        context = await stack.enter_async_context(await browser.new_context(locale="en-GB"))
        await context.add_cookies([{"name": "pbxcrm_session", "value": f"token-{n}", "url": address}])
        await context.add_init_script(WATCH)
        page = await context.new_page()
        await page.goto(f"{address.rstrip('/')}{PAGE}")
        await live(page)
        pages.append(page)
    return pages


async def measure(folder: Path) -> list[Figure]:
    figures = []
    async with AsyncExitStack() as stack:
        pbx = await stack.enter_async_context(WatchedPbx())
        run = await stack.enter_async_context(product(folder, pbx))
        web = run.parts()["web"]
        hints = Hints()
        hearing = asyncio.create_task(hints.listen(redis_url(Settings(data_dir=folder))))
        stack.callback(hearing.cancel)
        finishing = asyncio.create_task(say_how_it_ended(folder))
        stack.callback(finishing.cancel)
        pages = await desks(stack, run.address)
        streams = Streams(run.address)
        stack.callback(streams.close)
        for count in STREAMS:
            before, open_before = resident(web), len(streams.open)
            await streams.grow(count)
            more = (resident(web) - before) / (count - open_before)
            busy, parts = os.getloadavg()[0], run.parts()
            everything = parts | measuring()
            spent = {name: busy_seconds(pid) for name, pid in everything.items()}
            waited = {name: waited_seconds(pid) for name, pid in parts.items()}
            hints.heard.clear()
            found, lost = await latencies(pbx, pages, folder)
            told = [
                after * 1000 for (desk, _), at in pbx.rang_at.items() if (after := hints.after(desk, at)) is not None
            ]
            shares = used(spent, {name: busy_seconds(pid) for name, pid in everything.items()})
            waits = used(waited, {name: waited_seconds(pid) for name, pid in parts.items()})
            name = f"card after ringing, {RATE} calls/s, {count} streams"
            figures.append(Figure(f"{name}: rings without a card", f"{lost} of {lost + len(found)}", "0", not lost))
            if found:
                p50, p99 = percentile(found, 50), percentile(found, 99)
                measured = f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, worst {max(found):.0f} ms of {len(found)}"
                figures.append(Figure(name, measured, f"p99 < {GOAL_MS} ms", p99 < GOAL_MS))
                until_told = f"p50 {percentile(told, 50):.0f} ms, p99 {percentile(told, 99):.0f} ms"
                figures.append(Figure("of which until the listener has told Redis", until_told))
            memory = f"{more:.0f} KiB (load of the machine before: {busy:.1f} on {os.cpu_count()} cores)"
            figures.append(Figure(f"web process, each of {count - open_before} more streams", memory))
            figures.append(Figure(f"of one core, {count} streams", shares))
            figures.append(Figure("share of the time in which each waited for a core", waits))
    return figures


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        return uvloop.run(measure(Path(folder)))
