"""Who calls, as the dialplan asks: names, extensions, who may ask, and that no trouble of ours holds up a call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from ami.agi import DEADLINE, LookupServer
from pbxcrm.calls.models import Line
from pbxcrm.contacts.actions import create_contact, mark_number
from pbxcrm.contacts.models import NumberKind
from pbxcrm.reactions.caller_lookup import PATIENCE, Caller, Lookup, display_name
from pbxcrm.shared.db import Database
from pbxcrm.shared.networks import is_within, parse_networks
from pbxcrm.shared.settings import Settings
from tests.calls import NOON, FactStory
from tests.integration.api.conftest import Programs, hear
from tests.office import Office
from web.app import create_app

ANY = parse_networks("127.0.0.0/8, ::1")
CLIENT = "+380671112233"


async def add_client(db: Database, office: Office, name: str, owner: str, number: str = CLIENT) -> None:
    async with db.write() as session:
        viewer = await office.viewer(session, "admin")
        await create_contact(
            session, viewer, name=name, now=NOON, region="UA", phones=[number], responsible_id=office.id(owner)
        )


def lookup_at(db: Database, settings: Settings, **later: float) -> Lookup:
    """What is found is asked here, however busy the machine is; how soon it gives up is asked by the tests of a stalled database."""
    return Lookup(db, settings, lambda: NOON + timedelta(**later), patience=30)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["Оксана Дем'янчук"], "Оксана Дем’янчук"),
        (['Eve"\r\nSet(x)=${SHELL(rm)}, <101>;\\'], "Eve Set(x)= SHELL(rm) 101"),
        (["\u202egnp.exe\x00\u200b"], "gnp.exe"),
        (["  ", "Ivan", "Olena", ""], "Ivan +1"),
        (["A" * 100], "A" * 40),
        (["A" * 100, "B"], "A" * 37 + " +1"),
        ([], ""),
        (["🎉 Party"], "🎉 Party"),
    ],
)
def test_names_are_safe_on_a_display(names: list[str], shown: str) -> None:
    assert display_name(names) == shown
    assert len(shown) <= 40


def test_networks() -> None:
    assert is_within("127.0.0.9", ANY)
    assert is_within("::ffff:127.0.0.1", ANY)
    assert not is_within("10.0.0.1", ANY)
    assert not is_within("testclient", ANY)
    assert not is_within(None, ANY)
    with pytest.raises(ValueError, match="loopback"):
        parse_networks("loopback")


async def test_the_client_and_their_seller(database: Database, settings: Settings, office: Office) -> None:
    await add_client(database, office, "Oksana Koval", "olena")
    lookup = lookup_at(database, settings)
    assert await lookup.find("067 111-22-33", "100") == Caller("Oksana Koval", "102")
    assert await lookup.find("0501112233", "100") == Caller()
    for nonsense in ("", None, "anonymous", "x" * 5000, "\x00'; DROP TABLE calls", "101"):
        assert await lookup.find(nonsense, "\x00" * 500) == Caller()


async def test_whose_deal_it_is_comes_before_whose_client(
    database: Database, settings: Settings, office: Office
) -> None:
    await add_client(database, office, "Oksana Koval", "olena")
    await hear(database, settings, FactStory(client=CLIENT).ring("101").wait(3).answer("101").wait(9).end())
    assert await lookup_at(database, settings).find(CLIENT, None) == Caller("Oksana Koval", "101")


async def test_a_deal_without_a_client_says_where_to_route(
    database: Database, settings: Settings, office: Office
) -> None:
    await hear(database, settings, FactStory(client=CLIENT).ring("101").wait(3).answer("101").wait(9).end())
    assert await lookup_at(database, settings).find(CLIENT, None) == Caller("", "101")


async def test_only_clients_of_the_same_person_count_on_the_display(
    database: Database, settings: Settings, office: Office
) -> None:
    await add_client(database, office, "Oksana Koval", "olena")
    await add_client(database, office, "Somebody", "petro")  # of another team, whom Olena may not see
    assert await lookup_at(database, settings).find(CLIENT, None) == Caller("Oksana Koval", "102")
    await add_client(database, office, "Her husband", "olena")
    assert await lookup_at(database, settings).find(CLIENT, None) == Caller("Oksana Koval +1", "102")


async def test_off_shift_the_line_s_owner_or_nobody(database: Database, settings: Settings, office: Office) -> None:
    await add_client(database, office, "Oksana Koval", "olena")
    assert await lookup_at(database, settings, hours=8).find(CLIENT, "100") == Caller("Oksana Koval", "")
    async with database.write() as session:
        olena = office["olena"]
        olena.is_active = False
        await session.merge(olena)
        session.add(Line(name="Main", did="04412300*", owner_id=office.id("ivan")))
    lookup = lookup_at(database, settings)
    assert await lookup.find(CLIENT, "100") == Caller("Oksana Koval", "")
    assert await lookup.find(CLIENT, "0441230001") == Caller("Oksana Koval", "101")


async def test_spam_is_nobody(database: Database, settings: Settings, office: Office) -> None:
    await hear(database, settings, FactStory(client=CLIENT).ring("101").wait(3).answer("101").wait(9).end())
    async with database.write() as session:
        viewer = await office.viewer(session, "admin")
        await mark_number(session, viewer, CLIENT, NumberKind.SPAM, region="UA", now=NOON)
    assert await lookup_at(database, settings).find(CLIENT, None) == Caller()


async def test_by_http(programs: Programs) -> None:
    await add_client(programs.db, programs.office, "Oksana Koval", "olena")
    query = {"number": CLIENT, "did": "100"}
    async with programs.client() as client:
        answer = await client.get("/dialplan/lookup", params=query)
        assert answer.json() == {"name": "Oksana Koval", "extension": "102"}
        assert answer.headers["content-type"] == "application/json"
        plain = await client.get("/dialplan/lookup", params={**query, "format": "text"})
        assert plain.text == "Oksana Koval\n102\n"
        assert (await client.get("/dialplan/lookup")).json() == {"name": "", "extension": ""}
        unescaped = await client.get(f"/dialplan/lookup?number={CLIENT}")  # the + arrives as a blank
        assert unescaped.json()["extension"] == "102"


async def test_who_may_ask(programs: Programs) -> None:
    await add_client(programs.db, programs.office, "Oksana Koval", "olena")
    path = f"/dialplan/lookup?number=%2B{CLIENT[1:]}"
    far = httpx2.ASGITransport(programs.transport.app, client=("203.0.113.9", 4242))
    async with httpx2.AsyncClient(transport=far, base_url="http://crm") as client:
        refused = await client.get(path)
        assert (refused.status_code, refused.json()["code"]) == (403, "dialplan.foreign")
        async with await programs.as_("kira") as known:
            allowed = await client.get(path, headers={"Authorization": known.headers["authorization"]})
        assert allowed.json()["name"] == "Oksana Koval"
    async with await programs.as_("petro") as seller:  # of another team, on the machine of the PBX
        assert (await seller.get(path)).json() == {"name": "", "extension": ""}
    async with programs.client() as near:
        assert (await near.get(path)).json()["name"] == "Oksana Koval"
        wrong = await near.get(path, headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 403
        for header in ({"X-Forwarded-For": "203.0.113.9"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil"}):
            assert (await near.get(path, headers=header)).status_code == 403, header


@asynccontextmanager
async def served(answering: LookupServer) -> AsyncIterator[int]:
    server = await asyncio.start_server(answering.serve, "127.0.0.1", 0, limit=4096)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def ask_agi(port: int, *arguments: str, script: str = "lookup") -> dict[str, str]:
    """What res_agi does: the environment, then an answer to each command; the variables that were set."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"agi_network_script: {script}", "agi_callerid: 0671112233", "agi_dnid: unknown"]
    lines += [f"agi_arg_{place}: {value}" for place, value in enumerate(arguments, 1)]
    writer.write(("\n".join(lines) + "\n\n").encode())
    found: dict[str, str] = {}
    try:
        while line := (await reader.readline()).decode():
            assert line.startswith("SET VARIABLE ")
            name, _, value = line.removeprefix("SET VARIABLE ").rstrip("\n").partition(" ")
            found[name] = value.strip('"')
            writer.write(b"HANGUP\n200 result=1\n")
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return found


async def test_by_fastagi(database: Database, settings: Settings, office: Office) -> None:
    await add_client(database, office, "Oksana Koval", "olena")
    async with served(LookupServer(lookup_at(database, settings).find, ANY, deadline=30)) as port:
        known = {"PBXCRM_NAME": "Oksana Koval", "PBXCRM_EXTENSION": "102"}
        assert await ask_agi(port, "+380671112233", "100") == known
        assert await ask_agi(port) == known
        assert await ask_agi(port, "") == {"PBXCRM_NAME": "", "PBXCRM_EXTENSION": ""}
        assert await ask_agi(port, script="../../etc/passwd") == {}


async def test_two_hundred_at_once_among_those_who_misbehave(
    database: Database, settings: Settings, office: Office
) -> None:
    await add_client(database, office, "Oksana Koval", "olena")
    answering = LookupServer(lookup_at(database, settings).find, ANY, deadline=DEADLINE)
    async with served(answering) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for number, (_, writer) in enumerate(silent):
            writer.write((b"agi_network_script: lookup\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 9000)[number % 3])
        for _ in range(20):
            _, leaver = await asyncio.open_connection("127.0.0.1", port)
            leaver.write(b"agi_network_script: lookup\nagi_arg_1: +380671112233\n\n")
            leaver.close()
            with suppress(ConnectionError):
                await leaver.wait_closed()
        answering.deadline = 30  # of those who come now: what is asked here is that each is answered, on any machine
        few = asyncio.Semaphore(50)  # of the hundred that are looked up at once

        async def ask() -> dict[str, str]:
            async with few:
                return await ask_agi(port, CLIENT, "100")

        answers = await asyncio.gather(*(ask() for _ in range(200)))
        assert [answer["PBXCRM_EXTENSION"] for answer in answers] == ["102"] * 200
        async with asyncio.timeout(60):  # all at the same moment: each comes to an end, if with an empty answer
            at_once = await asyncio.gather(*(ask_agi(port, CLIENT, "100") for _ in range(200)))
        assert {answer.get("PBXCRM_EXTENSION", "") for answer in at_once} <= {"102", ""}
        assert await ask() == {"PBXCRM_NAME": "Oksana Koval", "PBXCRM_EXTENSION": "102"}
        for reader, writer in silent:  # they are shown the door after a second, without an answer
            async with asyncio.timeout(60):
                with suppress(ConnectionError):
                    assert await reader.read() == b""
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@pytest.fixture
async def stalled(postgres_url: str) -> AsyncIterator[Database]:
    """A database whose tables somebody else has locked."""
    database = Database(postgres_url, pool_size=2)
    blocker = Database(postgres_url, pool_size=1)
    async with blocker.engine.connect() as connection:
        for table in ("users", "contacts", "phones", "deals"):
            await connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield database
    await blocker.close()
    await database.close()


@pytest.mark.postgres
async def test_a_stalled_database_delays_nobody(stalled: Database, settings: Settings, redis_url: str) -> None:
    loop = asyncio.get_running_loop()
    redis = Redis.from_url(redis_url)
    app = create_app(settings, stalled, redis)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://crm") as client:
        began = loop.time()
        answers = await asyncio.gather(*(client.get("/dialplan/lookup?number=0671112233") for _ in range(30)))
        assert PATIENCE < loop.time() - began < 20  # it hangs for as long as we let it
        assert {(answer.status_code, answer.text) for answer in answers} == {(200, '{"name":"","extension":""}')}
    lookup = Lookup(stalled, settings, lambda: NOON)
    async with served(LookupServer(lookup.find, ANY, deadline=60)) as port:
        began = loop.time()
        assert await ask_agi(port, CLIENT) == {"PBXCRM_NAME": "", "PBXCRM_EXTENSION": ""}
        assert PATIENCE < loop.time() - began < 20
    await lookup.close()
    await app.state.lookup.close()
    await redis.aclose()


async def test_a_database_that_is_gone_gives_an_empty_answer(tmp_path: Path, settings: Settings) -> None:
    gone = Database(f"sqlite:///{tmp_path / 'empty.db'}")  # without a single table
    assert await lookup_at(gone, settings).find(CLIENT, None) == Caller()
    await gone.close()
