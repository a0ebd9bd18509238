"""When what happens in the week: the acts of people at random, the changes of rules at fixed times."""

import random
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.week.comparing import Played, compare
from tests.week.rule_changes import Rules
from tests.week.simulation import Simulation
from tests.week.world import (
    WeekClient,
    WeekSize,
    admin_of,
    build,
)

ACTS = {
    "talk": 20, "short": 4, "miss": 14, "call": 12, "no_answer": 12, "plan": 10, "postpone": 5, "finish": 5, "cancel": 5, "move": 12, "close": 2,
    "pause": 3, "resume": 2, "give": 4, "amount": 3, "title": 2, "note": 3, "accept": 3, "reassign": 3, "comment": 2, "joint": 2,
}  # fmt: skip


async def play_week(database: Database, folder: Path, size: WeekSize, seed: int) -> Played:
    """Play it all and compare. ``folder`` is for the settings of the intake."""
    dice = random.Random(seed)
    world = await build(database, size, dice)
    play = Simulation(database, Intake(database, Settings(data_dir=folder)), world, await admin_of(database), dice)
    _fill_diary(play, size)
    await play.run()
    return await compare(play)


def _fill_diary(play: Simulation, size: WeekSize) -> None:
    dice, world = play.dice, play.world
    fresh = iter(dice.sample(range(size.clients), size.deals))
    for number in range(size.deals):
        client = world.clients[next(fresh)]
        play.plan(number * 240 // size.deals, partial(_first_deal, play, client))
    for _ in range(size.events):
        kind = dice.choices(list(ACTS), list(ACTS.values()))[0]
        play.plan(_some_minute(dice, size), partial(_act, play, kind))
    rules, day = Rules(play), size.minutes // 7
    teams = sorted(world.office.manager_of_team)
    changes: list[tuple[float, Callable[[], Awaitable[None]]]] = [
        (0.3, partial(rules.leave, "seller0", 4, "seller1")),
        (0.4, partial(rules.leave, "seller4", 3, None)),
        (1.1, rules.norm),
        (1.2, partial(rules.leave, "manager2", 3, None)),
        (1.5, rules.holiday),
        (1.6, rules.callbacks),
        (2.1, rules.short_day),
        (2.2, partial(rules.switch, is_on=False)),
        (2.25, partial(rules.switch, is_on=True)),
        (2.3, rules.norm),
        (2.4, partial(rules.leave, "seller1", 1, "seller3")),
        (3.2, rules.working_sunday),
        (3.4, rules.shorter_nights),
        (5.2, rules.silence),
        (5.25, partial(rules.switch, is_on=False)),
        (5.7, partial(rules.switch, is_on=True)),
        (5.3, partial(rules.leaves_us, "seller2")),
        (5.4, partial(rules.other_team, "seller3", teams[1])),
        (5.5, rules.fewer_stages),
        (5.6, partial(rules.leaves_us, "manager3")),
        (6.1, rules.norm),
        (6.2, rules.callbacks),
    ]
    for at, change in changes:
        play.plan(int(at * day), change)
    if size.minutes >= 6 * 1440:
        play.down = range(
            4 * 1440 + 600, 5 * 1440 + 240
        )  # the worker is down over the Sunday's night until Monday noon


def _some_minute(dice: random.Random, size: WeekSize) -> int:
    """Mostly by day in Kyiv, more rarely by night and at the weekend."""
    while True:
        minute = dice.randrange(1, size.minutes)
        clock, day = minute % 1440, minute // 1440
        busy = clock < 11 * 60 and day not in {3, 4}  # from 8:00 to 19:00; the week begins on a Wednesday
        if busy or dice.random() < 0.15:
            return minute


async def _first_deal(play: Simulation, client: WeekClient) -> None:
    stage, owner = play.dice.choice(play.world.open_stages()), play.dice.choice(play.world.sellers())

    async def act(session: AsyncSession) -> None:
        await create_deal(
            session, play.admin, title=f"Deal of {client.numbers[0]}", now=play.at, currency="UAH", second=True, region="UA", stage_id=stage.id,
            responsible_id=owner.id, contact_id=client.contact_id, client_number=client.numbers[0],
        )  # fmt: skip

    if await play.do(act):
        await play.look_around(client, "created")


async def _act(play: Simulation, kind: str) -> None:
    play.done[kind] += 1
    if kind in {"talk", "short", "miss", "call", "no_answer"}:
        client = play.dice.choice(play.world.clients)
        if client.busy_until < play.now:
            client.busy_until = play.now
            await getattr(play, kind)(client)
    elif kind in {"accept", "reassign", "comment", "joint"}:
        await play.with_escalation(kind)
    elif kind in {"postpone", "finish", "cancel"}:
        await getattr(play, kind)()
    else:
        await play.on_deal("plan_task" if kind == "plan" else kind)
