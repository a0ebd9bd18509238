"""The live stream: who hears what, slow readers, ended sessions, a Redis that goes away."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from redis.asyncio import Redis
from sqlmodel import select
from starlette.applications import Starlette
from starlette.requests import Request

from pbxcrm.access import Role, Viewer
from pbxcrm.calendars.leave_actions import NewLeave, create_leave
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.deals.actions import say_deal_changed
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import CHANNEL, emit, relay
from tests.integration.web.conftest import PASSWORD, SetClock
from tests.integration.web.serving import serving
from tests.integration.web.test_deal_people import viewer_of_login
from tests.integration.web.test_settings_pages import make_deal
from tests.waiting import until
from web import stream
from web.live import WAITING_AT_MOST, Ear, Hint, Hub, RenderRequest
from web.regions import RegionHtml
from web.stream import speak


class StreamListener:
    """A browser's stream, as a list of what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []
        self.ended = asyncio.Event()

    def of(self, name: str) -> list[Any]:
        return [data for said, data in self.said if said == name]

    @property
    def topics(self) -> list[str]:
        return [f"{hint['topic']}:{hint['ref']}" for hints in self.of("hint") for hint in hints]

    async def listen(self, client: AsyncClient, query: str = "", *, accept_language: str = "") -> None:
        headers = {"accept": "text/event-stream"} | ({"accept-language": accept_language} if accept_language else {})
        async with client.stream("GET", "/live" + query, headers=headers, timeout=60) as answer:
            assert answer.status_code == 200, answer.status_code
            name = ""
            async for line in answer.aiter_lines():
                if line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("data:"):
                    self.said.append((name, json.loads(line[5:])))
        self.ended.set()


Listen = Callable[[str], Awaitable[tuple[AsyncClient, StreamListener]]]


@pytest.fixture
async def address(app: Starlette) -> AsyncIterator[str]:
    async with serving(app) as url:
        await until(lambda: app.state.parts.hub.online)
        yield url


@pytest.fixture
async def listen(address: str) -> AsyncIterator[Listen]:
    """``await listen("olena")``: her browser and what its stream says."""
    async with AsyncExitStack() as stack:
        tasks: list[asyncio.Task[None]] = []

        async def opened(login: str) -> tuple[AsyncClient, StreamListener]:
            client = AsyncClient(base_url=address, headers={"origin": address, "accept": "text/html"}, timeout=60)
            await stack.enter_async_context(client)
            answer = await client.post("/login", data={"login": login, "password": PASSWORD})
            assert answer.status_code == 303
            listener = StreamListener()
            tasks.append(asyncio.create_task(listener.listen(client)))
            await until(lambda: listener.of("hello"))
            return client, listener

        yield opened
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """What is streamed does not depend on the database."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


async def test_each_hears_what_is_for_them_and_nothing_else(
    listen: Listen, database: Database, redis: Redis, clock: SetClock
) -> None:
    (_, olena), (_, dmytro), (_, admin) = [await listen(login) for login in ("olena", "dmytro", "admin")]
    async with database.write() as session:
        emit(session, "deal", 12, clock(), users=[1])
        emit(session, "task", 7, clock(), users=[2], roles=[Role.ADMIN.value])
        emit(session, "pbx", "main", clock(), roles=[role.value for role in Role])
    assert await relay(database, redis) >= 3
    for listener in (olena, dmytro, admin):
        await until(lambda listener=listener: "pbx:main" in listener.topics)
    assert [topic for topic in olena.topics if "people" not in topic] == ["deal:12", "pbx:main"]
    assert [topic for topic in dmytro.topics if "people" not in topic] == ["task:7", "pbx:main"]
    assert [topic for topic in admin.topics if "people" not in topic] == ["task:7", "pbx:main"]
    for hints in olena.of("hint"):
        assert all(set(hint) == {"id", "topic", "ref"} for hint in hints)


async def test_a_deputy_hears_of_what_is_theirs_who_is_away_until_the_leave_is_over(
    listen: Listen, database: Database, redis: Redis, clock: SetClock
) -> None:
    deal_id = (await make_deal(database, clock))[1]  # olena's
    (_, dmytro) = await listen("dmytro")

    async def hears() -> bool:
        before = len(dmytro.topics)
        async with database.write() as session:
            deal, people = await session.get_one(Deal, deal_id), await load_directory(session)
            say_deal_changed(session, deal, clock(), people)
            emit(session, "pbx", "main", clock(), roles=[role.value for role in Role])
        await relay(database, redis)
        await until(lambda: "pbx:main" in dmytro.topics[before:])
        return f"deal:{deal_id}" in dmytro.topics[before:]

    assert not await hears()
    async with database.write() as session:
        leave = NewLeave(1, clock(), clock() + timedelta(hours=1), 2)
        await create_leave(session, await viewer_of_login(session, "admin"), leave, now=clock())
    assert await hears()
    clock.forward(hours=2)
    await sweep_lamps(database, clock())
    assert not await hears()


async def test_two_tabs_of_one_person_hear_the_same(listen: Listen, redis: Redis) -> None:
    (_, one), (_, two) = await listen("olena"), await listen("olena")
    await redis.publish(CHANNEL, json.dumps([{"id": 5, "topic": "deal", "ref": "1", "users": [1], "roles": []}]))
    await until(lambda: one.topics and two.topics)
    assert one.topics == two.topics == ["deal:1"]


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "not json",
        "[]",
        "{}",
        "5",
        '[{"id": "x"}]',
        '[{"id": 1, "topic": "t", "users": 5}]',
        '[{"id": 1e999, "topic": "t"}]',
    ],
)
async def test_garbage_on_the_channel_is_stepped_over(listen: Listen, redis: Redis, garbage: str) -> None:
    _, olena = await listen("olena")
    await redis.publish(CHANNEL, garbage)
    await redis.publish(CHANNEL, json.dumps([{"id": 6, "topic": "deal", "ref": "2", "users": [1]}]))
    await until(lambda: olena.topics == ["deal:2"])


async def test_a_fault_of_ours_makes_nobody_deaf(
    listen: Listen, redis: Redis, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(hint: Hint) -> None:
        monkeypatch.undo()
        raise RuntimeError("a fault that nobody foresaw")

    _, olena = await listen("olena")
    monkeypatch.setattr(app.state.parts.hub, "deliver", fault)
    await redis.publish(CHANNEL, json.dumps([{"id": 6, "topic": "deal", "ref": "1", "users": [1]}]))
    await until(lambda: olena.of("state") == [{"live": "offline"}, {"live": "ok"}])  # pages ask again for everything
    await redis.publish(CHANNEL, json.dumps([{"id": 7, "topic": "deal", "ref": "2", "users": [1]}]))
    await until(lambda: olena.topics == ["deal:2"])


async def test_a_stream_ends_when_its_session_is_revoked(listen: Listen, database: Database, redis: Redis) -> None:
    here, mine = await listen("olena")
    _, other = await listen("olena")
    await here.post("/profile/sessions/end-others")
    await relay(database, redis)
    await asyncio.wait_for(other.ended.wait(), 30)
    assert other.of("bye") == [{"why": "session"}]
    assert mine.of("bye") == []


async def test_logging_out_ends_the_streams_of_all_tabs(listen: Listen, database: Database, redis: Redis) -> None:
    here, tab = await listen("olena")
    _, elsewhere = await listen("olena")
    assert (await here.post("/logout")).status_code == 303
    await relay(database, redis)
    await until(lambda: "session:1" in elsewhere.topics)  # said, not only found by the look each minute
    await asyncio.wait_for(tab.ended.wait(), 30)
    assert tab.of("bye") == [{"why": "session"}]
    assert elsewhere.of("bye") == []


async def test_a_new_role_counts_at_once(listen: Listen, database: Database, redis: Redis, app: Starlette) -> None:
    (admin, _), (_, olena) = await listen("admin"), await listen("olena")
    edited = {"name": "Olena", "role": "manager", "team": "1", "extensions": "101", "is_active": "1"}
    assert (await admin.post("/people/1", data=edited)).status_code == 303
    await relay(database, redis)
    ears = app.state.parts.hub._ears
    await until(lambda: all(ear.viewer.role is Role.MANAGER for ear in ears[1]))
    await redis.publish(CHANNEL, json.dumps([{"id": 900, "topic": "escalation", "ref": "", "roles": ["manager"]}]))
    await until(lambda: "escalation:" in olena.topics)


async def test_finished_html_is_pushed_to_every_tab_of_one_person(listen: Listen, redis: Redis, app: Starlette) -> None:
    rendered: list[str] = []

    async def card(asked: Sequence[RenderRequest]) -> AsyncIterator[tuple[RenderRequest, RegionHtml]]:
        for each in asked:
            person = each.person
            rendered.append(person.login)
            yield each, RegionHtml(f"<b>{person.login} {len(rendered)}</b>")

    app.state.parts.hub.pushers.clear()
    app.state.parts.hub.add_pusher("dock", "dock", card)
    (_, one), (_, two), (_, dmytro) = [await listen(login) for login in ("olena", "olena", "dmytro")]
    await until(lambda: one.of("push") and two.of("push") and dmytro.of("push"))  # what stands there at the beginning
    before = len(rendered)
    await redis.publish(CHANNEL, json.dumps([{"id": 7, "topic": "dock", "ref": "", "users": [1]}]))
    await until(
        lambda: (
            f"<b>olena {before + 1}</b>" in str(one.of("push")) and f"<b>olena {before + 1}</b>" in str(two.of("push"))
        )
    )
    assert rendered[before:] == ["olena"]
    assert "olena" not in str(dmytro.of("push"))


async def test_each_page_is_pushed_to_in_its_own_language(
    listen: Listen, redis: Redis, app: Starlette, database: Database
) -> None:
    """Two tabs of one person, who has chosen no language and then one: a page stays in the language it was made in."""

    async def card(asked: Sequence[RenderRequest]) -> AsyncIterator[tuple[RenderRequest, RegionHtml]]:
        for each in asked:
            each.drawn["times"] = each.drawn.get("times", 0) + 1
            yield each, RegionHtml(f"{each.person.language} {len(each.drawn)}")

    app.state.parts.hub.pushers.clear()
    app.state.parts.hub.add_pusher("dock", "dock", card)
    client, first = await listen("olena")
    pages = {"uk": StreamListener(), "ru": StreamListener()}
    tasks = [asyncio.create_task(page.listen(client, f"?language={code}")) for code, page in pages.items()]
    tasks.append(asyncio.create_task((browser := StreamListener()).listen(client, accept_language="ru-UA, uk;q=0.5")))
    try:
        every = [first, *pages.values(), browser]
        await until(lambda: all(each.of("push") for each in every))
        async with database.write() as session:
            (await session.exec(select(User).where(User.login == "olena"))).one().language = "en"
        before = [len(each.of("push")) for each in every]
        await redis.publish(CHANNEL, json.dumps([{"id": 7, "topic": "people", "ref": "1", "users": [1]}]))
        await redis.publish(CHANNEL, json.dumps([{"id": 8, "topic": "dock", "ref": "", "users": [1]}]))
        await until(lambda: all(len(each.of("push")) > n for each, n in zip(every, before, strict=True)))
        said = [{push["html"] for push in each.of("push")} for each in every]
        assert said == [{"en 1"}, {"uk 1"}, {"ru 1"}, {"ru 1"}]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_card_that_cannot_be_rendered_silences_nobody(listen: Listen, redis: Redis, app: Starlette) -> None:
    async def broken(asked: Sequence[RenderRequest]) -> AsyncIterator[tuple[RenderRequest, RegionHtml]]:
        for each in asked:
            person = each.person
            if person.login == "olena":
                raise RuntimeError(person.login)
            yield each, RegionHtml("<b>whole</b>")

    app.state.parts.hub.pushers.clear()
    app.state.parts.hub.add_pusher("dock", "dock", broken)
    (_, olena), (_, dmytro) = await listen("olena"), await listen("dmytro")
    pushed = len(dmytro.of("push"))
    await redis.publish(CHANNEL, json.dumps([{"id": 8, "topic": "dock", "ref": "", "users": [1, 2]}]))
    await redis.publish(CHANNEL, json.dumps([{"id": 9, "topic": "deal", "ref": "3", "users": [1]}]))
    await until(lambda: "deal:3" in olena.topics and len(dmytro.of("push")) > pushed)


@asynccontextmanager
async def hearing(hub: Hub) -> AsyncIterator[None]:
    task = asyncio.create_task(hub.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


SELLER = Viewer(1, "olena", "Olena", Role.SELLER, None)


async def test_redis_gone_is_said_and_comes_back_by_itself(redis: Redis) -> None:
    hub = Hub(redis, channel="test")
    async with hearing(hub):
        await until(lambda: hub.online)
        with hub.listening(SELLER) as ear:
            await redis.client_kill_filter(_type="pubsub")
            assert await ear.next(30) == [("state", {"live": "offline"})]
            assert await ear.next(30) == [("state", {"live": "ok"})]
            await redis.publish("test", json.dumps([{"id": 1, "topic": "deal", "ref": "9", "users": [1]}]))
            ((name, hints),) = await ear.next(30)
            assert (name, hints) == ("hint", [{"id": 1, "topic": "deal", "ref": "9"}])


async def test_what_redis_could_not_say_is_pushed_when_it_is_back(redis: Redis) -> None:
    async def card(asked: Sequence[RenderRequest]) -> AsyncIterator[tuple[RenderRequest, RegionHtml]]:
        for each in asked:
            yield each, RegionHtml("as it is now")

    hub = Hub(redis, channel="test")
    hub.add_pusher("dock", "dock", card)
    async with hearing(hub):
        await until(lambda: hub.online)
        with hub.listening(SELLER) as ear:
            await redis.client_kill_filter(_type="pubsub")
            heard: list[object] = []
            while ("push", {"region": "dock", "number": 1, "outline": "as it is now", "parts": {}}) not in heard:
                heard += await asyncio.wait_for(ear.next(30), 30)
    assert heard[:2] == [("state", {"live": "offline"}), ("state", {"live": "ok"})]


async def said(stream: AsyncIterator[bytes]) -> list[str]:
    """Names of the events."""
    text = b"".join([each async for each in stream])
    return re.findall(r"^event: (\w+)", text.decode(), re.MULTILINE)


async def test_who_is_too_slow_is_dropped_and_costs_no_more_memory(app: Starlette) -> None:
    hub: Hub = app.state.parts.hub
    request = Request(
        {"type": "http", "app": app, "headers": [], "method": "GET", "path": "/live", "query_string": b"", "state": {}}
    )
    stream = speak(request, hub, SELLER, life=60)
    await anext(stream)
    for number in range(WAITING_AT_MOST * 4):
        hub.deliver(Hint(number, "deal", str(number), frozenset({1}), frozenset()))
    assert all(len(ear._hints) <= WAITING_AT_MOST for ear in hub._ears[1])
    names = await said(stream)
    assert names[-1] == "bye"
    assert hub.open_streams == 0


async def test_a_browser_that_stops_reading_is_let_go_while_others_hear_on(
    listen: Listen, address: str, app: Starlette, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def huge(asked: Sequence[RenderRequest]) -> AsyncIterator[tuple[RenderRequest, RegionHtml]]:
        for each in asked:
            yield each, RegionHtml("x" * 4_000_000)

    monkeypatch.setattr(stream, "SEND_SECONDS", 0.5)
    hub: Hub = app.state.parts.hub
    hub.pushers.clear()
    hub.add_pusher("dock", "dock", huge)
    olena_browser, _ = await listen("olena")
    _, dmytro = await listen("dmytro")
    streams = hub.open_streams
    cookie = f"pbxcrm_session={olena_browser.cookies['pbxcrm_session']}"
    reader, writer = await asyncio.open_connection(*address.removeprefix("http://").split(":"), limit=1024)
    writer.write(f"GET /live HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
    await until(lambda: hub.open_streams == streams + 1)

    async def is_let_go() -> bool:
        """Pushed again and again: what waits for one person is pushed once, and the kernel takes some megabytes for a reader."""
        await redis.publish(CHANNEL, json.dumps([{"id": 50, "topic": "dock", "ref": "", "users": [1]}]))
        return hub.open_streams == streams

    await until(is_let_go)
    await redis.publish(CHANNEL, json.dumps([{"id": 99, "topic": "deal", "ref": "1", "users": [2]}]))
    await until(lambda: "deal:1" in dmytro.topics)
    writer.close()
    del reader


async def test_a_stream_grows_old_and_says_so(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LIFE_SECONDS", 0.3)
    _, olena = await listen("olena")
    await asyncio.wait_for(olena.ended.wait(), 30)
    assert olena.of("bye") == [{"why": "old"}]


async def test_no_database_connection_is_held_while_streaming(listen: Listen, database: Database) -> None:
    for _ in range(12):  # more than the pool has
        await listen("olena")
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_closed_tab_leaves_nothing_behind(address: str, app: Starlette) -> None:
    hub: Hub = app.state.parts.hub
    async with AsyncClient(base_url=address, headers={"origin": address}, timeout=60) as client:
        await client.post("/login", data={"login": "olena", "password": PASSWORD})
        async with client.stream("GET", "/live") as answer:
            await anext(answer.aiter_lines())
            assert hub.open_streams == 1
    await until(lambda: hub.open_streams == 0)
    assert hub._ears == {}


async def pushes(ear: Ear) -> list[Any]:
    return [data for name, data in await ear.next(30) if name == "push"]


async def test_of_pushes_that_wait_for_a_slow_reader_nothing_is_lost(redis: Redis) -> None:
    """They become one message: the difference between what was sent last and what holds now."""
    hub, outline = Hub(redis), "<!--part call-1--><!--part call-2-->"
    with hub.listening(SELLER) as ear, hub.listening(SELLER) as late:
        for one, two in (("a", "a"), ("b", "a"), ("b", "b"), ("a", "b")):
            for each in (ear, late):
                each.push("dock", RegionHtml(outline, {"call-1": one, "call-2": two}))
            if (one, two) == ("a", "a"):
                assert [push["number"] for push in await pushes(ear)] == [1]
        assert await pushes(ear) == [{"region": "dock", "number": 2, "parts": {"call-2": "b"}}]
        # A stream that begins meanwhile gets everything.
        assert await pushes(late) == [
            {"region": "dock", "number": 1, "outline": outline, "parts": {"call-1": "a", "call-2": "b"}}
        ]


async def test_a_push_that_changes_nothing_is_not_sent(redis: Redis) -> None:
    with Hub(redis).listening(SELLER) as ear:
        for _ in range(2):
            ear.push("dock", RegionHtml("<!--part call-1-->", {"call-1": "a"}))
            messages = await ear.next(0)
        assert messages == []


async def test_a_page_from_before_an_upgrade_gets_whole_html(redis: Redis) -> None:
    with Hub(redis).listening(SELLER, by_parts=False) as ear:
        for text in ("a", "b"):
            ear.push("dock", RegionHtml("<p><!--part call-1--></p>", {"call-1": text}))
            assert await pushes(ear) == [{"region": "dock", "html": f"<p>{text}</p>"}]
