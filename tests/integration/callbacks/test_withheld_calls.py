"""Calls with a withheld number: listed, and given to a client with their deal and callback; no number is linked; taken back."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.callbacks.models import Episode
from pbxcrm.callbacks.withheld_actions import give_withheld_call
from pbxcrm.calls.models import Call
from pbxcrm.calls.queries import CallFilter, list_calls
from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.models import Phone
from pbxcrm.deals.models import Deal
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid, NotAllowed, NotFound
from tests.calls import NOON, FactStory, batch
from tests.office import Office

NUMBER = "+380671112233"


async def hear(intake: Intake, position: int, client: str | None, minute: int) -> None:
    at = NOON + timedelta(minutes=minute)
    story = FactStory(f"1700000000.{position}", client=client, at=at).ring("101").wait(20).end()
    await intake.apply(batch(story, position=position))


async def calls(database: Database) -> list[Call]:
    async with database.read() as session:
        return list((await session.exec(select(Call).order_by(col(Call.id)))).all())


async def episodes(database: Database) -> list[tuple[str, int | None]]:
    async with database.read() as session:
        rows = (await session.exec(select(Episode).order_by(col(Episode.id)))).all()
        return [(row.client_key.partition(":")[0], row.contact_id) for row in rows]


async def test_a_withheld_call_is_listed_and_given_to_a_client(
    database: Database, office: Office, intake: Intake
) -> None:
    await hear(intake, 1, None, 1)
    await hear(intake, 2, "+380501112233", 2)
    first, second = await calls(database)
    async with database.read() as session:
        admin, ivan = await office.viewer(session, "admin"), await office.viewer(session, "ivan")
        petro, kira = await office.viewer(session, "petro"), await office.viewer(session, "kira")
        found = await list_calls(session, admin, CallFilter(anonymous=True))
        assert [row.call.id for row in found.rows] == [first.id]
    async with database.write() as session:
        client = await create_contact(session, admin, name="Marta", phones=[NUMBER], now=NOON, region="UA")
        assert client.id
        with pytest.raises(Invalid) as refused:
            await give_withheld_call(session, admin, second.id or 0, client.id, now=NOON)
        assert refused.value.code == "calls.not_withheld"
        with pytest.raises(NotAllowed):
            await give_withheld_call(session, kira, first.id or 0, client.id, now=NOON)
        with pytest.raises(NotFound):
            await give_withheld_call(session, petro, first.id or 0, client.id, now=NOON)
        with pytest.raises(Invalid) as unseen:  # one may not reach a client that one does not see
            await give_withheld_call(session, ivan, first.id or 0, client.id, now=NOON)
        assert unseen.value.code == "contacts.not_found"
    async with database.write() as session:
        await give_withheld_call(session, admin, first.id or 0, client.id, now=NOON)
    first = (await calls(database))[0]
    assert (first.contact_id, first.client_number) == (client.id, None)
    assert ("contact", client.id) in await episodes(database)
    async with database.read() as session:
        deal = await session.get_one(Deal, first.deal_id)
        assert (deal.contact_id, deal.client_number) == (client.id, None)
        numbers = (await session.exec(select(Phone.number).where(Phone.contact_id == client.id))).all()
        assert list(numbers) == [NUMBER]
    async with database.write() as session:
        await give_withheld_call(session, admin, first.id or 0, None, now=NOON)
    first = (await calls(database))[0]
    assert first.contact_id is None
    assert [kind for kind, _ in await episodes(database)] == ["anonymous", "number"]
    async with database.read() as session:
        assert (await session.get_one(Deal, first.deal_id)).contact_id is None


async def test_a_callback_that_other_callers_share_stays_nobodys(
    database: Database, office: Office, intake: Intake
) -> None:
    await hear(intake, 1, None, 1)
    await hear(intake, 2, None, 2)
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        client = await create_contact(session, admin, name="Marta", phones=[NUMBER], now=NOON, region="UA")
        [first, _second] = await calls(database)
        await give_withheld_call(session, admin, first.id or 0, client.id, now=NOON)
    assert await episodes(database) == [("anonymous", None)]


async def test_a_colleagues_callback_is_not_given_away(database: Database, office: Office, intake: Intake) -> None:
    """Whoever may say who called does not therefore decide about the callback that a colleague of theirs has."""
    await hear(intake, 1, None, 1)
    [call] = await calls(database)
    async with database.write() as session:
        olena = await office.viewer(session, "olena")
        client = await create_contact(session, olena, name="Marta", phones=[NUMBER], now=NOON, region="UA")
        found = await session.get_one(Call, call.id)
        found.responsible_id = olena.user_id
        [episode] = (await session.exec(select(Episode))).all()
        episode.owner_id = office.id("ivan")
    async with database.write() as session:
        await give_withheld_call(session, olena, call.id or 0, client.id, now=NOON)
    assert (await calls(database))[0].contact_id == client.id
    assert await episodes(database) == [("anonymous", None)]
    async with database.write() as session:
        maria = await office.viewer(session, "maria")
        await give_withheld_call(session, maria, call.id or 0, None, now=NOON)
        await give_withheld_call(session, maria, call.id or 0, client.id, now=NOON)
    assert await episodes(database) == [("contact", client.id)]
