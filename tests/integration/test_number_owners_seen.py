"""What people see and hear of a number that is another's: cards, recordings and the forms in which it is typed."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.calls.access import audible_of
from pbxcrm.calls.models import Call
from pbxcrm.contacts.known_numbers import check_unknown, whose_numbers
from pbxcrm.contacts.models import Contact
from pbxcrm.people.directory import load_directory
from pbxcrm.reactions.intake import Intake
from pbxcrm.screenpop.card_actions import choose_contact
from pbxcrm.screenpop.deal_access import deal_access_of
from pbxcrm.screenpop.dock_queries import load_cards, load_docks
from pbxcrm.screenpop.rules import CardState
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid, NotAllowed, NotFound
from tests.calls import NOON, FactStory, batch
from tests.number_owners import FIRST, LATER_ON, PATHS, WHO, X, act, add_number, answered, make, make_deals, missed
from tests.office import Office

NAME = {"ivan": "Ivan Kravets", "olena": "Olena Hryhorenko", "petro": "Petro Other"}


@pytest.mark.parametrize("path", [*PATHS, "card"])
async def test_whoever_merely_rang_makes_no_client_through_which_they_hear_the_call(
    database: Database, office: Office, intake: Intake, path: str
) -> None:
    await intake.apply(batch(FactStory("1.1", client=X).ring("101", "102").answer("101").wait(9).end()))
    await missed(intake, "2.1", rang="102")  # the deal is ivan's, and so is the miss
    async with database.write() as session:
        petro = await office.viewer(session, "petro")
        await add_number(session, petro, "create" if path == "card" else path)
    if path == "card":
        async with database.write() as session:
            petro = await office.viewer(session, "petro")
            stranger = (await session.exec(select(Contact.id).where(Contact.name == "Stranger"))).one() or 0
            talked = (await session.exec(select(Call.id).where(col(Call.answered_by).is_not(None)))).one() or 0
            with pytest.raises((NotAllowed, NotFound)):
                await choose_contact(session, petro, talked, stranger, LATER_ON)
    async with database.read() as session:
        petro = await office.viewer(session, "petro")
        calls = (await session.exec(select(Call))).all()
        assert {call.contact_id for call in calls} == {None}
        assert not await audible_of(session, petro, [call.id for call in calls])


async def test_the_card_of_the_first_owner_names_no_stranger_s_later_client(
    database: Database, office: Office, intake: Intake
) -> None:
    await answered(intake)
    async with database.write() as session:
        await make(session, await office.viewer(session, "petro"), "Secret of Petro", X)
    await answered(intake, "3.1")
    async with database.read() as session:
        ivan = await office.viewer(session, "ivan")
        at = NOON + timedelta(minutes=2)
        docks = await load_docks(session, [ivan], at)
        wanted = [(ivan.user_id, place) for place in docks[ivan.user_id].places]
        cards = (await load_cards(session, [ivan], docks, wanted, at, NOON)).values()
        assert cards
        for card in cards:
            assert (card.contact, card.candidates, card.others) == (None, [], [])


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("first", FIRST)
async def test_who_types_a_number_learns_whose_it_is_as_far_as_they_may_know(
    database: Database, office: Office, intake: Intake, first: str, who: str
) -> None:
    """Forms, search and REST ask this. A colleague is named, whatever they have with the number; another team is not."""
    await act(database, office, intake, first, "ivan", 1)
    async with database.read() as session:
        viewer = await office.viewer(session, who)
        told = [(known.contact, known.responsible) for known in await whose_numbers(session, viewer, [X])]
        assert (
            told
            == {
                "ivan": [((await session.exec(select(Contact))).one(), NAME["ivan"])] if first == "client" else [],
                "olena": [(None, NAME["ivan"])],
                "petro": [],
            }[who]
        )
        if who == "olena":
            with pytest.raises(Invalid, match=NAME["ivan"]):
                await check_unknown(session, viewer, ["067 111 22 33"], "UA", "phones")
        elif first != "client":
            await check_unknown(session, viewer, ["067 111 22 33"], "UA", "phones")


@pytest.mark.parametrize("later", ["", "hand", "client", "client with deal"])
@pytest.mark.parametrize("first", FIRST)
async def test_a_card_says_whose_the_caller_is_and_nothing_of_what_another_team_has_beside(
    database: Database, office: Office, intake: Intake, first: str, later: str
) -> None:
    await act(database, office, intake, first, "ivan", 1)
    if later:
        await act(database, office, intake, later, "petro", 5)
    async with database.write() as session:
        await make_deals(session, yes=False)
    await intake.apply(batch(FactStory("9.1", client=X, at=NOON + timedelta(minutes=9)).ring("101", "102", "201")))
    at = NOON + timedelta(minutes=9)
    async with database.read() as session:
        viewers, people = [await office.viewer(session, login) for login in WHO], await load_directory(session)
        docks = await load_docks(session, viewers, at)
        wanted = [
            (each.user_id, place)
            for each in viewers
            for place in docks[each.user_id].places
            if place.state is CardState.RINGING
        ]
        cards = await load_cards(session, viewers, docks, wanted, at, NOON)
        assert len(cards) == len(WHO)
        for (user_id, _place), card in cards.items():
            who = next(login for login in WHO if office.id(login) == user_id)
            viewer = next(each for each in viewers if each.user_id == user_id)
            petros = [row for row in card.deals if row.deal.responsible_id == office.id("petro")]
            assert bool(petros) == (who == "petro" and later in {"hand", "client with deal"})
            assert deal_access_of(viewer, [card], people).deals == {
                row.deal.id for row in card.deals if row.deal.responsible_id == user_id
            }
            named = {contact.name for contact in [card.contact, *card.candidates, *card.others] if contact is not None}
            assert named == ({"Client of ivan"} if first == "client" else set()) | (
                {"Client of petro"} if first == "client" and who == "petro" and later.startswith("client") else set()
            )
            if first != "callback":  # an open callback gives its owner the next call, but the card has no line for it
                assert card.responsible is not None
                assert card.responsible.name == NAME["ivan"]
