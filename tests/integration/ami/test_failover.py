"""Two machines' listeners, the database away for both, and one killed: what either of them heard is told; on both databases.

``python -m tests.chaos.failover`` does the same with processes, at random.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy.exc
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ami.listener import Listener
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import CallEvent
from pbxcrm.pbx.models import PbxJournal, PbxStatus
from pbxcrm.shared.db import Database, database_now
from tests.fakes.ami_server import FakeAmiServer, listing, message
from tests.integration.ami.test_into_database import CLIENT, PHONE, RINGS, call_with, listener_on, listening, status
from tests.office import Office


class CutOff(Database):
    """The database as one machine reaches it, while it is not ``away``."""

    away = False

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        self._check()
        async with super().read() as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        self._check()
        async with super().write() as session:
            yield session

    def _check(self) -> None:
        if self.away:
            raise sqlalchemy.exc.OperationalError("BEGIN", {}, Exception("the network is down"))


@pytest.mark.parametrize("leader", ["who is killed led", "who lives led"])
async def test_who_heard_how_a_call_ended_betters_what_a_restarted_one_could_not_know(
    database: Database,
    database_url: str,
    office: Office,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    leader: str,
) -> None:
    """The database is away for both, one is killed, and the other comes back to it last: it alone heard the end of a call."""
    monkeypatch.setattr("ami.listener._OTHERS_COME", 0.0)  # it waits in vain
    async with FakeAmiServer() as pbx, AsyncExitStack() as living, AsyncExitStack() as dying:
        lives, dies = CutOff(database_url), CutOff(database_url)
        living.push_async_callback(lives.close)
        living.push_async_callback(dies.close)
        machines = [(living, lives, "lives"), (dying, dies, "dies")]
        for number, (stack, reached, name) in enumerate(machines if leader == "who lives led" else machines[::-1], 1):
            await stack.enter_async_context(_started(listener_on(pbx, reached, tmp_path / name)))
            await pbx.asked("CoreShowChannels", number)
            await _known(database, number)
        await pbx.send(RINGS)
        await call_with(database, CLIENT["Linkedid"], ringing=True)
        lives.away = dies.away = True
        await dying.aclose()
        await pbx.send(message(Event="Hangup", **PHONE) + message(Event="Hangup", **CLIENT))
        async with listening(listener_on(pbx, database, tmp_path / "dies")):
            guessed = await call_with(database, CLIENT["Linkedid"], over=True)
            assert guessed.outcome == "unknown"
            lives.away = False
            async with asyncio.timeout(30):
                while (call := await call_with(database, CLIENT["Linkedid"])).outcome == "unknown":
                    await asyncio.sleep(0.02)  # a database cannot be awaited
    assert (call.outcome, call.missed_reason, call.rang) == ("missed", "abandoned_ringing", ["101"])
    async with database.read() as session:
        assert (await session.exec(select(Episode))).one().owner_id == office.id("ivan")
        kinds = (await session.exec(select(CallEvent.kind).where(CallEvent.call_id == call.id))).all()
    assert list(kinds).count("ended") == 1


async def test_one_that_was_just_started_waits_for_who_knows_more(
    database: Database, database_url: str, office: Office, tmp_path: Path
) -> None:
    """Both were cut off; the restarted one reaches the database first, and leaves the lease to the one that heard it all."""
    async with FakeAmiServer() as pbx, AsyncExitStack() as living, AsyncExitStack() as dying:
        lives, dies = CutOff(database_url), CutOff(database_url)
        living.push_async_callback(lives.close)
        living.push_async_callback(dies.close)
        for number, (stack, reached, name) in enumerate([(dying, dies, "dies"), (living, lives, "lives")], 1):
            await stack.enter_async_context(_started(listener_on(pbx, reached, tmp_path / name)))
            await pbx.asked("CoreShowChannels", number)
            await _known(database, number)
        await pbx.send(RINGS)
        await call_with(database, CLIENT["Linkedid"], ringing=True)
        lives.away = dies.away = True
        await dying.aclose()
        await pbx.send(message(Event="Hangup", **PHONE) + message(Event="Hangup", **CLIENT))
        async with _started(listener_on(pbx, database, tmp_path / "dies")):
            await pbx.asked("CoreShowChannels", 3)
            async with asyncio.timeout(30):
                while not await _lapsed(database):
                    await asyncio.sleep(0.02)  # a database cannot be awaited
            lives.away = False
            # On a machine that is too busy the restarted one may lead for a moment; what it guesses is bettered.
            async with asyncio.timeout(60):
                while (call := await call_with(database, CLIENT["Linkedid"], over=True)).outcome == "unknown":
                    await asyncio.sleep(0.02)  # a database cannot be awaited
    assert (call.outcome, call.missed_reason) == ("missed", "abandoned_ringing")


async def test_a_heir_that_has_just_logged_in_waits_for_no_leader_that_is_dead(
    database: Database, database_url: str, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call rings before the heir logs in and ends before it leads: it is told whole."""
    monkeypatch.setattr("ami.listener._OTHERS_COME", 1000.0)
    monkeypatch.setattr("ami.follower._KNOWS_AFTER", 1000.0)
    async with FakeAmiServer() as pbx, AsyncExitStack() as dying:
        dies = CutOff(database_url)
        dying.push_async_callback(dies.close)
        await dying.enter_async_context(_started(listener_on(pbx, dies, tmp_path / "dies")))
        await pbx.asked("CoreShowChannels", 1)
        await _known(database, 1)
        await pbx.send(RINGS)
        await call_with(database, CLIENT["Linkedid"], ringing=True)
        there = listing("CoreShowChannel", "CoreShowChannelsComplete", [CLIENT, PHONE])
        pbx.responders["coreshowchannels"] = there
        async with _started(listener_on(pbx, database, tmp_path / "heir")):
            await pbx.asked("CoreShowChannels", 2)
            await _known(database, 2)
            dies.away = True
            await dying.aclose()
            await pbx.send(message(Event="Hangup", **PHONE) + message(Event="Hangup", **CLIENT))
            call = await call_with(database, CLIENT["Linkedid"], over=True)
    assert (call.outcome, call.missed_reason, call.rang) == ("missed", "abandoned_ringing", ["101"])


@asynccontextmanager
async def _started(listener: Listener) -> AsyncIterator[None]:
    """A listener that is killed at the end; who leads is not asked."""
    task = asyncio.create_task(listener.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _known(database: Database, machines: int) -> None:
    """Until one leads and the database knows of so many. On a busy machine the lease may have changed hands meanwhile."""
    async with asyncio.timeout(30):
        while True:
            async with database.read() as session:
                journals = (await session.exec(select(PbxJournal).where(col(PbxJournal.owner) != ""))).all()
            known = await status(database)
            if known is not None and known.lease_owner and len(journals) == machines:
                return
            await asyncio.sleep(0.02)  # a database cannot be awaited


async def _lapsed(database: Database) -> bool:
    async with database.read() as session:
        known = await session.get(PbxStatus, "main")
        now = await database_now(session)
    return known is not None and known.lease_until is not None and known.lease_until < now
