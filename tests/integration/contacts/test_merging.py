"""Two clients become one, nothing is lost, and a month later they are two again."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import UniqueConstraint, delete
from sqlmodel import SQLModel, col, select

from pbxcrm import tables
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import edit_contact, link_number
from pbxcrm.contacts.duplicates import list_duplicates, say_not_same, take_back_not_same
from pbxcrm.contacts.merge_actions import SETTLE
from pbxcrm.contacts.merge_queries import CLIENTS
from pbxcrm.contacts.models import Contact, Email, Merge, Phone
from pbxcrm.contacts.queries import access_contact, contacts_of_number, list_contacts
from pbxcrm.deals.models import Deal, Note
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound
from pbxcrm.shared.events import Outbox
from pbxcrm.shared.relinking import SETTLE_AFTER, SeenVersions
from pbxcrm.shared.timers import sweep
from pbxcrm.tasks.actions import create_task
from pbxcrm.tasks.models import Task, TaskKind
from tests.calls import NOON
from tests.integration.contacts.merging import MONTH, Clients
from tests.office import Office

ONE, TWO, THREE = "+380671112233", "+380501112233", "+380931112233"


@pytest.fixture
def clients(database: Database, office: Office) -> Clients:
    return Clients(database, office)


def test_every_table_that_names_a_client_is_minded() -> None:
    """One that is added later goes along by itself, if it can: by an id, and without a client's own unique row."""
    assert tables.metadata is SQLModel.metadata
    named = {
        table.name
        for table in SQLModel.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "contacts"
    }
    assert named == {link.table.name for link in CLIENTS.links} | CLIENTS.own - {"contacts"} | {"contacts"}
    assert {"deals", "tasks", "calls", "episodes", "notes", "phone_commands"} <= {
        link.table.name for link in CLIENTS.links
    }
    for link in CLIENTS.links:
        assert [column.name for column in link.table.primary_key] == ["id"], link.name
        unique = [each for each in link.table.constraints if isinstance(each, UniqueConstraint)]
        columns = [each.columns for each in unique] + [each.columns for each in link.table.indexes if each.unique]
        assert not any(link.column.name in each for each in columns), (
            f"{link.name}: let it take part in contacts_merging"
        )
    tables_in_order = [link.table.name for link in CLIENTS.links]
    assert tables_in_order.index("episodes") < tables_in_order.index("deals")  # as everybody locks them


async def test_everything_of_the_one_becomes_the_others_and_goes_back(clients: Clients, intake: Intake) -> None:
    this = await clients.make("Тарас Шевченко", ONE, emails=("taras@example.com",), company_name="Kobzar")
    into = await clients.make("Taras Shevchenko", TWO, emails=("t.shevchenko@example.com",))
    await clients.deal(this, "Books")
    await clients.task(this, "Send the books")
    await clients.note(this, "Likes poetry")
    await clients.talk(intake, ONE)
    await clients.missed(intake, ONE, NOON + timedelta(hours=1))
    before = await clients.picture()
    assert {
        owner for name in ("deals", "tasks", "notes", "calls", "episodes") for _, owner in before[f"{name}.contact_id"]
    } == {this}

    merge = await clients.merge(this, into)
    after = await clients.picture()
    for name in ("deals", "tasks", "notes", "calls", "episodes"):
        assert after[f"{name}.contact_id"] == [(row, into) for row, _ in before[f"{name}.contact_id"]]
    assert await clients.numbers(into) == [TWO, ONE]
    assert await clients.numbers(this) == []
    survivor = await clients.get(into)
    assert (survivor.name, survivor.company_id is not None) == ("Taras Shevchenko", True)
    async with clients.database.read() as session:
        (episode,) = (await session.exec(select(Episode))).all()
        assert (episode.client_key, episode.status) == (f"contact:{into}", "open")

    assert await clients.undo(merge) == []
    assert await clients.picture() == before


async def test_who_was_merged_is_found_as_the_survivor_only(clients: Clients) -> None:
    this, into = await clients.make("Old", ONE), await clients.make("New", TWO)
    await clients.merge(this, into)
    async with clients.database.read() as session:
        for login in ("maria", "admin"):
            viewer = await clients.office.viewer(session, login)
            assert [row.contact.id for row in (await list_contacts(session, viewer)).rows] == [into]
            assert (await access_contact(session, viewer, this)).id == into
        assert [each.id for each in await contacts_of_number(session, ONE)] == [into]
        petro = await clients.office.viewer(session, "petro")
        with pytest.raises(NotFound):
            await access_contact(session, petro, this)


async def test_a_number_both_have_stays_once_and_nothing_written_with_it_is_lost(clients: Clients) -> None:
    this = await clients.make("A", f"{ONE} ext. 12", TWO)
    await clients.set(Phone, 1, label="Work")
    into = await clients.make("B", f"{ONE} ext. 15", THREE)
    before = await clients.picture()
    merge = await clients.merge(this, into)
    assert await clients.numbers(into) == [TWO, f"{ONE} ext. 15 Work, 12", THREE]
    assert await clients.undo(merge) == []
    assert await clients.picture() == before


async def test_an_address_both_have_in_other_letters_stays_once(clients: Clients) -> None:
    this = await clients.make("A", ONE, emails=("Ivan@Example.com", "a@example.com"))
    into = await clients.make("B", TWO, emails=("ivan@example.com",))
    before = await clients.picture()
    merge = await clients.merge(this, into)
    async with clients.database.read() as session:
        addresses = (await session.exec(select(Email.address).where(Email.contact_id == into))).all()
    assert sorted(addresses) == ["a@example.com", "ivan@example.com"]
    await clients.undo(merge)
    assert await clients.picture() == before


async def test_history_of_a_number_that_could_be_eithers_becomes_the_clients(clients: Clients, intake: Intake) -> None:
    """Both had it, so the calls were nobody's; now there is one who has it."""
    this, into = await clients.make("A", ONE), await clients.make("B", ONE)
    await clients.missed(intake, ONE)
    before = await clients.picture()
    assert [owner for _, owner in before["calls.contact_id"]] == [None]
    merge = await clients.merge(this, into)
    after = await clients.picture()
    for name in ("calls", "deals", "episodes"):
        assert [owner for _, owner in after[f"{name}.contact_id"]] == [into], name
    async with clients.database.write() as session:
        await session.exec(delete(Outbox))
    assert await clients.undo(merge) == []
    assert await clients.picture() == before
    async with clients.database.read() as session:
        heard = {hint.topic for hint in (await session.exec(select(Outbox))).all()}
    assert {"call", "deal", "callback", "contact"} <= heard  # whoever looks at a list of them


async def test_a_callback_that_names_a_client_is_not_taken_with_its_number(clients: Clients, intake: Intake) -> None:
    """They had one already, so both kept their own key; the number is somebody else's now, the missed call is not."""
    one = await clients.make("A", ONE)
    await clients.missed(intake, ONE)
    await clients.missed(intake, TWO, NOON + timedelta(minutes=1))
    async with clients.database.write() as session:
        viewer = await clients.office.viewer(session, "maria")
        await link_number(session, viewer, one, TWO, region="UA", now=NOON)
    callbacks = (await clients.picture())["callbacks"]
    assert [key for _id, key, *_ in callbacks] == [f"contact:{one}", f"number:{TWO}"]
    async with clients.database.write() as session:
        await edit_contact(session, viewer, one, version=None, now=NOON, region="UA", phones=[ONE])
    other = await clients.make("B", TWO)
    async with clients.database.read() as session:
        whose = (await session.exec(select(Episode.contact_id).order_by(col(Episode.id)))).all()
    assert whose == [one, one]
    assert other != one


async def test_two_open_callbacks_become_one_and_are_two_again(clients: Clients, intake: Intake) -> None:
    this, into = await clients.make("A", ONE), await clients.make("B", TWO)
    await clients.missed(intake, ONE)
    await clients.missed(intake, ONE, NOON + timedelta(minutes=5))
    await clients.missed(intake, TWO, NOON + timedelta(minutes=10))
    before = await clients.picture()
    merge = await clients.merge(this, into)
    async with clients.database.read() as session:
        episodes = (await session.exec(select(Episode).order_by(col(Episode.id)))).all()
        stays, other = episodes
        assert (stays.status, stays.missed_count, stays.client_key) == ("open", 3, f"contact:{into}")
        assert (other.status, other.closed_reason["code"]) == (EpisodeStatus.DISMISSED, "episode.merged")
        tasks = (await session.exec(select(Task).order_by(col(Task.id)))).all()
        assert [task.status for task in tasks] == ["open", "cancelled"]
        assert {task.contact_id for task in tasks} == {into}
    assert await clients.undo(merge) == []
    assert await clients.picture() == before
    async with clients.database.read() as session:
        assert {task.status for task in (await session.exec(select(Task))).all()} == {"open"}
    # each is still called back by itself
    await clients.talk(intake, ONE, NOON + MONTH)
    async with clients.database.read() as session:
        found = {each.client_key: each.status for each in (await session.exec(select(Episode))).all()}
    assert found == {f"contact:{this}": "recovered", f"contact:{into}": "open"}


async def test_a_callback_that_was_closed_meanwhile_is_closed_for_both(clients: Clients, intake: Intake) -> None:
    this, into = await clients.make("A", ONE), await clients.make("B", TWO)
    await clients.missed(intake, ONE)
    await clients.missed(intake, TWO, NOON + timedelta(minutes=10))
    merge = await clients.merge(this, into)
    await clients.talk(intake, TWO, NOON + timedelta(minutes=30))
    left = await clients.undo(merge)
    assert [each["why"] for each in left if each["why"] == "callback_closed"] == ["callback_closed"]
    async with clients.database.read() as session:
        assert {each.status for each in (await session.exec(select(Episode))).all()} == {"recovered"}


async def test_two_open_deals_of_one_pipeline_both_stay(clients: Clients) -> None:
    this, into = await clients.make("A", ONE), await clients.make("B", TWO)
    deals = [await clients.deal(this, "One"), await clients.deal(into, "Other")]
    merge = await clients.merge(this, into)
    async with clients.database.read() as session:
        found = (await session.exec(select(Deal).where(Deal.contact_id == into))).all()
        assert sorted(each.id or 0 for each in found) == deals
        assert all(each.closed_at is None for each in found)
    await clients.undo(merge)
    async with clients.database.read() as session:
        assert [(await session.get_one(Deal, each)).contact_id for each in deals] == [this, into]


async def test_what_was_edited_since_is_named_and_stays(clients: Clients, intake: Intake) -> None:
    this = await clients.make("Full Name", ONE, note="Pays late", company_name="Firm")
    into = await clients.make("B", TWO)
    await clients.talk(intake, ONE)
    deal, kept = await clients.deal(this, "Edited"), await clients.deal(this, "Left alone")
    given, other = await clients.deal(this, "Given away"), await clients.make("Somebody", THREE)
    merge = await clients.merge(this, into, chosen={"name": "this"})
    assert (await clients.get(into)).name == "Full Name"
    assert (await clients.get(into)).note == "Pays late"
    await clients.set(Contact, into, note="Pays at once")
    await clients.set(Deal, deal, title="Edited since")
    await clients.set(Deal, given, contact_id=other)
    fresh = await clients.deal(into, "Newer")
    async with clients.database.write() as session:
        viewer = await clients.office.viewer(session, "maria")
        await edit_contact(session, viewer, into, version=None, now=NOON, region="UA", phones=[TWO])
    left = await clients.undo(merge)
    assert {(each["why"], each["what"], tuple(each["ids"])) for each in left} == {
        ("field", "note", ()),
        ("number_gone", ONE, ()),
        ("edited", "deals", (deal,)),
        ("elsewhere", "deals", (given,)),
        ("new", "deals", (fresh,)),
    }
    async with clients.database.read() as session:
        whose = {each.id: each.contact_id for each in (await session.exec(select(Deal))).all()}
        assert {deal: this, kept: this, given: other, fresh: into}.items() <= whose.items()
        assert (await session.get_one(Deal, deal)).title == "Edited since"
    survivor, back = await clients.get(into), await clients.get(this)
    assert (survivor.name, survivor.note, survivor.company_id) == ("B", "Pays at once", None)
    assert (back.name, back.note, back.company_id is not None) == ("Full Name", "Pays late", True)
    assert await clients.numbers(this) == []


async def test_both_notes_stay_and_one_chooses(clients: Clients) -> None:
    this = await clients.make("A", ONE, note="One.")
    into = await clients.make("B", TWO, note="Other.")
    await clients.merge(this, into)
    assert (await clients.get(into)).note == "Other.\n\nOne."
    third = await clients.make("C", THREE, note="Third.")
    await clients.merge(third, into, chosen={"note": "this", "name": "this"})
    assert ((await clients.get(into)).note, (await clients.get(into)).name) == ("Third.", "C")


async def test_a_chain_is_undone_from_its_end(clients: Clients) -> None:
    one, two, three = await clients.make("A", ONE), await clients.make("B", TWO), await clients.make("C", THREE)
    await clients.deal(one, "Deal")
    start = await clients.picture()
    first = await clients.merge(one, two)
    second = await clients.merge(two, three)
    async with clients.database.read() as session:
        viewer = await clients.office.viewer(session, "maria")
        assert (await access_contact(session, viewer, one)).id == three
    with pytest.raises(Conflict, match="B has itself been merged with C"):
        await clients.undo(first)
    await clients.undo(second)
    await clients.undo(first)
    assert await clients.picture() == start


async def test_two_merged_into_one_are_undone_in_any_order(clients: Clients) -> None:
    one, two, into = await clients.make("A", ONE), await clients.make("B", ONE, TWO), await clients.make("C", THREE)
    start = await clients.picture()
    first, second = await clients.merge(one, into), await clients.merge(two, into)
    await clients.undo(first)
    assert await clients.numbers(into) == [TWO, ONE, THREE]  # B is a part of it still, and has it, too
    assert await clients.numbers(one) == [ONE]
    await clients.undo(second)
    picture = await clients.picture()
    assert await clients.numbers(two) == [TWO, ONE]
    assert picture["contacts"] == start["contacts"]


async def test_a_merged_client_is_not_merged_changed_or_undone_twice(clients: Clients) -> None:
    one, two, three = await clients.make("A", ONE), await clients.make("B", TWO), await clients.make("C", THREE)
    merge = await clients.merge(one, two)
    for this, into in ((one, three), (three, one), (one, two), (two, one)):
        with pytest.raises(Conflict):
            await clients.merge(this, into)
    with pytest.raises(Invalid):
        await clients.merge(three, three)
    async with clients.database.write() as session:
        viewer = await clients.office.viewer(session, "maria")
        with pytest.raises(Conflict):
            await link_number(session, viewer, one, "+380671110000", region="UA", now=NOON)
        with pytest.raises(Conflict):
            await edit_contact(session, viewer, one, version=None, now=NOON, region="UA", name="X")
    await clients.undo(merge)
    with pytest.raises(Conflict):
        await clients.undo(merge)


async def test_an_old_version_of_either_is_a_conflict(clients: Clients) -> None:
    one, two = await clients.make("A", ONE), await clients.make("B", TWO)
    for seen in (SeenVersions(this=7), SeenVersions(into=7)):
        with pytest.raises(Conflict):
            await clients.merge(one, two, seen=seen)
    await clients.merge(one, two, seen=SeenVersions(1, 1))


async def test_who_may_merge_and_who_may_undo(clients: Clients) -> None:
    mine = await clients.make("A", ONE, login="ivan")
    hers = await clients.make("B", TWO, login="olena")
    theirs = await clients.make("C", THREE, login="petro")
    for this, into in ((mine, hers), (hers, mine), (mine, theirs)):
        with pytest.raises((NotAllowed, NotFound, Invalid)):
            await clients.merge(this, into, login="ivan")
    with pytest.raises(NotAllowed):
        await clients.merge(mine, hers, login="kira")
    merge = await clients.merge(mine, hers, login="maria")
    for login, error in (
        ("kira", NotAllowed),
        ("oksana", NotFound),
    ):
        with pytest.raises(error):
            await clients.undo(merge, login=login)
    await clients.undo(merge, login="admin")
    for login in ("ivan", "olena"):  # whoever was responsible for either before
        await clients.undo(await clients.merge(mine, hers, login="maria"), login=login)
    again = await clients.make("D", "+380671119999", login="ivan")
    own = await clients.merge(mine, again, login="ivan")
    await clients.undo(own, login="ivan")


async def test_everybody_who_sees_either_hears_of_it(clients: Clients) -> None:
    this = await clients.make("A", ONE, responsible_id=clients.office.id("ivan"))
    into = await clients.make("B", TWO, responsible_id=clients.office.id("olena"))
    deal = await clients.deal(this, "Deal")
    async with clients.database.write() as session:
        for row in (await session.exec(select(Outbox))).all():
            await session.delete(row)
    await clients.merge(this, into)
    async with clients.database.read() as session:
        rows = {(row.topic, row.ref): set(row.users) for row in (await session.exec(select(Outbox))).all()}
    for contact_id in (this, into):
        assert {clients.office.id("ivan"), clients.office.id("olena"), clients.office.id("maria")} <= rows[
            "contact", str(contact_id)
        ]
    assert ("deal", str(deal)) in rows


async def test_what_is_written_for_the_merged_one_at_that_moment_comes_along(clients: Clients) -> None:
    this, into = await clients.make("A", ONE), await clients.make("B", TWO)
    merge = await clients.merge(this, into)
    async with clients.database.write() as session:  # somebody had looked before, and wrote right after
        session.add(Note(contact_id=this, author_id=clients.office.id("ivan"), text="Late", at=NOON))
    await sweep(clients.database, NOON + SETTLE_AFTER)
    async with clients.database.read() as session:
        (note,) = (await session.exec(select(Note))).all()
        assert note.contact_id == into
        assert (await session.get_one(Merge, merge)).moved["notes.contact_id"] == [[note.id, 1]]
    await clients.undo(merge)
    async with clients.database.read() as session:
        assert (await session.get_one(Note, note.id)).contact_id == this
    assert SETTLE.startswith("contacts.")


@pytest.mark.parametrize("pairs", [((0, 1), (1, 2)), ((0, 1), (1, 0)), ((0, 1), (0, 2)), ((0, 2), (1, 2))])
async def test_two_merges_at_once_make_no_circle(clients: Clients, pairs: tuple[tuple[int, int], ...]) -> None:
    ids = [await clients.make(f"Client {each}", f"+38067111220{each}", ONE) for each in range(3)]
    for each in ids:
        await clients.deal(each, "Deal")
    results = await asyncio.gather(
        *(clients.merge(ids[this], ids[into]) for this, into in pairs), return_exceptions=True
    )
    done = [each for each in results if isinstance(each, int)]
    assert done
    assert all(isinstance(each, int | Conflict) for each in results), results
    picture = await clients.picture()
    live = {row[0] for row in picture["contacts"] if row[5] is None}
    assert {row[5] for row in picture["contacts"] if row[5] is not None} <= set(ids)
    assert {owner for _, owner in picture["deals.contact_id"]} <= live
    assert {row[0] for row in picture["phones"]} <= live
    assert len(live) == len(ids) - len(done)


async def test_calls_that_come_during_merges_are_the_survivors(clients: Clients, intake: Intake) -> None:
    """The listener and a merge want the same numbers at the same time, over and over."""
    into = await clients.make("Survivor", TWO)
    for turn in range(6):
        number = f"+38067222330{turn}"
        this = await clients.make(f"Client {turn}", number)
        at = NOON + timedelta(minutes=turn)
        results = await asyncio.gather(
            clients.missed(intake, number, at),
            clients.merge(this, into),
            clients.task(this, "Meanwhile"),
            return_exceptions=True,
        )
        assert not [each for each in results if isinstance(each, BaseException)], results
    await sweep(clients.database, NOON + SETTLE_AFTER)
    async with clients.database.read() as session:
        assert {call.contact_id for call in (await session.exec(select(Call))).all()} == {into}
        assert {each.contact_id for each in (await session.exec(select(Task))).all()} == {into}
        episodes = (await session.exec(select(Episode).where(Episode.status == "open"))).all()
        assert {each.contact_id for each in episodes} == {into}


async def test_who_only_sees_two_clients_does_not_say_that_they_are_two_people(
    clients: Clients, database: Database, office: Office
) -> None:
    both = [await clients.make("Iryna Bondar", phone, responsible_id=office.id("olena")) for phone in (ONE, TWO)]
    for contact_id in both:
        async with database.write() as session:
            maria = await office.viewer(session, "maria")
            await create_task(
                session,
                maria,
                title="Ask",
                due_at=NOON,
                now=NOON,
                contact_id=contact_id,
                assignee_id=office.id("ivan"),
                kind=TaskKind.ASSIGNMENT,
            )
    async with database.read() as session:
        ivan, olena = await office.viewer(session, "ivan"), await office.viewer(session, "olena")
        (seen,), _ = await list_duplicates(session, ivan)
        (own,), _ = await list_duplicates(session, olena)
    assert (seen.edits, own.edits) == (False, True)
    for change in (say_not_same, take_back_not_same):
        with pytest.raises(NotAllowed, match="Olena"):
            async with database.write() as session:
                await change(session, ivan, *both, now=NOON)
    mine = await clients.make("Iryna Bondar", THREE, responsible_id=office.id("ivan"))
    async with database.write() as session:  # one of the two is enough
        await say_not_same(session, ivan, mine, both[0], now=NOON)
        await say_not_same(session, olena, *both, now=NOON)
    async with database.read() as session:
        (left,), _ = await list_duplicates(session, ivan)
    assert {left.low.contact.id, left.high.contact.id} == {mine, both[1]}
