"""What people do to stages and norms while lamps are armed and burn: a clear word, and no lamp is lost."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from pbxcrm.access import Viewer
from pbxcrm.callbacks.actions import change_options
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.actions import create_checkpoint
from pbxcrm.checkpoints.burning_queries import paces
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
from pbxcrm.checkpoints.models import LampState
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.clearing_actions import CLEAR_AGAIN
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.pipeline_actions import archive_stage, change_pipeline, change_stage, create_pipeline
from pbxcrm.deals.pipeline_drafts import PipelineChange, StageChange
from pbxcrm.deals.queries import default_pipeline, stage_of_kind
from pbxcrm.reactions.intake import Intake
from pbxcrm.reports.lamps import LAMPS
from pbxcrm.reports.report import Asked
from pbxcrm.reports.stage_time import STAGE_TIME
from pbxcrm.shared import timers
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.reasons import text
from pbxcrm.shared.settings import Settings
from tests.calls import NOON, FactStory, batch
from tests.integration.checkpoints.conftest import DealDesk
from tests.integration.checkpoints.test_engine import DUE
from tests.office import open_office
from tests.statements import somebody_waits
from tests.waiting import until

MINUTE = timedelta(minutes=1)
YEARS = 10 * 366 * 9 * 60


async def test_a_stage_goes_with_its_lamps_and_each_deal_has_those_of_its_new_one(desk: DealDesk) -> None:
    """More deals than are moved at once; one of their lamps burns."""
    first = await desk.deal(at=DUE - timedelta(days=9))
    deals = [first] + [await desk.deal(number=f"+38067111{number:04}", at=DUE) for number in range(60)]
    await desk.sweep(DUE)
    admin, gone, to = await desk.viewer("admin"), await desk.stage("Proposal sent"), await desk.stage("Invoice issued")
    with pytest.raises(Invalid) as refused:
        async with desk.database.write() as session:
            await archive_stage(session, admin, gone.id or 0, None, now=DUE + MINUTE)
    assert (refused.value.field, "Deals stand here: 61" in refused.value.message.format(**refused.value.params)) == (
        "move_to",
        True,
    )
    async with desk.database.write() as session:
        assert await archive_stage(session, admin, gone.id or 0, to.id, now=DUE + MINUTE) == 61
    while await timers.sweep(desk.database, DUE + MINUTE):
        pass
    armed = await desk.lamps(LampState.ARMED)
    assert sorted(lamp.deal_id or 0 for lamp in armed) == sorted(deals)
    assert {(await desk.deal_row(deal_id)).stage_id for deal_id in deals} == {to.id}
    (out,) = await desk.lamps(LampState.OUT)
    assert (out.deal_id, out.out_reason["code"], out.out_by_id) == (first, "lamp.out_stage_removed", None)
    assert text(out.out_reason) == "Admin removed the stage “Proposal sent”."
    async with desk.database.read() as session:  # nobody has reacted
        asked = Asked(
            DUE - timedelta(days=1), DUE + timedelta(days=1), ZoneInfo("Europe/Kyiv"), DUE + 2 * MINUTE, "owner"
        )
        lamps = await LAMPS.load(session, admin, asked)
        stays = await STAGE_TIME.load(session, admin, replace(asked, by="stage"))
        assert not [each for pace in (await paces(session, admin, DUE)).values() for each in pace.reactions]
    totals = lamps.totals
    assert (totals["lit"], totals["in_time"], totals["percent_in_time"], totals["median_minutes"]) == (1, 0, None, None)
    assert not stays.lines
    assert not await desk.lamps(LampState.BURNING)
    assert not await desk.tasks("lamp")


async def test_nobody_makes_or_moves_a_deal_into_a_stage_that_is_gone(desk: DealDesk) -> None:
    deal_id = await desk.deal()
    admin, gone = await desk.viewer("admin"), await desk.stage("Call held")
    async with desk.database.write() as session:
        await archive_stage(session, admin, gone.id or 0, None, now=NOON)
    with pytest.raises(Invalid) as moved:
        await desk.move(deal_id, "Call held", NOON + MINUTE, login="admin")
    with pytest.raises(Invalid) as made:
        async with desk.database.write() as session:
            await create_deal(
                session, admin, title="Late", now=NOON, currency="UAH", region="UA", stage_id=gone.id
            )  # fmt: skip
    assert {(each.value.field, each.value.code) for each in (moved, made)} == {("stage_id", "deals.no_stage")}
    assert (await desk.one_lamp(LampState.ARMED)).deal_id == deal_id


@pytest.mark.postgres
@pytest.mark.parametrize("who_is_first", ["who removes", "who drags"])
async def test_a_stage_goes_while_somebody_drags_into_it(
    postgres_url: str, settings: Settings, who_is_first: str
) -> None:
    """On PostgreSQL both are in the middle of it: the deal stands in a stage that is there, and its lamp is armed."""
    database = Database(postgres_url)
    office = await open_office(database)
    desk = DealDesk(database, office, Intake(database, settings))
    deal_id = await desk.deal("Call held")
    gone, to, admin, ivan = (
        await desk.stage("Proposal sent"), await desk.stage("Invoice issued"), await desk.viewer("admin"), await desk.viewer("ivan"),
    )  # fmt: skip
    begun = asyncio.Event()

    async def act(viewer: Viewer, *, is_first: bool) -> None:
        if not is_first:
            await begun.wait()
        async with database.write() as session:
            if viewer is admin:
                await archive_stage(session, admin, gone.id or 0, to.id, now=NOON + MINUTE)
            else:
                await move_deal(session, ivan, deal_id, gone.id or 0, version=None, now=NOON + MINUTE)
            await session.flush()
            if is_first:
                begun.set()
                await until(lambda: somebody_waits(database))

    found = await asyncio.gather(
        act(admin, is_first=who_is_first == "who removes"),
        act(ivan, is_first=who_is_first == "who drags"),
        return_exceptions=True,
    )
    deal = await desk.deal_row(deal_id)
    if who_is_first == "who removes":
        assert [type(result) for result in found] == [type(None), Invalid], found
        assert deal.stage_id == (await desk.stage("Call held")).id
    else:
        assert list(found) == [None, None]
        assert deal.stage_id == to.id
        assert (await desk.one_lamp(LampState.ARMED)).stage_id == to.id
    await database.close()


async def test_what_a_call_brought_into_a_stage_that_was_just_removed_is_moved_a_minute_later(desk: DealDesk) -> None:
    deal_id = await desk.deal("Call held")
    admin, gone = await desk.viewer("admin"), await desk.stage("Shipped")
    async with desk.database.write() as session:
        await archive_stage(session, admin, gone.id or 0, None, now=NOON)
    async with desk.database.write() as session:  # as a transaction leaves it that had begun before
        (await session.get_one(Deal, deal_id)).stage_id = gone.id or 0
    assert await timers.sweep(desk.database, NOON + CLEAR_AGAIN) == 1
    moved = await desk.deal_row(deal_id)
    async with desk.database.read() as session:
        assert (await session.get_one(Stage, moved.stage_id)).archived_at is None


@pytest.mark.parametrize("minutes", [0, -5, YEARS])
async def test_a_norm_of_nothing_or_of_ten_years_is_refused_and_what_is_armed_stays(
    desk: DealDesk, minutes: int
) -> None:
    await desk.deal()
    before = (await desk.one_lamp(LampState.ARMED)).due_at
    admin, stage = await desk.viewer("admin"), await desk.stage("Proposal sent")
    with pytest.raises(Invalid) as refused:
        async with desk.database.write() as session:
            await change_stage(session, admin, stage.id or 0, StageChange(norm_minutes=minutes), now=NOON + MINUTE)
    assert (refused.value.field, refused.value.code) == ("norm_minutes", "stages.norm")
    for key in ("callback_due_minutes", "callback_pause_minutes"):
        if minutes or key == "callback_due_minutes":  # without a pause the manager is asked together with the owner
            with pytest.raises(Invalid) as refused:
                async with desk.database.write() as session:
                    await change_options(session, admin, {key: minutes}, now=NOON + MINUTE)
            assert refused.value.field == key
    assert (await desk.one_lamp(LampState.ARMED)).due_at == before


async def test_two_administrators_change_one_norm(desk: DealDesk) -> None:
    await desk.deal()
    admin, stage = await desk.viewer("admin"), await desk.stage("Proposal sent")
    for minutes in (60, 120):
        try:
            async with desk.database.write() as session:
                new = StageChange(norm_minutes=minutes)
                await change_stage(session, admin, stage.id or 0, new, now=NOON + MINUTE, version=stage.version)
        except Conflict:
            assert minutes == 120
    async with desk.database.read() as session:
        kept = (await session.exec(select(Stage).where(Stage.id == stage.id))).one()
    assert kept.norm_minutes == 60
    assert (await desk.one_lamp(LampState.ARMED)).minutes == 60


async def test_what_is_counted_by_date_is_no_less_late_when_its_stage_is_removed(desk: DealDesk) -> None:
    """A move counts for dates and silence, the removal of the stage does not."""
    admin = await desk.viewer("admin")
    change = CheckpointChange(
        "Silent", "silence", [StepChange(60, "responsible", "task")], ["stage_moved", "talked"], talked_seconds=30
    )
    async with desk.database.write() as session:
        row, _job = await create_checkpoint(session, admin, change, now=NOON)
    deal_id = await desk.deal()
    await desk.sweep(DUE)
    gone, to = await desk.stage("Proposal sent"), await desk.stage("Invoice issued")
    async with desk.database.write() as session:
        await archive_stage(session, admin, gone.id or 0, to.id, now=DUE + MINUTE)
    burning = [each for each in await desk.lamps(LampState.BURNING) if each.checkpoint_id == row.id]
    assert [each.deal_id for each in burning] == [deal_id]
    await desk.move(deal_id, "Invoice agreed", DUE + 2 * MINUTE)
    (out,) = [each for each in await desk.lamps(LampState.OUT) if each.checkpoint_id == row.id]
    assert (out.out_reason["code"], out.out_by_id) == ("lamp.out_stage", desk.office.id("ivan"))


@pytest.mark.parametrize("kind", [StageKind.UNSORTED, StageKind.DIDNT_REACH])
async def test_the_default_pipeline_keeps_its_stages_for_calls(desk: DealDesk, kind: StageKind) -> None:
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        first = await default_pipeline(session)
        assert first
        other = await create_pipeline(session, admin, PipelineChange(name="Other"), template="leads", now=NOON)
        theirs, ours = (
            await stage_of_kind(session, other.id or 0, kind),
            await stage_of_kind(session, first.id or 0, kind),
        )
        assert theirs
        assert ours
        await archive_stage(session, admin, theirs.id or 0, None, now=NOON)  # calls do not come in here
    refused: list[Invalid] = []
    for act in (
        lambda s: archive_stage(s, admin, ours.id or 0, None, now=NOON),
        lambda s: change_stage(s, admin, ours.id or 0, StageChange(kind="open"), now=NOON),
        lambda s: change_pipeline(s, admin, other.id or 0, PipelineChange(is_default=True), now=NOON),
    ):
        with pytest.raises(Invalid) as error:
            async with desk.database.write() as session:
                await act(session)
        refused.append(error.value)
    assert [(each.field, each.code) for each in refused] == [
        ("kind", "stages.for_calls"), ("kind", "stages.for_calls"), ("is_default", "stages.for_calls")
    ]  # fmt: skip
    async with desk.database.write() as session:  # renamed as anybody likes
        await change_stage(session, admin, ours.id or 0, StageChange(name="Inbox"), now=NOON)


async def test_calls_find_a_stage_where_the_default_pipeline_lost_its_own_long_ago(desk: DealDesk) -> None:
    """Such a pipeline can be left from before this was refused. No client of a call is without a deal."""
    async with desk.database.write() as session:
        pipeline = await default_pipeline(session)
        assert pipeline
        for kind in (StageKind.UNSORTED, StageKind.DIDNT_REACH):
            gone = await stage_of_kind(session, pipeline.id or 0, kind)
            assert gone
            gone.archived_at = NOON
        first = await stage_of_kind(session, pipeline.id or 0, StageKind.OPEN)
        assert first
    await desk.talk(NOON, client="+380671110001")
    await desk.intake.apply(batch(FactStory("19.1", "+380671110002", at=NOON).ring("101").wait(25).end()))
    deals = await desk.rows(Deal)
    assert {deal.client_number: deal.stage_id for deal in deals} == {
        "+380671110001": first.id, "+380671110002": first.id
    }  # fmt: skip
    assert all(call.deal_id for call in await desk.rows(Call))
