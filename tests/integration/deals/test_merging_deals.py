"""Two open deals of one client become one, nothing is lost, and a month later they are two again."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import UniqueConstraint
from sqlalchemy import select as select_columns
from sqlmodel import SQLModel, col, select

from pbxcrm import tables
from pbxcrm.audit.models import AuditEntry
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.merge_actions import merge_deals
from pbxcrm.deals.merge_queries import DEALS, other_open_deals
from pbxcrm.deals.models import Deal, DealMerge, DealTag, Note, StageKind, StageMove
from pbxcrm.deals.queries import access_deal, list_deals, stage_of_kind
from pbxcrm.deals.tag_actions import set_tags
from pbxcrm.deals.unmerge_actions import undo_deal_merge
from pbxcrm.notes.actions import add_note
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound
from pbxcrm.shared.events import Outbox
from pbxcrm.shared.relinking import SETTLE_AFTER, SeenVersions
from pbxcrm.shared.timers import sweep
from pbxcrm.tasks.actions import create_task
from pbxcrm.tasks.models import Task
from pbxcrm.timeline.entries import EntryKind
from pbxcrm.timeline.queries import timeline
from tests.calls import NOON, FactStory, batch
from tests.integration.callbacks.conftest import CLIENT, CallbackDesk
from tests.integration.callbacks.conftest import desk as desk  # noqa: PLC0414 - a fixture of theirs

MONTH = timedelta(days=31)


async def client(desk: CallbackDesk, *numbers: str, login: str = "ivan") -> int:
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, login)
        made = await create_contact(session, viewer, name="Taras", phones=numbers, now=NOON, region="UA")
    return made.id or 0


async def deal(desk: CallbackDesk, title: str, login: str = "ivan", **more: Any) -> int:
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, login)
        made = await create_deal(
            session, viewer, title=title, now=NOON, currency="UAH", second=True, region="UA", **more
        )
    return made.id or 0


async def merge(desk: CallbackDesk, this: int, into: int, login: str = "ivan", **more: Any) -> int:
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, login)
        made = await merge_deals(session, viewer, this, into, now=more.pop("now", NOON), **more)
    return made.id or 0


async def undo(desk: CallbackDesk, merge_id: int, login: str = "ivan") -> list[dict[str, Any]]:
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, login)
        return (await undo_deal_merge(session, viewer, merge_id, now=NOON + MONTH)).left


async def get(desk: CallbackDesk, deal_id: int) -> Deal:
    async with desk.database.read() as session:
        return await session.get_one(Deal, deal_id)


async def picture(desk: CallbackDesk) -> dict[str, Any]:
    """Who has what: whatever refers to a deal, its tags, and its values."""
    found: dict[str, Any] = {}
    async with desk.database.read() as session:
        connection = await session.connection()
        for link in DEALS.links:
            rows = await connection.execute(select_columns(link.table.c.id, link.column))
            found[link.name] = sorted((row[0], row[1]) for row in rows)
        tags = await session.exec(select(DealTag))
        found["tags"] = sorted((tag.deal_id, tag.tag_id) for tag in tags.all())
        for each in (await session.exec(select(Deal).order_by(col(Deal.id)))).all():
            found[f"deal {each.id}"] = {
                name: value for name, value in each.model_dump().items() if name not in {"version", "title_folded"}
            }
    return found


def test_every_table_that_names_deals_takes_part() -> None:
    assert tables.metadata is SQLModel.metadata
    named = {
        table.name
        for table in SQLModel.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "deals"
    }
    assert named == {link.table.name for link in DEALS.links} | DEALS.own
    for link in DEALS.links:
        assert [column.name for column in link.table.primary_key] == ["id"], link.name
        unique = [each for each in link.table.constraints if isinstance(each, UniqueConstraint)]
        columns = [each.columns for each in unique] + [each.columns for each in link.table.indexes if each.unique]
        assert not any(link.column.name in each for each in columns), f"{link.name}: let it take part in deals_merging"


async def test_everything_of_the_one_becomes_the_others_and_goes_back(desk: CallbackDesk) -> None:
    """A call made the newer deal while the client had none that it could find."""
    await desk.miss()
    await desk.intake.apply(
        batch(FactStory("17.5", CLIENT, at=NOON + timedelta(hours=1)).ring("101").answer("101").end())
    )
    this = (await desk.one(Deal)).id or 0
    ivan = await desk.viewer("ivan")
    into = await deal(desk, "Books", contact_id=await client(desk, CLIENT), values={"amount": "100"})
    async with desk.database.write() as session:
        row = await session.get_one(Deal, this)
        assert row.contact_id is not None  # the client that was made with its number took it along
        row.source, row.amount = "Radio", Decimal(7)
        await add_note(session, ivan, "Wants two", NOON, deal=row)
        await create_task(session, ivan, title="Send the offer", due_at=NOON + MONTH, now=NOON, deal_id=this)
        await set_tags(session, ivan, this, ["urgent", "books"], NOON, version=None)
        await set_tags(session, ivan, into, ["books"], NOON, version=None)
    before = await picture(desk)
    assert {owner for name in ("calls", "notes", "tasks", "episodes") for _, owner in before[f"{name}.deal_id"]} == {
        this
    }

    made = await merge(desk, this, into)
    after = await picture(desk)
    for name in ("calls", "notes", "tasks", "episodes"):
        assert after[f"{name}.deal_id"] == [(row_id, into) for row_id, _ in before[f"{name}.deal_id"]]
    assert {tag for owner, tag in after["tags"] if owner == into} == {tag for _, tag in before["tags"]}
    survivor, merged = await get(desk, into), await get(desk, this)
    assert (survivor.title, survivor.amount, survivor.source) == ("Books", Decimal(100), "Radio")
    assert (survivor.client_number, survivor.made_by_call_id) == (CLIENT, merged.made_by_call_id)
    assert (merged.merged_into_id, merged.closed_at, merged.stage_id) == (
        into,
        NOON,
        before[f"deal {this}"]["stage_id"],
    )
    async with desk.database.read() as session:
        assert [row.deal.id for row in await list_deals(session, ivan)] == [into]
        assert (await access_deal(session, ivan, this)).id == into
        told = await timeline(session, ivan, deal_id=into, kinds=frozenset(EntryKind), after=None)
        assert {EntryKind.CALL, EntryKind.NOTE, EntryKind.TASK, EntryKind.MOVE} <= {each.kind for each in told.entries}
        moves = [each.row.deal_id for each in told.entries if isinstance(each.row, StageMove)]
        assert {this, into} <= set(moves), "the stages of both"
        audit = (await session.exec(select(AuditEntry.entity_id).where(AuditEntry.action == "deal.merged"))).all()
        assert sorted(audit) == sorted([str(this), str(into)])

    assert await undo(desk, made) == []
    assert await picture(desk) == before


async def test_a_call_after_the_merge_goes_to_the_survivor(desk: CallbackDesk) -> None:
    await desk.miss()
    this = (await desk.one(Deal)).id or 0
    into = await deal(desk, "Books", contact_id=await client(desk, CLIENT))
    await merge(desk, this, into)
    await desk.intake.apply(
        batch(FactStory("17.9", CLIENT, at=NOON + timedelta(hours=2)).ring("101").answer("101").end())
    )
    assert (await desk.rows(Call))[-1].deal_id == into
    assert [each.merged_into_id for each in await desk.rows(Deal)] == [into, None]


async def test_what_was_edited_since_stays_and_is_named(desk: CallbackDesk) -> None:
    contact = await client(desk, CLIENT)
    this, into = (
        await deal(desk, "New", contact_id=contact, values={"amount": "5"}),
        await deal(desk, "Old", contact_id=contact),
    )
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        await create_task(session, ivan, title="Ring", due_at=NOON + MONTH, now=NOON, deal_id=this)
    made = await merge(desk, this, into, chosen={"title": "this"})
    assert (await get(desk, into)).title == "New"
    async with desk.database.write() as session:
        task = (await session.exec(select(Task))).one()
        task.version += 1
        row = await session.get_one(Deal, into)
        row.amount = Decimal(9)
        await add_note(session, ivan, "Later", NOON, deal=row)
    left = await undo(desk, made)
    assert [(each["why"], each["what"]) for each in left] == [
        ("field", "amount"),
        ("edited", "tasks"),
        ("new", "notes"),
    ]
    assert ((await get(desk, into)).title, (await get(desk, into)).amount) == ("Old", Decimal(9))
    assert ((await desk.one(Task)).deal_id, (await desk.one(Note)).deal_id) == (this, into)


async def test_a_chain_is_undone_from_its_end(desk: CallbackDesk) -> None:
    contact = await client(desk, CLIENT)
    one, two, three = [await deal(desk, title, contact_id=contact) for title in ("1", "2", "3")]
    before = await picture(desk)
    first = await merge(desk, one, two)
    second = await merge(desk, two, three)
    async with desk.database.read() as session:
        ivan = await desk.office.viewer(session, "ivan")
        assert (await access_deal(session, ivan, one)).id == three
    with pytest.raises(Conflict, match="Undo that first"):
        await undo(desk, first)
    assert await undo(desk, second) == []
    assert await undo(desk, first) == []
    assert await picture(desk) == before
    with pytest.raises(Conflict):
        await undo(desk, first)


async def test_of_two_merges_at_once_one_wins(desk: CallbackDesk) -> None:
    contact = await client(desk, CLIENT)
    one, two = await deal(desk, "1", contact_id=contact), await deal(desk, "2", contact_id=contact)
    said = await asyncio.gather(
        merge(desk, one, two), merge(desk, two, one), merge(desk, one, two), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in said) == ["Conflict", "Conflict", "int"], said
    assert len(await desk.rows(DealMerge)) == 1
    assert len([each for each in await desk.rows(Deal) if each.merged_into_id is None]) == 1


async def test_what_others_wrote_during_the_merge_is_moved_a_minute_later(desk: CallbackDesk) -> None:
    contact = await client(desk, CLIENT)
    one, two = await deal(desk, "1", contact_id=contact), await deal(desk, "2", contact_id=contact)
    made = await merge(desk, one, two)
    async with desk.database.write() as session:
        session.add(Note(deal_id=one, author_id=desk.office.id("ivan"), text="Late", at=NOON))
    await sweep(desk.database, NOON + SETTLE_AFTER)
    assert (await desk.one(Note)).deal_id == two
    assert await undo(desk, made) == []
    assert (await desk.one(Note)).deal_id == one


Refused = Callable[[CallbackDesk, int, int], Any]


async def test_only_open_deals_of_one_client_that_one_may_change_are_merged(desk: CallbackDesk) -> None:
    contact = await client(desk, CLIENT)
    one, two = await deal(desk, "1", contact_id=contact), await deal(desk, "2", contact_id=contact)
    other = await deal(desk, "Another's", client_number="+380501112233")
    hers = await deal(desk, "Olena's", "olena", client_number=CLIENT)
    with pytest.raises(Invalid) as refused:
        await merge(desk, one, other)
    assert (refused.value.field, refused.value.code) == ("into", "deal_merges.clients")
    with pytest.raises(Invalid) as refused:
        await merge(desk, one, one)
    assert refused.value.code == "deal_merges.same"
    with pytest.raises(Invalid) as refused:
        await merge(desk, one, hers)
    assert (refused.value.field, refused.value.code) == ("into", "deals.not_found")
    with pytest.raises(NotFound):
        await merge(desk, hers, one)
    with pytest.raises(NotAllowed):
        await merge(desk, one, two, "kira")
    with pytest.raises(Conflict, match="changed this deal meanwhile"):
        await merge(desk, one, two, seen=SeenVersions(this=7))
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        lost = await stage_of_kind(session, (await session.get_one(Deal, one)).pipeline_id, StageKind.LOST)
        assert lost
        await move_deal(session, ivan, two, lost.id or 0, version=None, now=NOON, lost_reason="No money")
    with pytest.raises(Conflict, match="closed"):
        await merge(desk, one, two)
    made = await merge(desk, hers, one, "maria")
    with pytest.raises(NotFound):
        await undo(desk, made, "petro")
    with pytest.raises(NotFound):
        await merge(desk, hers, one, "olena")  # it is Ivan's deal now
    await undo(desk, made, "olena")  # but hers was merged, so she may take it back
    assert (await get(desk, hers)).merged_into_id is None


async def test_a_merged_deal_cannot_be_moved_and_says_so(desk: CallbackDesk) -> None:
    contact = await client(desk, CLIENT)
    one, two = await deal(desk, "1", contact_id=contact), await deal(desk, "2", contact_id=contact)
    await merge(desk, one, two)
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        stage = await stage_of_kind(session, (await session.get_one(Deal, one)).pipeline_id, StageKind.WON)
        assert stage
        with pytest.raises(Conflict) as refused:
            await move_deal(session, ivan, one, stage.id or 0, version=None, now=NOON)
    assert refused.value.code == "deal_merges.meanwhile"


async def test_who_sees_the_deals_hears_of_it(desk: CallbackDesk) -> None:
    contact = await client(desk, CLIENT)
    one, two = await deal(desk, "1", contact_id=contact), await deal(desk, "2", contact_id=contact)
    async with desk.database.read() as session:
        known = {row.id for row in (await session.exec(select(Outbox))).all()}
    await merge(desk, one, two)
    async with desk.database.read() as session:
        said = [row for row in (await session.exec(select(Outbox))).all() if row.id not in known]
    assert {("deal", str(one)), ("deal", str(two))} <= {(row.topic, row.ref) for row in said}


async def test_the_other_open_deals_of_a_client_are_offered(desk: CallbackDesk) -> None:
    """By the client and by each of their numbers; a colleague's deal is only said to be there."""
    contact = await client(desk, CLIENT, "+380501112233")
    one = await deal(desk, "1", contact_id=contact)
    two = await deal(desk, "2", client_number=CLIENT)
    hers = await deal(desk, "3", "olena", client_number=CLIENT)
    await deal(desk, "Another's", client_number="+380931112233")
    async with desk.database.read() as session:
        ivan, maria = [await desk.office.viewer(session, login) for login in ("ivan", "maria")]
        row = await session.get_one(Deal, one)
        found = await other_open_deals(session, ivan, row)
        assert ([each.deal.id for each in found.rows], found.owners) == ([two], [desk.office.id("olena")])
        assert [each.deal.id for each in (await other_open_deals(session, maria, row)).rows] == [hers, two]
        assert not await other_open_deals(session, ivan, await session.get_one(Deal, hers), pipeline_id=99)


async def test_callbacks_follow_their_deal(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    this = (await desk.one(Deal)).id or 0
    into = await deal(desk, "Books", contact_id=await client(desk, CLIENT))
    made = await merge(desk, this, into)
    assert (await desk.one(Episode)).deal_id == into
    await undo(desk, made)
    assert ((await desk.one(Episode)).deal_id, (await desk.one(Episode)).id) == (this, episode.id)
