"""One listener at a time applies what a PBX says, whatever clocks, copies and stopped processes do; on both databases."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from pbxcrm.calls.facts import Batch, Outcome
from pbxcrm.calls.models import Call
from pbxcrm.pbx.leases import check_lease
from pbxcrm.pbx.models import PbxJournal, PbxStatus
from pbxcrm.pbx.state import JournalPosition, Lease, LeaseLost
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database, database_now
from pbxcrm.shared.settings import Settings
from tests.calls import FactStory, batch
from tests.office import Office


@pytest.fixture
def intake(database: Database, tmp_path: Path) -> Intake:
    return Intake(database, Settings(data_dir=tmp_path))


async def lapse(database: Database) -> None:
    async with database.write() as session:
        status = await session.get(PbxStatus, "default")
        assert status is not None
        status.lease_until = await database_now(session) - timedelta(seconds=1)


async def test_one_listener_at_a_time(database: Database, intake: Intake) -> None:
    assert await intake.hold_lease("default", "j1", "a", 30) == Lease("a", 1)
    assert await intake.hold_lease("default", "j2", "b", 30) is None
    assert await intake.hold_lease("default", "j1", "a", 30) == Lease("a", 1)
    await intake.release_lease("default", "a")
    assert await intake.hold_lease("default", "j2", "b", 30) == Lease("b", 2)
    assert await intake.hold_lease("default", "j1", "a", 30) is None


async def test_a_lease_that_lapsed_stays_with_its_owner_until_another_takes_it(
    database: Database, intake: Intake
) -> None:
    await intake.hold_lease("default", "j1", "a", 30)
    await lapse(database)
    assert await intake.hold_lease("default", "j1", "a", 30) == Lease("a", 1)
    await lapse(database)
    assert await intake.hold_lease("default", "j2", "b", 30) == Lease("b", 2)


async def test_one_who_lost_the_lease_applies_nothing(database: Database, office: Office, intake: Intake) -> None:
    old = await intake.hold_lease("default", "j1", "a", 30)
    await lapse(database)
    new = await intake.hold_lease("default", "j2", "b", 30)
    told = batch(FactStory().ring("101").end())
    for refused in (old, Lease("b", 1), Lease("c", 2)):
        with pytest.raises(LeaseLost):
            await intake.apply(_with(told, refused))
    async with database.read() as session:
        assert (await session.exec(select(Call))).all() == []
        assert (await session.exec(select(PbxJournal.position))).all() == [0, 0]
    await intake.apply(_with(told, new))
    async with database.read() as session:
        assert len((await session.exec(select(Call))).all()) == 1


async def test_each_batch_renews_the_lease(database: Database, office: Office, intake: Intake) -> None:
    """So a listener that is busy applying facts does not lose it because a renewal comes late."""
    assert await intake.lease_left("default") <= 0
    lease = await intake.hold_lease("default", "j1", "a", 30)
    await lapse(database)
    assert await intake.lease_left("default") < 0
    await intake.apply(replace(batch(FactStory().ring("101")), journal="j1", lease=lease))
    assert 25 < await intake.lease_left("default") <= 30
    assert await intake.hold_lease("default", "j2", "b", 30) is None


async def test_who_has_locked_the_row_is_alive_and_one_that_stands_still_loses_the_lock(
    database: Database, database_url: str, intake: Intake
) -> None:
    """PostgreSQL only: a listener that is stopped in the middle of a transaction must not keep a standby waiting."""
    if database.is_sqlite:
        return
    lease = await intake.hold_lease("default", "j1", "a", 30)
    await lapse(database)
    stopped = Database(database_url, idle_seconds=3.0)
    try:
        with pytest.raises(DBAPIError):
            await _stand_still(stopped, lease, intake)
    finally:
        await stopped.close()


async def _stand_still(stopped: Database, lease: Lease | None, intake: Intake) -> None:
    async with stopped.write() as session:
        await check_lease(session, "default", lease, None)
        async with asyncio.timeout(2.9):
            assert await intake.hold_lease("default", "j2", "b", 30) is None
        async with asyncio.timeout(30):
            while await intake.hold_lease("default", "j2", "b", 30) != Lease("b", 2):
                await asyncio.sleep(0.02)  # a database cannot be awaited


async def test_who_does_not_hear_the_pbx_leaves_it_to_one_that_does(database: Database, intake: Intake) -> None:
    assert await intake.hold_lease("default", "j1", "a", 30, is_hearing=False) == Lease("a", 1)  # better than nobody
    assert await intake.hold_lease("default", "j2", "b", 30, is_hearing=True) is None
    assert await intake.hold_lease("default", "j1", "a", 30, is_hearing=False) is None
    assert await intake.hold_lease("default", "j2", "b", 30, is_hearing=True) == Lease("b", 2)


async def test_one_just_started_waits_for_another_that_was_alive_when_the_database_went_away(
    database: Database, intake: Intake
) -> None:
    await intake.hold_lease("default", "j1", "a", 30)
    assert await intake.hold_lease("default", "j2", "b", 30, is_hearing=False) is None
    await lapse(database)
    hasty: dict[str, Any] = {"is_hearing": False, "has_waited": False}
    assert await intake.hold_lease("default", "j1", "a2", 30, **hasty) is None
    assert await intake.hold_lease("default", "j2", "b", 30) == Lease("b", 2)
    await lapse(database)
    assert await intake.hold_lease("default", "j1", "a2", 30, **hasty) is None
    async with database.write() as session:
        silent = await session.get(PbxJournal, ("default", "j2"))
        assert silent is not None
        silent.seen_at = await database_now(session) - timedelta(seconds=3)
    assert await intake.hold_lease("default", "j1", "a2", 30, **hasty) is None
    assert await intake.hold_lease("default", "j1", "a2", 30, is_hearing=False, has_waited=True) == Lease("a2", 3)


async def test_one_just_started_waits_for_nobody_on_the_only_machine(database: Database, intake: Intake) -> None:
    """Neither for itself before it died, nor for a machine that was given up long ago."""
    await intake.open_journal("default", "j2", "b", is_new=True)
    async with database.write() as session:
        given_up = await session.get(PbxJournal, ("default", "j2"))
        assert given_up is not None
        given_up.seen_at = await database_now(session) - timedelta(minutes=1)
    await intake.open_journal("default", "j1", "a", is_new=True)
    await intake.hold_lease("default", "j1", "a", 30)
    await lapse(database)
    assert await intake.hold_lease("default", "j1", "a2", 30, is_hearing=False, has_waited=False) == Lease("a2", 2)


@pytest.mark.parametrize(
    ("answered_for", "knows_more", "asked_ago", "takes"),
    [(60, False, 0, True), (0.5, False, 0, False), (60, True, 0, False), (60, False, 2, False)],
    ids=["the leader is gone", "answered only after the lapse", "a third one knows more", "the database hung"],
)
async def test_one_just_started_waits_for_no_leader_that_is_gone(
    database: Database, intake: Intake, answered_for: float, knows_more: bool, asked_ago: float, takes: bool
) -> None:
    """The database has answered it ever since the leader's lease was in force: that lease did not lapse because it was away."""
    asked: dict[str, Any] = {"is_hearing": False, "has_waited": False, "answered_for": timedelta(seconds=answered_for)}
    await intake.hold_lease("default", "j1", "a", 30)
    if knows_more:
        assert await intake.hold_lease("default", "j3", "c", 30) is None
    assert await intake.hold_lease("default", "j2", "b", 30, **asked) is None
    await lapse(database)
    async with database.write() as session:
        before = await session.get(PbxJournal, ("default", "j2"))
        assert before is not None
        before.seen_at = await database_now(session) - timedelta(seconds=asked_ago)
    assert await intake.hold_lease("default", "j2", "b", 30, **asked) == (Lease("b", 2) if takes else None)


async def test_each_journal_has_its_own_position(database: Database, intake: Intake) -> None:
    assert await intake.open_journal("default", "j1", "a", is_new=True) == ("j1", JournalPosition(0, 0))
    assert await intake.open_journal("default", "j2", "b", is_new=True) == ("j2", JournalPosition(0, 0))
    await intake.move_cursor("default", "j1", JournalPosition(500, 400))
    await intake.release_lease("default", "a")
    assert await intake.open_journal("default", "j1", "a2", is_new=False) == ("j1", JournalPosition(500, 400))
    await intake.release_lease("default", "b")
    assert await intake.open_journal("default", "j2", "b2", is_new=False) == ("j2", JournalPosition(0, 0))


async def test_a_copied_journal_gets_a_name_of_its_own_and_goes_on_from_there(
    database: Database, intake: Intake
) -> None:
    await intake.open_journal("default", "j1", "a", is_new=True)
    await intake.move_cursor("default", "j1", JournalPosition(500, 400))
    name, cursor = await intake.open_journal("default", "j1", "twin", is_new=False)
    assert name != "j1"
    assert cursor == JournalPosition(500, 400)
    await intake.move_cursor("default", name, JournalPosition(900, 900))
    await intake.release_lease("default", "a")
    assert await intake.open_journal("default", "j1", "a2", is_new=False) == ("j1", JournalPosition(500, 400))


async def test_a_journal_that_is_opened_again_at_once_keeps_its_name(database: Database, intake: Intake) -> None:
    """A listener that is killed is back in a moment; the database has heard of the dead one just before."""
    await intake.open_journal("default", "j1", "a", is_new=True)
    await intake.hold_lease("default", "j1", "a", 30)
    assert (await intake.open_journal("default", "j1", "a2", is_new=False, former="a"))[0] == "j1"
    await lapse(database)
    waits_for_nobody = await intake.hold_lease("default", "j1", "a2", 30, is_hearing=False, has_waited=False)
    assert waits_for_nobody == Lease("a2", 2)


async def test_a_journal_from_before_names_goes_on_where_it_was(database: Database, intake: Intake) -> None:
    await intake.move_cursor("default", "", JournalPosition(500, 400))
    assert await intake.open_journal("default", "fresh", "a", is_new=True) == ("fresh", JournalPosition(0, 0))
    assert await intake.open_journal("default", "old", "b", is_new=False) == ("old", JournalPosition(500, 400))


async def test_the_database_says_what_it_was_told(database: Database, office: Office, intake: Intake) -> None:
    over, open_ = FactStory("1.1").ring("101").end(), FactStory("1.2").ring("101")
    await intake.apply(batch(over, open_))
    told = await intake.already_told("default", {"1.1", "1.2", "1.3"})
    assert {name: call.is_over for name, call in told.items()} == {"1.1": True, "1.2": False}
    assert told["1.2"].keys == {fact.key for fact in open_.facts}


async def test_a_standby_betters_an_ending_that_nobody_knew(database: Database, office: Office, intake: Intake) -> None:
    heard = FactStory("1.1").ring("101").end()
    *before, last = heard.facts
    guessed = replace(last, call=replace(last.call, outcome=Outcome.UNKNOWN, missed_reason=None))
    await intake.apply(replace(batch(heard), facts=(*before, guessed)))
    assert (await intake.already_told("default", {"1.1"}))["1.1"].is_unknown
    await intake.add_missing(batch(heard))
    told = (await intake.already_told("default", {"1.1"}))["1.1"]
    assert (told.is_over, told.is_unknown) == (True, False)
    await intake.add_missing(replace(batch(heard), facts=(guessed,)))
    async with database.read() as session:
        assert (await session.exec(select(Call.outcome))).one() == "missed"


async def test_calls_nobody_told_of_are_added_and_those_that_are_over_stay(
    database: Database, office: Office, intake: Intake
) -> None:
    await intake.apply(batch(FactStory("1.1").ring("101").end()))
    again = FactStory("1.1").ring("101", "102").answer("101").end()
    await intake.add_missing(batch(again, FactStory("1.2").ring("101").end()))
    async with database.read() as session:
        calls = {call.linkedid: call for call in (await session.exec(select(Call))).all()}
    assert calls["1.1"].outcome == "missed"
    assert calls["1.1"].rang == ["101"]
    assert calls["1.2"].outcome == "missed"


async def test_ids_are_wider_than_32_bits(database: Database, office: Office, intake: Intake) -> None:
    async with database.write() as session:
        session.add(_call_with_a_big_id())
    await intake.apply(batch(FactStory("9.9").ring("101").end()))


def _call_with_a_big_id() -> Call:
    story = FactStory("8.8").ring("101").end()
    started = story.facts[0].call.started_at
    return Call(
        id=2**40, pbx="default", linkedid="8.8", direction="inbound", outcome="missed", started_at=started, reason={}
    )


def _with(told: Batch, lease: Lease | None) -> Batch:
    return replace(told, journal="j2", lease=lease)
