"""A manager takes back that an escalation was given to somebody else: everything is as it was before, or it is refused."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from pbxcrm.callbacks.claims import claim
from pbxcrm.callbacks.models import Episode
from pbxcrm.checkpoints.escalation_actions import reassign, undo_reassign
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.deals.actions import edit_deal
from pbxcrm.deals.models import Deal
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, NotAllowed, NotFound
from pbxcrm.tasks.models import Task
from tests.integration.callbacks.conftest import MISSED_AT, CallbackDesk
from tests.integration.callbacks.conftest import desk as callbacks
from tests.integration.checkpoints.conftest import DealDesk, desk
from tests.integration.checkpoints.test_escalations import escalated
from tests.lamps import sweep_all

__all__ = ["callbacks", "desk"]

#: What tells how often a row was changed, and the name of an armed lamp that is made again.
_OF_THE_ROW = {"version", "id"}


async def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    """All that clocks and work lists are made of, without what only counts changes."""
    found: dict[str, list[dict[str, Any]]] = {}
    async with database.read() as session:
        for table in (Episode, Lamp, Task, Deal):
            rows: Sequence[Any] = (await session.exec(select(table))).all()
            found[table.__name__] = sorted(
                ({k: v for k, v in row.model_dump().items() if k not in _OF_THE_ROW} for row in rows), key=repr
            )
    return found


async def give(desk: Any, lamp: Lamp, at: datetime, login: str = "olena") -> None:
    maria = await desk.viewer("maria")
    async with desk.database.write() as session:
        await reassign(session, maria, lamp.id or 0, desk.office.id(login), now=at)


async def take_back(desk: Any, lamp: Lamp, at: datetime, login: str = "maria") -> None:
    viewer = await desk.viewer(login)
    async with desk.database.write() as session:
        await undo_reassign(session, viewer, lamp.id or 0, now=at)


async def test_a_deal_its_lamps_their_tasks_and_clocks_are_as_they_were(desk: DealDesk) -> None:
    deal_id, lamp = await escalated(desk)
    before, at = await everything(desk.database), lamp.due_at + timedelta(minutes=5)
    await give(desk, lamp, at)
    assert (await everything(desk.database)) != before
    await take_back(desk, lamp, at + timedelta(minutes=1))
    assert await everything(desk.database) == before
    assert [(each.step, each.state) for each in await desk.lamps(LampState.BURNING)] == [(0, "burning"), (1, "burning")]
    with pytest.raises(Conflict, match="taken back any more"):  # twice
        await take_back(desk, lamp, at + timedelta(minutes=2))
    await give(desk, lamp, at + timedelta(minutes=3))  # it can be decided again
    assert (await desk.deal_row(deal_id)).responsible_id == desk.office.id("olena")


async def test_a_lamp_that_shared_its_task_with_others_shares_it_again(desk: DealDesk) -> None:
    """After a night without a sweep more than ten late lamps of one person are one task; who gets the deal has a task of their own."""
    for _ in range(12):
        await desk.deal()
    late = max(lamp.due_at for lamp in await desk.lamps(LampState.ARMED)) + timedelta(hours=1)
    await desk.sweep(late)
    (shared,) = {lamp.task_id for lamp in await desk.lamps(LampState.BURNING)}
    await desk.sweep(max(lamp.due_at for lamp in await desk.lamps(LampState.ARMED)))
    lamp = next(each for each in await desk.lamps(LampState.BURNING) if each.is_escalation)
    at = lamp.lit_at or late
    before = await everything(desk.database)
    await give(desk, lamp, at)
    of_deal = [each for each in await desk.lamps(LampState.BURNING) if each.deal_id == lamp.deal_id]
    assert [each.task_id == shared for each in of_deal] == [False]
    await take_back(desk, lamp, at + timedelta(minutes=1))
    after = await everything(desk.database)
    assert not [row for name, rows in after.items() for row in rows if row not in before[name]]
    assert {name: len(rows) for name, rows in after.items()} == {name: len(rows) for name, rows in before.items()}


async def burn(desk: CallbackDesk) -> Lamp:
    await desk.miss()
    for minutes in (20, 40):
        await sweep_all(desk.database, MISSED_AT + timedelta(minutes=minutes))
    (lamp,) = [each for each in await desk.rows(Lamp) if each.is_escalation]
    return lamp


async def test_a_callback_its_claim_task_and_deal_are_as_they_were(callbacks: CallbackDesk) -> None:
    lamp = await burn(callbacks)
    ivan, at = await callbacks.viewer("ivan"), MISSED_AT + timedelta(minutes=41)
    async with callbacks.database.write() as session:
        await claim(session, ivan, (await callbacks.one(Episode)).id or 0, now=at)
    before = await everything(callbacks.database)
    await give(callbacks, lamp, at)
    given = await callbacks.one(Episode)
    assert (given.owner_id, given.claimed_by_id) == (callbacks.office.id("olena"), None)
    assert (await callbacks.one(Deal)).responsible_id == callbacks.office.id("olena")
    await take_back(callbacks, lamp, at + timedelta(minutes=1))
    after = await everything(callbacks.database)
    assert {name: rows for name, rows in after.items() if rows != before[name]} == {}
    await sweep_all(
        callbacks.database, at + timedelta(minutes=30)
    )  # her norm would be over: nothing was left of her clock
    assert await everything(callbacks.database) == before | {
        "Episode": (await everything(callbacks.database))["Episode"]
    }


async def test_what_somebody_has_worked_on_is_not_taken_back(desk: DealDesk) -> None:
    deal_id, lamp = await escalated(desk)
    at = lamp.due_at + timedelta(minutes=5)
    await give(desk, lamp, at)
    olena = await desk.viewer("olena")
    async with desk.database.write() as session:
        await edit_deal(session, olena, deal_id, version=None, now=at, values={"title": "She has begun"})
    before = await everything(desk.database)
    with pytest.raises(Conflict, match="Somebody has worked on it since"):
        await take_back(desk, lamp, at + timedelta(minutes=1))
    assert await everything(desk.database) == before


async def test_nor_when_the_new_one_has_claimed_it(callbacks: CallbackDesk) -> None:
    lamp = await burn(callbacks)
    at = MISSED_AT + timedelta(minutes=41)
    await give(callbacks, lamp, at)
    olena = await callbacks.viewer("olena")
    async with callbacks.database.write() as session:
        await claim(session, olena, (await callbacks.one(Episode)).id or 0, now=at)
    with pytest.raises(Conflict, match="Somebody has worked on it since"):
        await take_back(callbacks, lamp, at + timedelta(minutes=1))


async def test_only_who_gave_it_and_only_for_ten_minutes(desk: DealDesk) -> None:
    _deal_id, lamp = await escalated(desk)
    at = lamp.due_at + timedelta(minutes=5)
    with pytest.raises(Conflict):  # nothing was given
        await take_back(desk, lamp, at)
    await give(desk, lamp, at)
    before = await everything(desk.database)
    for login, error in (("admin", Conflict), ("oksana", NotFound), ("kira", NotAllowed), ("ivan", NotAllowed)):
        with pytest.raises(error):
            await take_back(desk, lamp, at + timedelta(minutes=1), login)
    with pytest.raises(Conflict):
        await take_back(desk, lamp, at + timedelta(minutes=11))
    assert await everything(desk.database) == before
