"""The dock as each person sees it while a call goes on, on both databases."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.calls.facts import Direction
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.models import Contact, Phone, SpecialNumber
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.models import Deal, Note, Stage
from pbxcrm.people.actions import edit_user
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.reactions.intake import Intake
from pbxcrm.screenpop import card_actions, outcome_actions
from pbxcrm.screenpop.card_contents import Card
from pbxcrm.screenpop.deal_access import deal_access_of
from pbxcrm.screenpop.dock_queries import load_cards, load_docks
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.shared.events import Outbox
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch
from tests.office import Office

CLIENT = "+380671112233"
LATER = NOON + timedelta(minutes=5)
TODAY = LATER.replace(hour=0, minute=0)


async def dock(database: Database, office: Office, login: str, popup: str = "ringing") -> list[Card]:
    async with database.read() as session:
        viewer = replace(await office.viewer(session, login), popup=popup)
        docks = await load_docks(session, [viewer], LATER)
        wanted = [(viewer.user_id, place) for place in docks[viewer.user_id].places]
        cards = await load_cards(session, [viewer], docks, wanted, LATER, TODAY)
        return [cards[place] for place in wanted]


async def states(database: Database, office: Office) -> dict[str, list[str]]:
    return {
        login: [card.state.value for card in await dock(database, office, login)]
        for login in ("ivan", "olena", "maria", "petro")
    }


async def test_the_card_follows_the_call(database: Database, office: Office, intake: Intake) -> None:
    story = FactStory().ring("101", "102")
    await intake.apply(batch(story))
    assert await states(database, office) == {"ivan": ["ringing"], "olena": ["ringing"], "maria": [], "petro": []}
    await intake.apply(batch(story.wait(4).answer("102")))
    assert await states(database, office) == {"ivan": [], "olena": ["talking"], "maria": [], "petro": []}
    await intake.apply(batch(story.wait(60).end()))
    assert await states(database, office) == {"ivan": [], "olena": ["after"], "maria": [], "petro": []}
    (card,) = await dock(database, office, "olena")
    async with database.write() as session:
        await outcome_actions.finish(session, await office.viewer(session, "olena"), card.call.id or 0, "done", LATER)
    assert await states(database, office) == {"ivan": [], "olena": [], "maria": [], "petro": []}


async def test_only_those_whose_screens_change_are_told(database: Database, office: Office, intake: Intake) -> None:
    async def told() -> list[list[int]]:
        async with database.write() as session:
            rows = (await session.exec(select(Outbox))).all()
            for row in rows:
                await session.delete(row)
        return [row.users for row in rows if row.topic == "dock"]

    await told()
    story = FactStory().ring("101")
    await intake.apply(batch(story))
    assert await told() == [[office.id("ivan")]]
    story.facts.clear()
    await intake.apply(batch(story.ring("102")))
    assert await told() == [[office.id("olena")]]
    story.facts.clear()
    await intake.apply(batch(story.answer("102")))
    assert await told() == [sorted([office.id("ivan"), office.id("olena")])]


async def test_what_the_card_shows(database: Database, office: Office, intake: Intake) -> None:
    async with database.write() as session:
        contact = Contact(name="Zoria Ltd", responsible_id=office.id("ivan"), created_at=NOON)
        session.add(contact)
        await session.flush()
        session.add(Phone(contact_id=contact.id or 0, number=CLIENT))
    await intake.apply(batch(FactStory("17.1").ring("101").wait(30).end()))
    await intake.apply(batch(FactStory("17.2", at=NOON + timedelta(minutes=4), queue="sales").ring("101")))
    (card,) = await dock(database, office, "ivan")
    assert card.contact is not None
    assert (card.contact.name, card.missed_today, card.calls_this_week) == ("Zoria Ltd", 1, 2)
    assert [row.stage.name for row in card.deals] == ["Didn't reach"]
    assert card.responsible is not None
    assert card.responsible.id == office.id("ivan")
    assert [past.outcome for past, _ in card.past] == ["missed"]


async def test_one_of_several_is_chosen_and_remembered(database: Database, office: Office, intake: Intake) -> None:
    ids = []
    async with database.write() as session:
        for name in ("Petro Lys", "Lys & Sons"):
            contact = Contact(name=name, created_at=NOON - timedelta(days=1))
            session.add(contact)
            await session.flush()
            ids.append(contact.id or 0)
            session.add(Phone(contact_id=ids[-1], number=CLIENT))
    story = FactStory("17.1").ring("101").answer("101")
    await intake.apply(batch(story))
    (card,) = await dock(database, office, "ivan")
    assert [contact.id for contact in card.candidates] == ids
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        with pytest.raises(Invalid):
            await card_actions.choose_contact(session, viewer, card.call.id or 0, 4711, LATER)
        await card_actions.choose_contact(session, viewer, card.call.id or 0, ids[1], LATER)
    await intake.apply(batch(story.end(), FactStory("17.2", at=LATER).ring("101")))
    again = (await dock(database, office, "ivan"))[0]
    assert (again.state, again.contact and again.contact.id, again.candidates) == ("ringing", ids[1], [])
    assert [contact.id for contact in again.others] == ids[:1]  # to put a wrong choice right
    await intake.apply(batch(FactStory("17.3", at=LATER + timedelta(minutes=1)).ring("101").answer("101")))
    async with database.read() as session:
        call = (await session.exec(select(Call).where(Call.linkedid == "17.3"))).one()
        deal = (await session.exec(select(Deal))).one()
    assert call.contact_id == deal.contact_id == ids[1]


async def test_notes_are_kept_as_one_types(database: Database, office: Office, intake: Intake) -> None:
    await intake.apply(batch(FactStory().ring("101").answer("101")))
    (card,) = await dock(database, office, "ivan")
    for text in ("asks", "asks for oak", ""):
        async with database.write() as session:
            await card_actions.save_note(session, await office.viewer(session, "ivan"), card.call.id or 0, text, LATER)
        (card,) = await dock(database, office, "ivan")
        assert card.note == text
    async with database.write() as session:
        await card_actions.save_note(session, await office.viewer(session, "ivan"), card.call.id or 0, "again", LATER)
    async with database.read() as session:
        note = (await session.exec(select(Note))).one()
    assert (note.deal_id, note.text) == (card.call.deal_id, "again")


async def test_next_step_makes_a_task_and_not_interested_loses_the_deal(
    database: Database, office: Office, intake: Intake
) -> None:
    await intake.apply(
        batch(
            FactStory("17.1").ring("101").answer("101").end(),
            FactStory("17.2", client="+380501112233").ring("101").answer("101").end(),
        )
    )
    second, first = await dock(database, office, "ivan")
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        with pytest.raises(Invalid, match="next step"):
            await outcome_actions.finish(session, viewer, first.call.id or 0, "next_step", LATER)
        await outcome_actions.finish(
            session, viewer, first.call.id or 0, "next_step", LATER, next_title="Send samples", next_at=LATER
        )
        await outcome_actions.finish(session, viewer, second.call.id or 0, "not_interested", LATER, why="Too expensive")
    async with database.read() as session:
        task = (await session.exec(select(Task))).one()
        lost = await session.get(Deal, second.call.deal_id)
        assert lost is not None
        stage = await session.get(Stage, lost.stage_id)
    assert (task.title, task.deal_id, task.assignee_id) == ("Send samples", first.call.deal_id, office.id("ivan"))
    assert stage is not None
    assert (stage.kind, lost.lost_reason) == ("lost", "Too expensive")
    assert not await dock(database, office, "ivan")


async def test_a_wrong_number_loses_only_a_deal_that_nobody_worked_on(
    database: Database, office: Office, intake: Intake
) -> None:
    other = "+380501112233"
    await intake.apply(batch(FactStory("17.1").ring("101").answer("101").end()))
    await intake.apply(batch(FactStory("17.2", client=other).ring("101").answer("101").end()))
    worked, raw = await dock(database, office, "ivan")
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        to = (await session.exec(select(Stage).where(Stage.kind == "open").order_by(col(Stage.position)))).first()
        assert to is not None
        await move_deal(session, viewer, worked.call.deal_id or 0, to.id or 0, version=None, now=LATER)
    async with database.write() as session:
        for card in (worked, raw):
            await outcome_actions.finish(session, viewer, card.call.id or 0, "wrong_number", LATER)
    async with database.read() as session:
        deals = {deal.id: deal.lost_reason for deal in (await session.exec(select(Deal))).all()}
    assert [deals[card.call.deal_id] for card in (worked, raw)] == ["", "Wrong number"]


async def test_not_a_client_is_one_act_that_can_be_taken_back(
    database: Database, office: Office, intake: Intake
) -> None:
    await intake.apply(batch(FactStory("17.1").ring("101").answer("101").end()))
    (card,) = await dock(database, office, "ivan")
    call_id = card.call.id or 0

    async def marked() -> tuple[list[str], str]:
        async with database.read() as session:
            numbers = (await session.exec(select(SpecialNumber.number))).all()
            return list(numbers), (await session.exec(select(Deal))).one().lost_reason

    async def place() -> tuple[int, datetime, datetime | None]:
        async with database.read() as session:
            deal = (await session.exec(select(Deal))).one()
            return deal.stage_id, deal.stage_since, deal.closed_at

    before = await place()
    async with database.write() as session:
        await outcome_actions.mark_not_a_client(
            session, await office.viewer(session, "ivan"), call_id, region="UA", now=LATER
        )
    assert (await marked(), await dock(database, office, "ivan")) == (([CLIENT], "Not a client"), [])
    async with database.write() as session:
        await outcome_actions.unhide(session, await office.viewer(session, "ivan"), call_id, LATER)
    assert (await marked(), await place()) == (([], ""), before)
    assert [card.state for card in await dock(database, office, "ivan")] == ["after"]


async def test_a_card_is_not_put_away_while_the_call_goes_on(
    database: Database, office: Office, intake: Intake
) -> None:
    story = FactStory().ring("101")
    for step in (story, story.wait(3).answer("101")):
        await intake.apply(batch(step))
        async with database.write() as session:
            with pytest.raises(Conflict, match="goes on"):
                await outcome_actions.hide(session, await office.viewer(session, "ivan"), 1, LATER)
    await intake.apply(batch(story.wait(9).end()))
    assert [card.state for card in await dock(database, office, "ivan")] == ["after"]
    async with database.write() as session:
        await outcome_actions.hide(session, await office.viewer(session, "ivan"), 1, LATER)
    assert not await dock(database, office, "ivan")


async def test_an_unknown_number_is_given_to_a_client_we_know(
    database: Database, office: Office, intake: Intake
) -> None:
    await intake.apply(batch(FactStory().ring("101").answer("101")))
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        known = await create_contact(session, viewer, name="Petro Lys", now=NOON, region="UA")
    async with database.write() as session:
        with pytest.raises(Invalid, match="Choose a client"):
            await card_actions.link_client(session, viewer, 1, None, region="UA", now=LATER)
        await card_actions.link_client(session, viewer, 1, known.id, region="UA", now=LATER)
    (card,) = await dock(database, office, "ivan")
    assert card.contact is not None
    assert (card.contact.name, card.is_unknown) == ("Petro Lys", False)
    async with database.read() as session:
        deal = (await session.exec(select(Deal))).one()
        phone = (await session.exec(select(Phone))).one()
    assert (deal.contact_id, phone.contact_id, phone.number) == (known.id, known.id, CLIENT)


async def test_missed_today_is_of_today(database: Database, office: Office, intake: Intake) -> None:
    evening = TODAY - timedelta(hours=2)
    await intake.apply(batch(FactStory("16.1", at=evening).ring("101").wait(20).end()))
    await intake.apply(batch(FactStory("17.1", at=NOON - timedelta(hours=1)).ring("101").wait(20).end()))
    await intake.apply(batch(FactStory("17.2").ring("101")))
    (card,) = await dock(database, office, "ivan")
    assert card.missed_today == 1


async def test_who_wants_no_cards_is_not_asked_how_calls_ended(
    database: Database, office: Office, intake: Intake
) -> None:
    async with database.write() as session:
        user = await session.get(User, office.id("ivan"))
        assert user is not None
        user.popup = "off"
    await intake.apply(batch(FactStory("17.1").ring("101").answer("101").end()))
    await intake.apply(batch(FactStory("17.2").ring("102").answer("102").end()))
    assert not await dock(database, office, "ivan", popup="ringing")
    assert [card.state for card in await dock(database, office, "olena")] == ["after"]


async def test_the_phone_is_free_rings_or_talks_also_with_a_colleague(
    database: Database, office: Office, intake: Intake
) -> None:
    async def phone(login: str) -> str:
        async with database.read() as session:
            viewer = await office.viewer(session, login)
            return (await load_docks(session, [viewer], LATER))[viewer.user_id].phone

    assert await phone("ivan") == "free"
    story = FactStory("17.1").ring("101")
    await intake.apply(batch(story))
    assert await phone("ivan") == "ringing"
    await intake.apply(batch(story.wait(3).answer("101")))
    assert (await phone("ivan"), await phone("olena")) == ("talking", "free")
    await intake.apply(batch(story.wait(3).end(), FactStory("17.2", direction=Direction.INTERNAL).ring("102")))
    assert (await phone("ivan"), await phone("olena")) == ("free", "ringing")


async def test_nobody_acts_on_a_card_that_is_not_theirs(database: Database, office: Office, intake: Intake) -> None:
    await intake.apply(batch(FactStory().ring("101").answer("101")))
    async with database.write() as session:
        for login in ("petro", "olena", "admin"):
            with pytest.raises(NotFound):
                await card_actions.save_note(session, await office.viewer(session, login), 1, "spy", LATER)


async def test_modes(database: Database, office: Office, intake: Intake) -> None:
    await intake.apply(batch(FactStory().ring("101")))
    assert not await dock(database, office, "ivan", popup="answered")
    assert not await dock(database, office, "ivan", popup="off")


async def clients_of_petro(intake: Intake, *stories: FactStory) -> None:
    """A client whose open deal is Petro's (another team's) calls again."""
    await intake.apply(batch(FactStory("16.1").ring("201").answer("201").wait(30).end(), *stories))


async def test_a_colleagues_deal_is_no_way_in_but_its_owner_is(
    database: Database, office: Office, intake: Intake
) -> None:
    """Whoever may open the deal gets it; others get whose it is and on which phone, and nothing of the deal."""
    mates = FactStory("17.1", client="+380501112233", at=NOON + timedelta(minutes=1)).ring("102").answer("102").end()
    await clients_of_petro(intake, mates)
    again = [
        FactStory("18.1", at=NOON + timedelta(minutes=2)).ring("101", "103", "202"),
        FactStory("18.2", client="+380501112233", at=NOON + timedelta(minutes=3)).ring("101", "103", "202"),
    ]
    await intake.apply(batch(*again))
    opened, owners = {}, {}
    for login in ("ivan", "maria", "oksana"):
        cards = await dock(database, office, login)
        async with database.read() as session:
            reach = deal_access_of(await office.viewer(session, login), cards, await load_directory(session))
        opened[login] = [row.deal.id in reach.deals for card in cards for row in card.deals]
        owners[login] = {(o.name, o.extension, o.takes_tasks) for o in reach.owners.values()}
    petro, olena = ("Petro Other", "201", False), ("Olena Hryhorenko", "102", True)
    assert opened == {"ivan": [False, False], "maria": [True, False], "oksana": [False, True]}
    assert owners == {"ivan": {petro, olena}, "maria": {petro}, "oksana": {("Olena Hryhorenko", "102", False)}}


async def test_a_call_that_goes_on_is_not_yet_among_those_before(
    database: Database, office: Office, intake: Intake
) -> None:
    """The same client rings twice at once: neither is missed while it rings."""
    first = FactStory("18.1", at=NOON).ring("102")
    await intake.apply(batch(first, FactStory("18.2", at=NOON + timedelta(seconds=5)).ring("101")))
    (card,) = await dock(database, office, "ivan")
    assert card.past == []
    await intake.apply(batch(first.wait(9).end()))
    (card,) = await dock(database, office, "ivan")
    assert [(past.outcome, card.missed_today) for past, _ in card.past] == [("missed", 1)]


async def test_who_left_is_nobody_to_give_a_call_to(database: Database, office: Office, intake: Intake) -> None:
    await clients_of_petro(intake, FactStory("18.1", at=NOON + timedelta(minutes=2)).ring("101"))
    async with database.write() as session:
        (await session.get_one(User, office.id("petro"))).is_active = False
    cards = await dock(database, office, "ivan")
    async with database.read() as session:
        reach = deal_access_of(await office.viewer(session, "ivan"), cards, await load_directory(session))
    assert (len(cards[0].deals), reach.deals, reach.owners) == (1, frozenset(), {})


@pytest.mark.parametrize("known", [False, True])
async def test_a_call_on_a_colleagues_deal_is_finished_without_touching_it(
    database: Database, office: Office, intake: Intake, known: bool
) -> None:
    """The next step is then about the client, or names the number; a deal that is not one's own is not lost by one's click."""
    await clients_of_petro(intake)
    if known:
        async with database.write() as session:
            contact = Contact(name="Zoria Ltd", responsible_id=office.id("petro"), created_at=NOON)
            session.add(contact)
            await session.flush()
            session.add(Phone(contact_id=contact.id or 0, number=CLIENT))
    calls = [
        FactStory(f"18.{n}", at=NOON + timedelta(minutes=n)).ring("101").answer("101").wait(9).end() for n in (2, 3)
    ]
    await intake.apply(batch(*calls))
    first, second = await dock(database, office, "ivan")
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        await outcome_actions.finish(
            session, viewer, first.call.id or 0, "next_step", LATER, next_title="Ask again", next_at=LATER
        )
        await outcome_actions.finish(session, viewer, second.call.id or 0, "not_interested", LATER, why="Too expensive")
    async with database.read() as session:
        task = (await session.exec(select(Task).where(Task.assignee_id == office.id("ivan")))).one()
        deal = (await session.exec(select(Deal))).one()
    assert (task.title, task.deal_id, task.contact_id is not None) == (
        "Ask again" if known else "Ask again: +380 67 111 22 33",
        None,
        known,
    )
    assert (deal.responsible_id, deal.closed_at) == (office.id("petro"), None)
    assert not await dock(database, office, "ivan")


async def test_who_is_switched_off_while_talking_leaves_the_call_whole(
    database: Database, office: Office, intake: Intake
) -> None:
    story = FactStory().ring("101").answer("101")
    await intake.apply(batch(story))
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        await edit_user(
            session, admin, office.id("ivan"), name="Ivan Kravets", role="seller", extensions=[], team="Sales",
            is_active=False, now=LATER,
        )  # fmt: skip
    await intake.apply(batch(story.wait(30).end()))
    async with database.read() as session:
        call, deal = (await session.exec(select(Call))).one(), (await session.exec(select(Deal))).one()
    assert (call.outcome, call.talk_seconds, call.deal_id) == ("answered", 30, deal.id)
    assert (
        call.responsible_id == deal.responsible_id == office.id("ivan")
    )  # it was their talk; a manager may give it away
    # The next call of the client comes to whoever has the phone now.
    await intake.apply(batch(FactStory("17.2", at=LATER).ring("102").answer("102").end()))
    assert [card.deal and card.deal.deal.id for card in await dock(database, office, "olena")] == [deal.id]


async def test_an_unknown_caller_becomes_a_client_from_the_card(
    database: Database, office: Office, intake: Intake
) -> None:
    """Their deal, which was called by the number, is called after them; what was heard is the proposal."""
    await intake.apply(batch(FactStory(client=CLIENT).ring("102").answer("102").wait(60).end()))
    (card,) = await dock(database, office, "olena")
    assert (card.is_unknown, card.heard_name) == (True, None)
    async with database.write() as session:
        olena = await office.viewer(session, "olena")
        call_id = card.call.id or 0
        await card_actions.make_client(
            session, olena, call_id, "Марія Коваль", region="UA", now=LATER, deal_currency="UAH"
        )
    (card,) = await dock(database, office, "olena")
    assert card.contact is not None
    assert card.contact.name == "Марія Коваль"
    assert card.deal is not None
    assert (card.deal.deal.title, card.deal.deal.contact_id) == ("Марія Коваль", card.contact.id)
    async with database.read() as session:
        assert len((await session.exec(select(Deal))).all()) == 1  # the one the call made
    async with database.write() as session:
        olena = await office.viewer(session, "olena")
        with pytest.raises(Conflict):
            await card_actions.make_client(session, olena, call_id, "Марія Коваль", region="UA", now=LATER)


async def test_a_deal_is_made_along_where_the_call_made_none(
    database: Database, office: Office, intake: Intake
) -> None:
    out = FactStory(client=CLIENT, direction=Direction.OUTBOUND, did=None, made_by="102").answer("102").wait(60).end()
    await intake.apply(batch(out))
    (card,) = await dock(database, office, "olena")
    async with database.write() as session:
        for deal in (await session.exec(select(Deal))).all():
            call = await session.get(Call, card.call.id)
            assert call is not None
            call.deal_id = None
            await session.flush()
            await session.delete(deal)
        olena = await office.viewer(session, "olena")
        await card_actions.make_client(
            session, olena, card.call.id or 0, "Koval", region="UA", now=LATER, deal_currency="UAH"
        )
    (card,) = await dock(database, office, "olena")
    assert card.deal is not None
    assert (card.deal.deal.title, card.deal.deal.responsible_id) == ("Koval", office.id("olena"))


async def test_an_outgoing_call_knows_the_name_that_was_heard_before(
    database: Database, office: Office, intake: Intake
) -> None:
    heard = FactStory("1.1", client=CLIENT, name="Iryna", at=NOON - timedelta(hours=3)).ring("101").answer("101").end()
    out = FactStory("1.2", client=CLIENT, direction=Direction.OUTBOUND, did=None, made_by="102", at=NOON).ring("102")
    await intake.apply(batch(heard))
    await intake.apply(batch(out.answer("102")))
    (card,) = await dock(database, office, "olena")
    assert card.heard_name == "Iryna"


async def test_what_is_owed_is_settled_together_and_taken_back(
    database: Database, office: Office, intake: Intake
) -> None:
    for number in range(5):
        at = NOON + timedelta(minutes=number)
        await intake.apply(batch(FactStory(f"17.{number}", at=at).ring("102").answer("102").wait(9).end()))
    goes_on = FactStory("17.9", "+380501110009", at=LATER).ring("102").answer("102")
    await intake.apply(batch(goes_on))
    async with database.write() as session:
        olena = await office.viewer(session, "olena")
        assert await outcome_actions.finish_together(session, olena, "done", LATER, before=LATER, token="ab12") == 5
    assert (await states(database, office))["olena"] == ["talking"]
    async with database.write() as session:
        with pytest.raises(Invalid):
            await outcome_actions.finish_together(session, olena, "not_interested", LATER, before=LATER, token="ab12")
        ivan = await office.viewer(session, "ivan")
        assert await outcome_actions.unfinish_together(session, ivan, "ab12", LATER) == 0
        assert await outcome_actions.unfinish_together(session, olena, "ab12", LATER) == 5
    assert (await states(database, office))["olena"] == ["talking"] + ["after"] * 5
