"""A checkpoint may watch when the next attempt to reach a client is planned: by the deal's own task, or by the client's callback."""

from datetime import datetime, timedelta

from sqlmodel import select

from pbxcrm.callbacks.models import Episode
from pbxcrm.checkpoints.actions import create_checkpoint
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.tasks.actions import edit_task
from pbxcrm.tasks.finish_actions import finish_task
from tests.calls import NOON
from tests.integration.callbacks.conftest import CallbackDesk
from tests.integration.callbacks.test_schedules import SOON, fail, retries, talk

HOUR = timedelta(hours=1)
LATE = timedelta(minutes=15)


async def watch(desk: CallbackDesk) -> int:
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        change = CheckpointChange(
            "Attempt left", "date", [StepChange(15, "responsible", "task")], ["talked"], field="next_attempt_at"
        )
        made, _job = await create_checkpoint(session, admin, change, now=NOON)
        return made.id or 0


async def lamps(desk: CallbackDesk, checkpoint: int, *states: LampState) -> list[datetime]:
    async with desk.database.read() as session:
        rows = await session.exec(select(Lamp).where(Lamp.checkpoint_id == checkpoint))
        return [lamp.due_at for lamp in rows.all() if lamp.state in states]


async def test_the_attempt_that_our_own_failed_call_planned_is_watched(desk: CallbackDesk) -> None:
    checkpoint = await watch(desk)
    await talk(desk)
    assert not await lamps(desk, checkpoint, *LampState)
    ended = await fail(desk, "8.1", SOON)
    (task,) = await retries(desk)
    assert await lamps(desk, checkpoint, LampState.ARMED) == [task.due_at + LATE]
    await fail(desk, "8.2", ended + HOUR)  # the attempt was made, and the next one is planned
    (task,) = await retries(desk)
    assert await lamps(desk, checkpoint, LampState.ARMED) == [task.due_at + LATE]
    viewer = await desk.viewer("ivan")
    async with desk.database.write() as session:
        later = NOON + 20 * HOUR  # the next morning, in working time
        await edit_task(session, viewer, task.id or 0, version=None, now=ended + HOUR, due_at=later)
    assert await lamps(desk, checkpoint, LampState.ARMED) == [later + LATE]
    await sweep_lamps(desk.database, later + LATE)
    assert await lamps(desk, checkpoint, LampState.BURNING) == [later + LATE]
    async with desk.database.write() as session:
        await finish_task(session, viewer, task.id or 0, result="", now=later + HOUR)
    assert not await lamps(desk, checkpoint, LampState.ARMED, LampState.BURNING)


async def test_the_attempt_that_a_callback_planned_is_watched_until_the_client_calls_again(desk: CallbackDesk) -> None:
    checkpoint = await watch(desk)
    await desk.miss()
    assert not await lamps(desk, checkpoint, *LampState)  # nothing was tried yet: the callback has lamps of its own
    ended = await fail(desk, "8.1", SOON)
    planned = (await desk.one(Episode)).next_attempt_at
    assert planned is not None
    assert await lamps(desk, checkpoint, LampState.ARMED) == [planned + LATE]
    await desk.miss(at=ended + timedelta(minutes=5))  # now they wait
    assert not await lamps(desk, checkpoint, LampState.ARMED)
    ended = await fail(desk, "8.2", ended + timedelta(minutes=7))
    planned = (await desk.one(Episode)).next_attempt_at
    assert planned is not None
    await sweep_lamps(desk.database, planned + LATE)
    assert await lamps(desk, checkpoint, LampState.BURNING) == [planned + LATE]
    await talk(desk, "17.9", planned + HOUR)
    assert not await lamps(desk, checkpoint, LampState.ARMED, LampState.BURNING)
