"""The look-up of who calls, through everything real: Asterisk, the example dialplan, our web server and our FastAGI server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from ami.agi import LookupServer
from ami.replay import calls_in
from ami.tracker import TrackerSettings
from pbxcrm.calls.facts import Outcome
from pbxcrm.contacts.actions import create_contact
from pbxcrm.reactions.caller_lookup import Lookup
from pbxcrm.shared.db import Database
from pbxcrm.shared.networks import parse_networks
from pbxcrm.shared.settings import Settings
from tests.asterisk.examples import example_office
from tests.calls import NOON
from tests.integration.web.serving import serving
from tests.office import open_office
from web.app import create_app

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(900)]  # the first run installs Asterisk
GROUP, CLIENT, STRANGER = "0441230001", "+380671112233", "+380501112244"


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """An office whose client Оксана is Olena's, who sits at 102."""
    opened = Database(settings.database_url)
    office = await open_office(opened)
    async with opened.write() as session:
        admin = await office.viewer(session, "admin")
        owner = office.id("olena")
        await create_contact(
            session, admin, name="Оксана Дем'янчук", now=NOON, region="UA", phones=[CLIENT], responsible_id=owner
        )
    yield opened
    await opened.close()


@asynccontextmanager
async def web(settings: Settings, database: Database, redis_url: str) -> AsyncIterator[dict[str, str]]:
    redis = Redis.from_url(redis_url)
    async with serving(create_app(settings, database, redis, clock=lambda: NOON)) as address:
        yield {"crm": address}
    await redis.aclose()


@asynccontextmanager
async def fastagi(settings: Settings, database: Database) -> AsyncIterator[dict[str, str]]:
    lookup = Lookup(database, settings, lambda: NOON)
    answering = LookupServer(lookup.find, parse_networks("127.0.0.0/8"))
    server = await asyncio.start_server(answering.serve, "127.0.0.1", 0, limit=4096)
    async with server:
        yield {"agi": f"agi://127.0.0.1:{server.sockets[0].getsockname()[1]}/lookup"}


@pytest.mark.parametrize(("way", "version"), [("http", "22"), ("fastagi", "22"), ("fastagi", "16")])
async def test_the_clients_name_is_shown_and_their_seller_rings_first(
    way: str, version: str, settings: Settings, database: Database, redis_url: str
) -> None:
    asking = web(settings, database, redis_url) if way == "http" else fastagi(settings, database)
    async with asking as where, example_office(version, **where) as office:
        client = await office.trunk.call_in(GROUP, caller=CLIENT)
        (leg,) = await office.ring("102")
        assert leg.caller_name == "Оксана Дем’янчук"
        assert office.phones["101"].quiet
        leg.answer()
        await client.wait_answered()
        await client.hang_up()
        await office.over()
        stranger = await office.trunk.call_in(GROUP, caller=STRANGER)
        first, *_ = await office.ring("101", "102", "103")
        first.answer()
        await stranger.wait_answered()
        await stranger.hang_up()
        await office.over()
        assert office.server.warnings() == []
        # The look-up's own Local channel is no leg of the call.
        known, unknown = calls_in([bytes(office.manager.raw)], TrackerSettings())
        assert (known.outcome, known.rang, known.talked, known.did) == (Outcome.ANSWERED, ("102",), ("102",), GROUP)
        assert (set(unknown.rang), unknown.talked) == ({"101", "102", "103"}, ("101",))
        assert known.recording is not None
