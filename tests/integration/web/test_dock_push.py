"""What is pushed to docks: only the cards of which something was said are drawn again, and none is ever older than its call."""

from datetime import timedelta
from decimal import Decimal

import pytest
from redis.asyncio import Redis
from sqlmodel import select

from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.models import Deal
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import NOON, FactStory, batch
from tests.integration.web.conftest import SetClock
from tests.office import Office
from tests.statements import statements
from web.app import create_app
from web.live import RenderRequest
from web.pages.dock import DRAWN_ANEW_AFTER, pusher

FIRST, SECOND = "17.1", "17.2"


class Docks:
    """Ivan's dock as it is pushed to him; ``ids`` are those of the two calls."""

    def __init__(self, settings: Settings, database: Database, redis: Redis, clock: SetClock, office: Office) -> None:
        self.database, self.office = database, office
        self._push = pusher(create_app(settings, database, redis, clock=clock).state.parts)
        self._asked: RenderRequest | None = None

    async def push(self, *about: str) -> str:
        if self._asked is None:
            async with self.database.read() as session:
                self._asked = RenderRequest(await self.office.viewer(session, "ivan"), {}, set())
        self._asked.about = set(about)
        ((asked, html),) = [pushed async for pushed in self._push([self._asked])]
        assert asked is self._asked
        return html.whole()

    async def call_id(self, linkedid: str) -> str:
        async with self.database.read() as session:
            return str((await session.exec(select(Call.id).where(Call.linkedid == linkedid))).one())

    async def set_amount(self, amount: int) -> None:
        """Of all deals, without a word to anybody."""
        async with self.database.write() as session:
            for deal in (await session.exec(select(Deal))).all():
                deal.amount = Decimal(amount)


@pytest.fixture
def clock() -> SetClock:
    found = SetClock()
    found.now = NOON + timedelta(minutes=5)
    return found


@pytest.fixture
async def docks(
    settings: Settings, database: Database, redis: Redis, clock: SetClock, office: Office, intake: Intake
) -> Docks:
    """Ivan has talked to one client, and another one rings."""
    found = Docks(settings, database, redis, clock, office)
    await intake.apply(batch(FactStory(FIRST, client="+380671110001").ring("101").answer("101").wait(30).end()))
    await intake.apply(batch(FactStory(SECOND, client="+380671110002", at=NOON + timedelta(minutes=4)).ring("101")))
    return found


def state(html: str, call_id: str) -> str:
    """``ringing``, ``talking`` or ``after``; empty where the call has no card."""
    before, found, _ = html.partition(f'id="call-{call_id}" ')
    return before.rpartition('class="callcard ')[2].partition('"')[0] if found else ""


async def test_what_nobody_spoke_of_is_not_drawn_again(docks: Docks, clock: SetClock) -> None:
    first, second = await docks.call_id(FIRST), await docks.call_id(SECOND)
    html = await docks.push("")
    assert (state(html, first), state(html, second)) == ("after", "ringing")
    await docks.set_amount(7100)
    assert "7,100" not in await docks.push(second)
    assert "7,100" in await docks.push(first)
    await docks.set_amount(7200)
    assert "7,200" in await docks.push("")
    await docks.set_amount(7300)
    assert "7,300" not in await docks.push(second)
    clock.now += DRAWN_ANEW_AFTER
    assert "7,300" in await docks.push(second)


async def test_a_client_with_somebody_responsible_is_not_said_to_be_unknown(docks: Docks) -> None:
    """Ivan has talked to somebody without a name: their deal is his, and no client is named."""
    html = await docks.push("")
    card = html.partition(f'id="call-{await docks.call_id(FIRST)}" ')[2].partition('class="callcard ')[0]
    assert "your deal" in card
    assert "not known yet" not in card


async def test_a_deal_that_was_given_away_leaves_the_client_whose_it_was(docks: Docks) -> None:
    async with docks.database.write() as session:
        ivan = await docks.office.viewer(session, "ivan")
        await create_contact(session, ivan, name="Andriy", phones=["+380671110001"], now=NOON, region="UA")
        for deal in (await session.exec(select(Deal))).all():
            deal.responsible_id = docks.office.id("olena")
    html = await docks.push("")
    card = html.partition(f'id="call-{await docks.call_id(FIRST)}" ')[2].partition('class="callcard ')[0]
    assert ("your client" in card, "a deal of Olena" in card) == (True, True)
    assert ("client of" in card, "your deal" in card) == (False, False)


async def test_a_card_is_never_older_than_its_call(docks: Docks, intake: Intake) -> None:
    """Also where the word of its change was lost."""
    first, second = await docks.call_id(FIRST), await docks.call_id(SECOND)
    await docks.push("")
    ringing = FactStory(SECOND, client="+380671110002", at=NOON + timedelta(minutes=4)).ring("101")
    await intake.apply(batch(ringing.wait(3).answer("101")))
    html = await docks.push(first)
    assert (state(html, first), state(html, second)) == ("after", "talking")
    assert "Talking" in html
    await intake.apply(batch(ringing.wait(3).end()))
    html = await docks.push(first)
    assert (state(html, first), state(html, second)) == ("after", "after")
    assert "Talking" not in html


async def test_a_card_that_goes_away_asks_nothing_of_its_client(
    docks: Docks, database: Database, intake: Intake
) -> None:
    second = await docks.call_id(SECOND)
    await docks.push("")
    await intake.apply(
        batch(FactStory(SECOND, client="+380671110002", at=NOON + timedelta(minutes=4)).ring("101").end())
    )
    with statements(database) as sent:
        html = await docks.push(second)
    assert state(html, second) == ""
    assert len([statement for statement in sent if statement.startswith("SELECT")]) == 2
