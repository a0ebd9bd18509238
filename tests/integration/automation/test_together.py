"""Events of several deals in one transaction: each keeps its own cause, watchers and tags."""

import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.automation.models import AutomationEvent, RunStep
from pbxcrm.deals.models import Note
from pbxcrm.deals.people_queries import watchers_of
from pbxcrm.deals.tag_queries import tags_of
from pbxcrm.deals.watcher_actions import watch
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import Outbox
from pbxcrm.shared.many_rows import add_many
from pbxcrm.shared.news import NewsKind
from pbxcrm.shared.search_words import newest_with
from tests.calls import NOON
from tests.integration.automation.conftest import RuleDesk
from tests.statements import statements

TITLE = {"kind": "field_changed", "fields": ["title"]}


async def test_each_act_of_a_batch_has_its_own_cause(desk: RuleDesk) -> None:
    first = await desk.rule(
        TITLE, {"kind": "tag", "add": ["seen"], "remove": ["new"]}, {"kind": "note", "text": "Seen"}, name="First"
    )
    second = await desk.rule(
        {"kind": "field_changed", "fields": ["tag"]}, {"kind": "note", "text": "Again"}, name="Second"
    )
    deals = [await desk.deal(second=True) for _ in range(3)]
    for deal_id in deals:
        await desk.edit(deal_id, title="New")
    assert await desk.work() == 6
    causes = {run.deal_id: (run.event_id, run.chain) for run in await desk.runs(first)}
    assert len({event_id for event_id, _ in causes.values()}) == 3
    assert {run.deal_id: (run.root_id, run.chain) for run in await desk.runs(second)} == {
        deal_id: (event_id, [[first, f"deal:{deal_id}"]]) for deal_id, (event_id, _) in causes.items()
    }


async def test_notes_of_a_batch_are_told_to_the_watchers_of_their_deals(desk: RuleDesk) -> None:
    await desk.rule(TITLE, {"kind": "note", "text": "Seen"})
    watched, other = await desk.deal(), await desk.deal(second=True)
    async with desk.database.write() as session:
        await watch(session, await desk.office.viewer(session, "ivan"), watched, desk.office.id("ivan"), desk.now)
    for deal_id in (watched, other):
        await desk.edit(deal_id, title="New")
    await desk.work()
    async with desk.database.read() as session:
        people = await load_directory(session)
        assert [user.login for user in await watchers_of(session, watched, people)] == ["ivan"]
        note = (await session.exec(select(Note.id).where(Note.deal_id == watched))).one()
        news = (await session.exec(select(Outbox).where(Outbox.topic == "news"))).all()
    assert [(each.ref, each.users) for each in news] == [(f"{NewsKind.NOTE.value}-{note}", [desk.office.id("ivan")])]


async def test_rules_of_one_event_see_each_others_tags_and_their_notes_are_found(desk: RuleDesk) -> None:
    """What is read for all events of a transaction, and written at its end, is for its rules as if it were read and written at once."""
    for add, remove in (("first", "old"), ("second", "first"), ("first", "second")):
        tag = {"kind": "tag", "add": [add], "remove": [remove]}
        await desk.rule(TITLE, tag, {"kind": "note", "text": f"Now {add}"}, name=add, most_per_hour=1000)
    deals = [await desk.deal(second=True) for _ in range(3)]
    for title in ("New", "Newer"):
        for deal_id in deals:
            await desk.edit(deal_id, title=title)
    assert await desk.work() == 6
    async with desk.database.read() as session:
        assert [[tag.name for tag in await tags_of(session, deal_id)] for deal_id in deals] == [["first"]] * 3
        acts = select(AuditEntry.data).where(AuditEntry.action == "deal.tagged", AuditEntry.entity_id == str(deals[0]))
        told = [
            (data["added"], data["removed"]) for data in (await session.exec(acts.order_by(col(AuditEntry.id)))).all()
        ]
        assert told == [
            (["first"], []), (["second"], ["first"]), (["first"], ["second"]), (["second"], ["first"]), (["first"], ["second"])
        ]  # fmt: skip
        notes = (await session.exec(select(Note).order_by(col(Note.id)))).all()
        found = newest_with("notes", "second", most=100)
        assert set(await session.exec(found)) == {note.id for note in notes if note.text == "Now second"}
        assert len(notes) == 18
        undo = (await session.exec(select(RunStep.undo).where(RunStep.kind == "note"))).all()
    assert sorted(each["note"] for each in undo) == [note.id for note in notes]


async def test_events_of_many_deals_ask_the_database_no_more_than_those_of_few(desk: RuleDesk) -> None:
    """SQLite writes each note when it is added, because it has no sequence that tells its id before: two statements for each deal."""
    await desk.rule(TITLE, {"kind": "tag", "add": ["seen"], "remove": ["new"]}, {"kind": "note", "text": "Seen"})
    deals = [await desk.deal(second=True) for _ in range(10)]
    asked = {}
    for title, some in (("First", deals), ("Second", deals[:2]), ("Third", deals)):
        for deal_id in some:
            await desk.edit(deal_id, title=title)
        with statements(desk.database) as sent:
            assert await desk.work() == len(some)
        asked[title] = len(sent)
    more = 2 * (len(deals) - 2) if desk.database.is_sqlite else 0
    assert asked["Third"] - asked["Second"] <= more, asked


async def test_many_rows_are_written_as_one_is(database: Database) -> None:
    """Also what JSON may hold and a text may not; a text that is too long is refused and not cut."""
    hostile = {"said": "a\0b \ud800 {} '\" €", "none": None, "deep": [[1, 2.5], [True]]}
    row = {
        "at": NOON, "act": "deal.edited", "subject": "deal:1", "deal_id": 1, "contact_id": None, "by_id": None, "data": hostile,
        "root_id": None, "chain": [[1, "deal:1"]], "tries": 0, "due_at": NOON,
    }  # fmt: skip
    other = {**row, "subject": 'привіт, "{NULL}" ,\'', "data": {}, "chain": []}
    async with database.write() as session:
        found = await add_many(session, AutomationEvent, [row, other], "id", "subject")
    async with database.read() as session:
        kept = {each.id: each for each in (await session.exec(select(AutomationEvent))).all()}
    assert {id_: kept[id_].subject for id_, _ in found} == dict(found)
    assert len(found) == len(kept) == 2
    first = next(each for each in kept.values() if each.subject == "deal:1")
    assert {name: getattr(first, name) for name in row} == row
    assert [each.data for each in kept.values() if each.subject == other["subject"]] == [{}]
    if not database.is_sqlite:  # which knows no lengths
        with pytest.raises(DBAPIError):
            async with database.write() as session:
                await add_many(session, AutomationEvent, [{**row, "act": "x" * 65}])
