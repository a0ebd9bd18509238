"""Two weeks of an office at random: every lamp is compared with a reference that lives each stay through by itself.

The reference is ``rules.would_light``, which tests/unit/checkpoints compares with one that looks at every minute. The clocks of
Kyiv go back in the first night from Saturday to Sunday.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from pbxcrm.calendars.queries import load_calendars
from pbxcrm.checkpoints.models import Lamp, LampState, WorkKind
from pbxcrm.checkpoints.pause_actions import pause_deal
from pbxcrm.checkpoints.rules import Rest, Stay, Work, would_light
from pbxcrm.people.directory import load_directory
from tests.integration.checkpoints.conftest import DealDesk

BEGIN = datetime(2026, 10, 21, 7, tzinfo=UTC)
END = BEGIN + timedelta(days=14)
STAGES = {"New request": (60, 60), "Proposal sent": (27 * 60, 60), "Invoice agreed": (27 * 60, 60)}
DEALS = 10
EVENTS = 60


@dataclass
class Lived:
    """What a deal has gone through, as the reference wants it."""

    number: str
    stays: list[tuple[str, datetime]]
    works: list[Work] = field(default_factory=list)
    rests: list[Rest] = field(default_factory=list)


async def next_due(desk: DealDesk) -> datetime | None:
    async with desk.database.read() as session:
        query = select(Lamp.due_at).where(Lamp.state == LampState.ARMED.value).order_by(col(Lamp.due_at)).limit(1)
        return (await session.exec(query)).first()


async def sweep_until(desk: DealDesk, moment: datetime) -> None:
    """As a worker that is always there: at the very moment something is due."""
    while (due := await next_due(desk)) is not None and due < moment:
        await desk.sweep(due)


async def test_every_lamp_is_where_the_reference_says(desk: DealDesk) -> None:
    dice = random.Random(11)
    lived: dict[int, Lived] = {}
    for number in range(DEALS):
        client = f"+38067555{number:04}"
        stage = dice.choice(list(STAGES))
        lived[await desk.deal(stage, at=BEGIN, number=client)] = Lived(client, [(stage, BEGIN)])
    moments = sorted(BEGIN + timedelta(minutes=dice.randrange(1, 14 * 1440)) for _ in range(EVENTS))
    for at in moments:
        await sweep_until(desk, at)
        deal_id = dice.choice(list(lived))
        await happen(desk, dice, deal_id, lived[deal_id], at)
    await sweep_until(desk, END)
    async with desk.database.read() as session:
        working = (await load_calendars(session, await load_directory(session))).default
    assert working.timezone == ZoneInfo("Europe/Kyiv")
    wanted = []
    for deal_id, each in lived.items():
        for number, (stage, since) in enumerate(each.stays):
            until = each.stays[number + 1][1] if number + 1 < len(each.stays) else END
            works = [work for work in each.works if since <= work.at < until]
            stay = Stay(since, until, works, each.rests)
            wanted += [
                (deal_id, lamp.step, lamp.lit_at, lamp.out_at or (until if until < END else None))
                for lamp in would_light(stay, working, STAGES[stage])
            ]
    found = [
        (lamp.deal_id, lamp.step, lamp.lit_at, lamp.out_at) for lamp in await desk.lamps() if lamp.lit_at is not None
    ]
    assert len(wanted) > 20
    assert sorted(found, key=str) == sorted(wanted, key=str)
    burning = await desk.lamps(LampState.BURNING)
    open_tasks = {task.id for kind in ("lamp", "control") for task in await desk.tasks(kind)}
    assert {lamp.task_id for lamp in burning} == open_tasks  # the counters count what burns


async def happen(desk: DealDesk, dice: random.Random, deal_id: int, lived: Lived, at: datetime) -> None:
    what = dice.choice(["talk", "talk", "short", "plan", "move", "pause"])
    if what == "talk":
        await desk.talk(at - timedelta(seconds=60), 60, client=lived.number)
        lived.works.append(Work(at, WorkKind.TALKED, "", at))
    elif what == "short":
        await desk.talk(at - timedelta(seconds=10), 10, client=lived.number)
    elif what == "plan":
        due = at + timedelta(minutes=dice.randrange(60, 3 * 1440))
        await desk.plan(deal_id, due, at)
        lived.works.append(Work(at, WorkKind.NEXT_TASK, "", due))
    elif what == "move":
        stage = dice.choice([stage for stage in STAGES if stage != lived.stays[-1][0]])
        await desk.move(deal_id, stage, at)
        lived.stays.append((stage, at))
    elif not any(rest.until > at for rest in lived.rests):
        until = at + timedelta(minutes=dice.randrange(60, 4 * 1440))
        viewer = await desk.viewer("ivan")
        async with desk.database.write() as session:
            await pause_deal(session, viewer, deal_id, until, "The client is away", now=at)
        lived.rests.append(Rest(at, until))
