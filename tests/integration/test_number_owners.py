"""A number in somebody's work is theirs: a client that a stranger makes with it takes over neither the work nor the calls."""

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.callbacks.models import Episode
from pbxcrm.callbacks.queries import client_of
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import create_contact, edit_contact, link_number
from pbxcrm.contacts.merge_actions import merge_contacts
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.deals.actions import create_deal, edit_deal
from pbxcrm.deals.lost import do_lose_deal
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import load_directory
from pbxcrm.reactions.call_context import load_call_context
from pbxcrm.reactions.caller_lookup import Caller, look_up
from pbxcrm.reactions.intake import Intake
from pbxcrm.screenpop.card_actions import make_client
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import NOON, FactStory, batch
from tests.office import Office

X = "+380671112233"
PATHS = ("create", "edit", "link", "merge")


async def answered(intake: Intake, linkedid: str = "1.1", by: str = "101") -> None:
    await intake.apply(batch(FactStory(linkedid, client=X).ring(by).answer(by).wait(9).end()))


async def missed(intake: Intake, linkedid: str = "2.1", rang: str = "101") -> None:
    await intake.apply(batch(FactStory(linkedid, client=X).ring(rang).wait(30).end()))


async def make(session: AsyncSession, viewer: Viewer, name: str, *phones: str) -> Contact:
    made = await create_contact(session, viewer, name=name, now=NOON, region="UA", phones=phones)
    await session.flush()
    return made


async def add_number(session: AsyncSession, viewer: Viewer, path: str) -> int:
    """The viewer's client comes to have the number, by one of the ways to do so."""
    if path == "create":
        return (await make(session, viewer, "Stranger", X)).id or 0
    client_id = (await make(session, viewer, "Stranger")).id or 0
    if path == "edit":
        await edit_contact(session, viewer, client_id, version=None, now=NOON, region="UA", phones=[X])
    elif path == "link":
        await link_number(session, viewer, client_id, X, region="UA", now=NOON)
    else:
        for double in (await make(session, viewer, "Double", X), await make(session, viewer, "Double", X)):
            await session.flush()
            await merge_contacts(session, viewer, double.id or 0, client_id, now=NOON)
    await session.flush()
    return client_id


async def looked_up(database: Database, settings: Settings) -> Caller:
    async with database.read() as session:
        return await look_up(session, await load_call_context(session, settings), X, "", NOON)


async def owned_by_ivan(session: AsyncSession, office: Office) -> tuple[Deal, Episode]:
    deal, episode = (await session.exec(select(Deal))).one(), (await session.exec(select(Episode))).one()
    assert {deal.responsible_id, episode.owner_id} == {office.id("ivan")}
    return deal, episode


@pytest.mark.parametrize("path", PATHS)
async def test_a_stranger_s_client_takes_nothing_over(
    database: Database, office: Office, intake: Intake, settings: Settings, path: str
) -> None:
    await answered(intake)
    await missed(intake)
    async with database.write() as session:
        await owned_by_ivan(session, office)
        petro = await office.viewer(session, "petro")
        client_id = await add_number(session, petro, path)
    assert await looked_up(database, settings) == Caller("", "101")
    async with database.write() as session:
        petro = await office.viewer(session, "petro")
        await create_deal(session, petro, title="T", now=NOON, currency="UAH", region="UA", client_number=X)
        await create_deal(session, petro, title="T", now=NOON, currency="UAH", region="UA", contact_id=client_id)
    assert await looked_up(database, settings) == Caller("", "101")
    await answered(intake, "3.1", by="102")
    await missed(intake, "4.1")
    async with database.read() as session:
        deals = (await session.exec(select(Deal).order_by(col(Deal.id)))).all()
        assert len(deals) == 3
        assert deals[0].contact_id is None
        assert {call.deal_id for call in (await session.exec(select(Call))).all()} == {deals[0].id}
        assert {call.contact_id for call in (await session.exec(select(Call))).all()} == {None}
        for episode in (await session.exec(select(Episode))).all():
            assert episode.contact_id is None
            assert episode.client_key == f"number:{X}"
            assert "Stranger" not in await client_of(session, episode)


@pytest.mark.parametrize("by_hand", [False, True])
async def test_an_open_callback_alone_keeps_the_number(
    database: Database, office: Office, intake: Intake, settings: Settings, by_hand: bool
) -> None:
    """Its deal is lost meanwhile; a number typed into a deal by hand, with or without a client, moves nothing."""
    await answered(intake)
    await missed(intake)
    async with database.write() as session:
        deal, _ = await owned_by_ivan(session, office)
        ivan, petro = await office.viewer(session, "ivan"), await office.viewer(session, "petro")
        people = await load_directory(session)
        await do_lose_deal(session, deal, "too dear", NOON, actor=ivan, people=people)
        episode = (await session.exec(select(Episode))).one()
        episode.status, episode.closed_at = "open", None
        await session.flush()
        if not by_hand:
            await make(session, petro, "Stranger", X)
        await create_deal(session, petro, title="T", now=NOON, currency="UAH", region="UA", client_number=X)
    assert await looked_up(database, settings) == Caller("", "101")
    await answered(intake, "3.1")
    async with database.read() as session:
        call = (await session.exec(select(Call).where(Call.linkedid == "3.1"))).one()
        assert call.deal_id is not None
        assert call.responsible_id == office.id("ivan")


async def test_the_owner_s_own_client_works(
    database: Database, office: Office, intake: Intake, settings: Settings
) -> None:
    await answered(intake)
    await missed(intake)
    async with database.write() as session:
        petro, ivan = await office.viewer(session, "petro"), await office.viewer(session, "ivan")
        await make(session, petro, "Stranger", X)
        own = await make_client(session, ivan, 1, "Oksana", region="UA", now=NOON)
        await session.flush()
        deal, episode = await owned_by_ivan(session, office)
        for row in (deal, episode):
            await session.refresh(row)
            assert row.contact_id == own.id
    assert await looked_up(database, settings) == Caller("Oksana", "101")
    async with database.write() as session:
        await create_deal(
            session, await office.viewer(session, "petro"), title="T", now=NOON, currency="UAH", region="UA",
            client_number=X,
        )  # fmt: skip
    assert await looked_up(database, settings) == Caller("Oksana", "101")


async def test_the_owner_s_manager_accepts_the_client(
    database: Database, office: Office, intake: Intake, settings: Settings
) -> None:
    await answered(intake)
    async with database.write() as session:
        petro, admin = await office.viewer(session, "petro"), await office.viewer(session, "admin")
        client = await make(session, petro, "Oksana", X)
        deal = (await session.exec(select(Deal))).one()
        await edit_deal(session, admin, deal.id or 0, version=None, now=NOON, contact_id=client.id, keep_contact=False)
    assert await looked_up(database, settings) == Caller("Oksana", "101")


async def test_when_the_work_is_over_the_client_counts(
    database: Database, office: Office, intake: Intake, settings: Settings
) -> None:
    await answered(intake)
    async with database.write() as session:
        petro, ivan = await office.viewer(session, "petro"), await office.viewer(session, "ivan")
        await make(session, petro, "Oksana", X)
        deal = (await session.exec(select(Deal))).one()
        people = await load_directory(session)
        await do_lose_deal(session, deal, "too dear", NOON, actor=ivan, people=people)
    assert await looked_up(database, settings) == Caller("Oksana", "201")


async def test_who_answered_for_a_colleague_makes_a_client_beside_the_deal(
    database: Database, office: Office, intake: Intake, settings: Settings
) -> None:
    """The dock's "New client" of somebody who took the call but may not change the caller's deal."""
    await answered(intake)
    await answered(intake, "3.1", by="201")
    async with database.write() as session:
        petro = await office.viewer(session, "petro")
        client = await make_client(session, petro, 2, "Mine", region="UA", now=NOON, deal_currency="UAH")
        deal = (await session.exec(select(Deal).where(Deal.made_by_call_id == 1))).one()
        await session.refresh(deal)
        assert deal.contact_id is None
        assert [call.contact_id for call in (await session.exec(select(Call).order_by(col(Call.id)))).all()] == [
            None,
            client.id,
        ]
    assert await looked_up(database, settings) == Caller("", "101")


async def test_nobody_s_work_goes_to_whoever_makes_the_client(
    database: Database, office: Office, intake: Intake, settings: Settings
) -> None:
    await answered(intake)
    async with database.write() as session:
        deal = (await session.exec(select(Deal))).one()
        deal.responsible_id = None
        client = await make(session, await office.viewer(session, "petro"), "Oksana", X)
        await session.refresh(deal)
        assert deal.contact_id == client.id
        assert not (await session.exec(select(Phone.beside))).one()


async def test_a_later_client_with_the_number_and_a_deal_comes_after_the_first(
    database: Database, office: Office, settings: Settings
) -> None:
    """The first client's seller has no open deal."""
    async with database.write() as session:
        ivan, petro = await office.viewer(session, "ivan"), await office.viewer(session, "petro")
        await make(session, ivan, "First", X)
        client = await make(session, petro, "Second", X)
        for how in ({"client_number": X}, {"contact_id": client.id}):
            await create_deal(session, petro, title="T", now=NOON, currency="UAH", region="UA", **how)
    assert await looked_up(database, settings) == Caller("First", "101")


async def test_of_deals_made_by_hand_the_first_to_have_the_number_counts(
    database: Database, office: Office, intake: Intake, settings: Settings
) -> None:
    async with database.write() as session:
        for login in ("ivan", "petro"):
            await create_deal(
                session, await office.viewer(session, login), title="T", now=NOON, currency="UAH", region="UA",
                client_number=X,
            )  # fmt: skip
            await session.flush()
    assert await looked_up(database, settings) == Caller("", "101")
    await answered(intake, "3.1")
    async with database.read() as session:
        first = (await session.exec(select(Deal.id).where(Deal.responsible_id == office.id("ivan")))).one()
        assert (await session.exec(select(Call.deal_id))).one() == first
