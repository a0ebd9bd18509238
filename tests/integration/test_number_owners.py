"""A number is whose it was first, in a client, an open deal or an open callback: whoever comes later takes over neither the work nor
the calls.

``FIRST`` × ``LATER`` × ``WHO`` is every order of two acts with one number; the other tests go further into single ones.
"""

from datetime import timedelta

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.queries import client_of
from pbxcrm.calls.models import Call
from pbxcrm.contacts.known_numbers import whose_numbers
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.actions import edit_deal, move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.lost import do_lose_deal
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.people.directory import load_directory
from pbxcrm.reactions.call_context import load_call_context
from pbxcrm.reactions.caller_lookup import Caller, look_up
from pbxcrm.reactions.intake import Intake
from pbxcrm.screenpop.card_actions import make_client
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import NOON
from tests.number_owners import (
    EXTENSION,
    FIRST,
    LATER,
    LATER_ON,
    PATHS,
    WHO,
    X,
    act,
    add_number,
    answered,
    make,
    missed,
)
from tests.office import Office


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
        await create_deal(
            session,
            petro,
            title="T",
            now=LATER_ON + timedelta(minutes=5),
            currency="UAH",
            second=True,
            region="UA",
            client_number=X,
        )
        await create_deal(
            session,
            petro,
            title="T",
            now=LATER_ON + timedelta(minutes=5),
            currency="UAH",
            second=True,
            region="UA",
            contact_id=client_id,
        )
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
        await create_deal(
            session,
            petro,
            title="T",
            now=LATER_ON + timedelta(minutes=5),
            currency="UAH",
            second=True,
            region="UA",
            client_number=X,
        )
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
        own = await make_client(session, ivan, 1, "Oksana", region="UA", now=LATER_ON + timedelta(minutes=1))
        await session.flush()
        deal, episode = await owned_by_ivan(session, office)
        for row in (deal, episode):
            await session.refresh(row)
            assert row.contact_id == own.id
    assert await looked_up(database, settings) == Caller("Oksana", "101")
    async with database.write() as session:
        await create_deal(
            session, await office.viewer(session, "petro"), title="T", now=LATER_ON + timedelta(minutes=5), currency="UAH", second=True, region="UA",
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
        await edit_deal(
            session, admin, deal.id or 0, version=None, now=LATER_ON, contact_id=client.id, keep_contact=False
        )
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
        client = await make_client(session, petro, 2, "Mine", region="UA", now=LATER_ON, deal_currency="UAH")
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


async def test_a_later_client_with_the_number_and_a_deal_comes_after_the_first(
    database: Database, office: Office, settings: Settings
) -> None:
    """The first client's seller has no open deal."""
    async with database.write() as session:
        ivan, petro = await office.viewer(session, "ivan"), await office.viewer(session, "petro")
        await make(session, ivan, "First", X)
        client = await make(session, petro, "Second", X, at=LATER_ON + timedelta(minutes=1))
        for how in ({"client_number": X}, {"contact_id": client.id}):
            await create_deal(
                session,
                petro,
                title="T",
                now=LATER_ON + timedelta(minutes=5),
                currency="UAH",
                second=True,
                region="UA",
                **how,
            )
    assert await looked_up(database, settings) == Caller("First", "101")


async def test_of_deals_made_by_hand_the_first_to_have_the_number_counts(
    database: Database, office: Office, intake: Intake, settings: Settings
) -> None:
    async with database.write() as session:
        for minute, login in enumerate(("ivan", "petro")):
            at = NOON - timedelta(minutes=9 - minute)
            await create_deal(
                session, await office.viewer(session, login), title="T", now=at, currency="UAH", second=True, region="UA",
                client_number=X,
            )  # fmt: skip
            await session.flush()
    assert await looked_up(database, settings) == Caller("", "101")
    await answered(intake, "3.1")
    async with database.read() as session:
        first = (await session.exec(select(Deal.id).where(Deal.responsible_id == office.id("ivan")))).one()
        assert (await session.exec(select(Call.deal_id))).one() == first


async def finish_first(database: Database, office: Office) -> None:
    """Ivan's deals are lost and his callbacks closed."""
    async with database.write() as session:
        people, ivan = await load_directory(session), await office.viewer(session, "ivan")
        for deal in (await session.exec(select(Deal).where(Deal.responsible_id == office.id("ivan")))).all():
            await do_lose_deal(session, deal, "too dear", LATER_ON, actor=ivan, people=people)
        for episode in (await session.exec(select(Episode).where(Episode.owner_id == office.id("ivan")))).all():
            episode.status, episode.closed_at = EpisodeStatus.DISMISSED.value, LATER_ON


def expected(first: str, later: str, who: str) -> Caller:
    """What the PBX is told of the number after ivan's ``first`` and then ``later`` of ``who``."""
    name = "Client of ivan" if first == "client" or (who == "ivan" and later.startswith("client")) else ""
    # Whoever talks to a client that nobody works on has the deal (A2): a call is no text that anybody can type.
    talked = later == "call" and first in {"callback", "client"}
    if first == "client" and who == "ivan" and later.startswith("client"):
        name += " +1"  # a family, or an office
    return Caller(name, EXTENSION[who if talked else "ivan"])


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("first", FIRST)
async def test_whoever_has_the_number_first_keeps_it(
    database: Database, office: Office, intake: Intake, settings: Settings, first: str, later: str, who: str
) -> None:
    await act(database, office, intake, first, "ivan", 1)
    await act(database, office, intake, later, who, 5)
    told = expected(first, later, who)
    assert await looked_up(database, settings) == told
    await act(
        database, office, intake, "call", who, 9
    )  # whoever answers the next call, it stays in the first one's work
    async with database.read() as session:
        last = (await session.exec(select(Call).where(Call.linkedid == "9.1"))).one()
        if first in {"hand", "call"} or later == "call":
            owner = next(login for login, extension in EXTENSION.items() if extension == told.extension)
            assert (await session.get_one(Deal, last.deal_id)).responsible_id == office.id(owner)
        named = await session.get(Contact, last.contact_id) if last.contact_id is not None else None
        if "+1" not in told.name:
            assert (named.name if named is not None else "") == told.name
    if first in {"hand", "call"}:
        assert await looked_up(database, settings) == told
        await finish_first(database, office)
        free = await looked_up(database, settings)
        if who != "ivan" and later == "hand":
            assert free == Caller("", EXTENSION[who])
        elif who != "ivan" and later.startswith("client"):
            assert free == Caller(f"Client of {who}", EXTENSION[who])


@pytest.mark.parametrize("who", ["olena", "petro"])
@pytest.mark.parametrize("later", ["hand", "client", "client with deal"])
@pytest.mark.parametrize("first", ["hand", "call", "callback"])
async def test_whoever_has_the_number_makes_their_client_in_one_act_and_keeps_it(
    database: Database, office: Office, intake: Intake, settings: Settings, first: str, later: str, who: str
) -> None:
    """Also when the work is over: the client has the number as long as the work for which it was made."""
    await act(database, office, intake, first, "ivan", 1)
    await act(database, office, intake, later, who, 5)
    await act(database, office, intake, "client", "ivan", 7)
    assert await looked_up(database, settings) == Caller("Client of ivan", "101")
    await finish_first(database, office)
    assert await looked_up(database, settings) == Caller("Client of ivan", "101")


@pytest.mark.parametrize("first", [*FIRST, ""])
@pytest.mark.parametrize("later", ["hand", "client"])
async def test_a_stranger_s_look_up_is_the_same_whether_or_not_somebody_else_has_the_number(
    database: Database, office: Office, intake: Intake, settings: Settings, first: str, later: str
) -> None:
    if first:
        await act(database, office, intake, first, "ivan", 1)
    for at in (3, 5):
        async with database.read() as session:
            petro, context = await office.viewer(session, "petro"), await load_call_context(session, settings)
            own = Caller("Client of petro" if later == "client" else "", "201") if at == 5 else Caller()
            assert await look_up(session, context, X, "", NOON, petro) == own
            known = await whose_numbers(session, petro, [X])
            assert [each.contact.name for each in known if each.contact is not None] == [own.name] * bool(own.name)
        if at == 3:
            await act(database, office, intake, later, "petro", 4)


@pytest.mark.parametrize("first", ["hand", "call"])
async def test_a_client_that_was_accepted_by_mistake_is_taken_off_with_one_act(
    database: Database, office: Office, intake: Intake, settings: Settings, first: str
) -> None:
    await act(database, office, intake, first, "ivan", 1)
    await act(database, office, intake, "client", "petro", 5)
    async with database.write() as session:
        admin, client = await office.viewer(session, "admin"), (await session.exec(select(Contact.id))).one()
        for contact_id, told in ((client, Caller("Client of petro", "101")), (None, Caller("", "101"))):
            who = admin if contact_id is not None else await office.viewer(session, "ivan")
            deal_id = (await session.exec(select(Deal.id))).one() or 0
            await edit_deal(
                session, who, deal_id, version=None, now=LATER_ON, contact_id=contact_id, keep_contact=False
            )
            await session.flush()
            context = await load_call_context(session, settings)
            assert await look_up(session, context, X, "", NOON) == told


@pytest.mark.parametrize("undo", [False, True])
async def test_a_reopened_deal_comes_after_who_has_the_number_meanwhile(
    database: Database, office: Office, intake: Intake, settings: Settings, undo: bool
) -> None:
    """Otherwise an old lost deal would take a colleague's caller. To undo a mistake is not to come later."""
    await act(database, office, intake, "hand", "petro", 1)
    async with database.write() as session:
        petro, deal_id = await office.viewer(session, "petro"), (await session.exec(select(Deal.id))).one() or 0
        stages = {stage.kind: stage.id or 0 for stage in (await session.exec(select(Stage))).all()}
        left = (await session.exec(select(Deal.stage_id))).one()
        lost, at = stages[StageKind.LOST], NOON + timedelta(minutes=3)
        await move_deal(session, petro, deal_id, lost, version=None, now=at, lost_reason="too dear")
    await act(database, office, intake, "hand", "ivan", 5)
    assert await looked_up(database, settings) == Caller("", "101")
    async with database.write() as session:
        petro, at = await office.viewer(session, "petro"), NOON + timedelta(minutes=7)
        await move_deal(session, petro, deal_id, left, version=None, now=at, undo=undo, second=True)
    assert await looked_up(database, settings) == Caller("", "201" if undo else "101")


async def test_a_reopened_deal_that_a_call_made_comes_after_a_client_that_was_made_meanwhile(
    database: Database, office: Office, intake: Intake, settings: Settings
) -> None:
    await answered(intake, by="201")
    async with database.write() as session:
        petro, deal_id = await office.viewer(session, "petro"), (await session.exec(select(Deal.id))).one() or 0
        stages = {stage.kind: stage.id or 0 for stage in (await session.exec(select(Stage))).all()}
        left, lost = (await session.exec(select(Deal.stage_id))).one(), stages[StageKind.LOST]
        at = NOON + timedelta(minutes=3)
        await move_deal(session, petro, deal_id, lost, version=None, now=at, lost_reason="too dear")
    async with database.write() as session:
        await make(session, await office.viewer(session, "ivan"), "Client", X, at=NOON + timedelta(minutes=5))
    async with database.write() as session:
        petro, at = await office.viewer(session, "petro"), NOON + timedelta(minutes=7)
        await move_deal(session, petro, deal_id, left, version=None, now=at)
    assert await looked_up(database, settings) == Caller("Client", "101")
