"""Taking a callback: one wins, the other is told who; it frees itself."""

import asyncio
from datetime import timedelta

import pytest

from pbxcrm.callbacks.claims import claim, release
from pbxcrm.callbacks.models import Episode
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, NotAllowed, NotFound
from tests.integration.callbacks.conftest import MISSED_AT, CallbackDesk
from tests.lamps import sweep_all


async def test_two_at_the_same_moment_one_wins_and_the_other_hears_the_name(
    desk: CallbackDesk, database: Database
) -> None:
    episode = await desk.miss()
    names = {"ivan": "Ivan Kravets", "olena": "Olena Hryhorenko"}
    other = Database(database.engine.url.render_as_string(hide_password=False))
    started = asyncio.Event()

    async def take(db: Database, login: str) -> str:
        viewer = await desk.viewer(login)
        await started.wait()
        try:
            async with db.write() as session:
                await claim(session, viewer, episode.id or 0, now=MISSED_AT)
        except Conflict as error:
            return str(error)
        return "won"

    tries = [asyncio.create_task(take(database, "ivan")), asyncio.create_task(take(other, "olena"))]
    started.set()
    found = dict(zip(names, await asyncio.gather(*tries), strict=True))
    await other.close()
    winner = next(login for login, said in found.items() if said == "won")
    loser = ({"ivan", "olena"} - {winner}).pop()
    assert found[loser] == f"{names[winner]} has taken this callback."
    assert (await desk.one(Episode)).claimed_by_id == desk.office.id(winner)


async def test_a_claim_is_kept_given_back_and_taken_by_another(desk: CallbackDesk, database: Database) -> None:
    episode = await desk.miss()
    ivan, olena = await desk.viewer("ivan"), await desk.viewer("olena")
    assert episode.id
    async with database.write() as session:
        await claim(session, ivan, episode.id, now=MISSED_AT)
        await claim(session, ivan, episode.id, now=MISSED_AT + timedelta(minutes=1))
    async with database.write() as session:
        with pytest.raises(Conflict, match="Ivan Kravets"):
            await release(session, olena, episode.id, now=MISSED_AT)
    async with database.write() as session:
        await release(session, ivan, episode.id, now=MISSED_AT)
        await release(session, ivan, episode.id, now=MISSED_AT)
    async with database.write() as session:
        await claim(session, olena, episode.id, now=MISSED_AT)
    assert (await desk.one(Episode)).claimed_by_id == desk.office.id("olena")


async def test_a_claim_nothing_came_of_frees_itself(desk: CallbackDesk, database: Database) -> None:
    episode = await desk.miss()
    assert episode.id
    async with database.write() as session:
        await claim(session, await desk.viewer("ivan"), episode.id, now=MISSED_AT)
    await sweep_all(database, MISSED_AT + timedelta(minutes=14))
    assert (await desk.one(Episode)).claimed_by_id == desk.office.id("ivan")
    async with database.write() as session:  # past its time, also before any worker looked
        await claim(session, await desk.viewer("olena"), episode.id, now=MISSED_AT + timedelta(minutes=15))
    await sweep_all(database, MISSED_AT + timedelta(minutes=16))
    assert (await desk.one(Episode)).claimed_by_id == desk.office.id("olena")
    await sweep_all(database, MISSED_AT + timedelta(minutes=31))
    assert (await desk.one(Episode)).claimed_by_id is None


async def test_who_may_not_does_not(desk: CallbackDesk, database: Database) -> None:
    episode = await desk.miss()
    assert episode.id
    async with database.write() as session:
        with pytest.raises(NotFound):  # another team's
            await claim(session, await desk.viewer("petro"), episode.id, now=MISSED_AT)
        with pytest.raises(NotAllowed):  # quality control only reads
            await claim(session, await desk.viewer("kira"), episode.id, now=MISSED_AT)
