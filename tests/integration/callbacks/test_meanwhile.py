"""A person decides while a call is applied: on PostgreSQL the listener waits for them, and then sees what they did."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.actions import do_give
from pbxcrm.callbacks.models import Episode, EpisodeCall
from pbxcrm.callbacks.results import dismiss
from pbxcrm.checkpoints.lighting import LampEnding
from pbxcrm.contacts.actions import mark_number
from pbxcrm.contacts.models import NumberKind
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.reactions.apply_facts import apply_facts
from pbxcrm.reactions.call_context import load_call_context
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch, outbound
from tests.integration.callbacks.conftest import CLIENT, CallbackDesk
from tests.office import open_office
from tests.statements import somebody_waits
from tests.waiting import until

pytestmark = pytest.mark.postgres
LATER = NOON + timedelta(minutes=5)
Act = Callable[[AsyncSession], Awaitable[object]]


@pytest.fixture
async def desk(postgres_url: str, tmp_path: Path) -> AsyncIterator[CallbackDesk]:
    """PostgreSQL alone: SQLite has one writer at a time anyway."""
    database = Database(postgres_url)
    yield CallbackDesk(database, await open_office(database), Intake(database, Settings(data_dir=tmp_path)))
    await database.close()


async def during(desk: CallbackDesk, first: Act, second: Callable[[], Coroutine[None, None, object]]) -> None:
    """Let ``second`` happen while ``first`` has been done but not committed."""
    async with desk.database.write() as session:
        await first(session)
        await session.flush()
        waiting = asyncio.create_task(second())
        await until(lambda: somebody_waits(desk.database))
    await waiting


async def test_a_miss_is_not_counted_on_what_was_dismissed_meanwhile(desk: CallbackDesk) -> None:
    before, ivan = await desk.miss(), await desk.viewer("ivan")
    await during(
        desk,
        lambda session: dismiss(session, ivan, before.id or 0, "sold elsewhere", now=LATER),
        lambda: desk.miss(at=LATER),
    )
    old, new = await desk.rows(Episode)
    assert [(e.status, e.missed_count) for e in (old, new)] == [("dismissed", 1), ("open", 1)]
    assert [task.status for task in await desk.rows(Task)] == ["cancelled", "open"]
    assert new.norm_from == LATER + timedelta(seconds=9)
    async with desk.database.read() as session:
        assert len((await session.exec(select(EpisodeCall).where(EpisodeCall.episode_id == new.id))).all()) == 1


async def test_an_attempt_is_not_counted_on_what_was_dismissed_meanwhile(desk: CallbackDesk) -> None:
    before, ivan = await desk.miss(), await desk.viewer("ivan")
    await during(
        desk,
        lambda session: dismiss(session, ivan, before.id or 0, "sold elsewhere", now=LATER),
        lambda: desk.intake.apply(batch(outbound("17.2", "102", at=LATER).wait(20).end())),
    )
    after = await desk.one(Episode)
    assert (after.status, after.attempts, after.next_attempt_at) == ("dismissed", 0, None)


async def test_a_number_that_is_marked_closes_no_callback_that_a_talk_has_closed_meanwhile(desk: CallbackDesk) -> None:
    await desk.miss()
    ivan = await desk.viewer("ivan")

    async def marks() -> None:
        async with desk.database.write() as session:
            await session.exec(select(Episode))  # read before the lock: it must not stay as it was then
            await mark_number(session, ivan, CLIENT, NumberKind.SPAM, region="UA", now=LATER)

    async def talks(session: AsyncSession) -> None:
        story = FactStory("17.2", at=LATER).ring("101").answer("101")
        await apply_facts(session, await load_call_context(session, desk.intake.settings), batch(story).facts)

    await during(desk, talks, marks)
    assert (await desk.one(Episode)).status == "recovered"


async def won_stage(session: AsyncSession) -> int:
    found = (await session.exec(select(Stage).where(Stage.kind == StageKind.WON.value))).one()
    assert found.id
    return found.id


@pytest.mark.parametrize("calls", ["client", "us"])
async def test_a_talk_does_not_move_a_deal_that_somebody_moves_meanwhile(desk: CallbackDesk, calls: str) -> None:
    await desk.miss()
    deal, maria = await desk.one(Deal), await desk.viewer("maria")
    story = FactStory("17.2", at=LATER).ring("102") if calls == "client" else outbound("17.2", "102", at=LATER)

    async def wins(session: AsyncSession) -> None:
        won = await won_stage(session)
        await move_deal(session, maria, deal.id or 0, won, version=deal.version, now=LATER)

    await during(desk, wins, lambda: desk.intake.apply(batch(story.answer("102"))))
    after = await desk.one(Deal)
    async with desk.database.read() as session:
        assert after.stage_id == await won_stage(session)
    assert (after.closed_at, after.responsible_id, after.version) == (LATER, deal.responsible_id, deal.version + 1)


async def test_a_callback_given_to_another_leaves_a_deal_that_is_closed_meanwhile(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    deal, maria = await desk.one(Deal), await desk.viewer("maria")

    async def wins(session: AsyncSession) -> None:
        won = await won_stage(session)
        await move_deal(session, maria, deal.id or 0, won, version=deal.version, now=LATER)

    async def gives() -> None:
        async with desk.database.write() as session:
            row = await session.get_one(Episode, episode.id)
            await do_give(session, maria, row, desk.office["olena"], LampEnding(reason("lamp.out_attempt")), LATER)

    await during(desk, wins, gives)
    after = await desk.one(Deal)
    assert (after.responsible_id, after.version) == (deal.responsible_id, deal.version + 1)
