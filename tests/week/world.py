"""The office of the week in the database: its teams, calendars, pipelines, checkpoints and clients, and the same for the reference."""

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sqlmodel import col, select

from pbxcrm.access import Viewer
from pbxcrm.calendars.actions import CalendarChange, create_calendar
from pbxcrm.calendars.models import Calendar
from pbxcrm.checkpoints.actions import create_checkpoint
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.deals.pipeline_actions import change_pipeline, change_stage, create_pipeline
from pbxcrm.deals.pipeline_drafts import PipelineChange, StageChange
from pbxcrm.deals.seed import seed
from pbxcrm.people.actions import add_user, save_team
from pbxcrm.people.models import User
from pbxcrm.people.passwords import hash_password
from pbxcrm.people.queries import viewer_of
from pbxcrm.shared.db import Database
from tests.week.reference import ReferenceOffice
from tests.week.reference_facts import MINUTE, Hours, ReferencePerson, ReferenceRule, Week

BEGIN = datetime(2026, 10, 21, 5, tzinfo=UTC)  # a Wednesday, 8:00 in Kyiv; the clocks go back in the night to Sunday
HIRED = BEGIN - timedelta(days=99)
DAY = 1440
WEEK = 7 * DAY
TEAMS = {"Sales": "office", "Shop": "shop", "Night": "night"}
WORKDAYS: Week = [[(540, 1080)]] * 5 + [[]] * 2
WEEKS: dict[str, tuple[str, Week]] = {
    "office": ("Europe/Kyiv", WORKDAYS),
    "shop": ("Europe/Kyiv", [[(480, 720), (750, 1020)]] * 6 + [[]]),
    "night": ("Europe/Kyiv", [[(1320, 1800)]] * 7),
    "lisbon": ("Europe/Lisbon", WORKDAYS),
}
HOLIDAY = date(2026, 10, 23)


@dataclass(frozen=True, slots=True)
class WeekSize:
    """How much happens. ``events``: acts and calls of the week."""

    sellers: int
    clients: int
    deals: int
    events: int
    minutes: int = WEEK


@dataclass(slots=True)
class WeekClient:
    numbers: list[str]
    contact_id: int | None = None
    busy_until: int = -1


@dataclass(slots=True)
class World:
    """What the simulation knows of the database."""

    office: ReferenceOffice
    minutes: int
    calendars: dict[str, int] = field(default_factory=dict)
    days: dict[str, dict[date, list[tuple[int, int]]]] = field(default_factory=dict)
    weeks: dict[str, tuple[str, Week]] = field(default_factory=lambda: dict(WEEKS))
    extensions: dict[int, str] = field(default_factory=dict)
    stages: dict[int, Stage] = field(default_factory=dict)
    clients: list[WeekClient] = field(default_factory=list)

    def lay_out(self, name: str) -> None:
        zone, week = self.weeks[name]
        self.office.hours[self.calendars[name]] = Hours.of(BEGIN, self.minutes, zone, week, self.days.get(name, {}))

    def sellers(self) -> list[ReferencePerson]:
        return [each for each in self.office.people.values() if each.role == "seller" and each.is_active]

    def open_stages(self, pipeline_id: int | None = None) -> list[Stage]:
        return [
            stage
            for stage in self.stages.values()
            if stage.kind in {StageKind.OPEN, StageKind.DIDNT_REACH}
            and stage.archived_at is None
            and pipeline_id in {None, stage.pipeline_id}
        ]


def moment(minute: int) -> datetime:
    return BEGIN + minute * MINUTE


def minute_of(at: datetime | None) -> int | None:
    """The first whole minute at or after ``at``."""
    return None if at is None else -((BEGIN - at) // MINUTE)


def typed(week: Week) -> list[str]:
    return [", ".join(f"{a // 60:02}:{a % 60:02}-{b // 60 % 24:02}:{b % 60:02}" for a, b in day) for day in week]


async def admin_of(database: Database) -> Viewer:
    async with database.read() as session:
        return await viewer_of(session, (await session.exec(select(User).where(User.login == "admin"))).one())


async def build(database: Database, size: WeekSize, dice: random.Random) -> World:
    world = World(ReferenceOffice(), size.minutes)
    await _hire(database, world, size)
    admin = await admin_of(database)
    await _draw_pipelines(database, world, admin, dice)
    await _watch(database, world, admin)
    await _meet_clients(database, world, size, dice)
    return world


async def _hire(database: Database, world: World, size: WeekSize) -> None:
    office, hashed = world.office, await hash_password("correct horse")
    staff: list[tuple[str, str, str | None]] = [("admin", "admin", None), ("kira", "qc", None)]
    staff += [(f"manager{n}", "manager", team) for n, team in enumerate(TEAMS, 1)]
    staff += [(f"seller{n}", "seller", list(TEAMS)[n % 3]) for n in range(size.sellers)]
    teams: dict[str, int] = {}
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
        for number, (login, role, team) in enumerate(staff):
            extension = str(100 + number)
            user = await add_user(
                session, login=login, name=login.title(), role=role, password_hash=hashed, extensions=(extension,), team=team, now=HIRED
            )  # fmt: skip
            assert user.id is not None
            office.people[user.id] = ReferencePerson(user.id, login, role, user.team_id)
            world.extensions[user.id] = extension
            if team is not None:
                teams[team] = user.team_id or 0
    admin = await admin_of(database)
    async with database.write() as session:
        for number, (name, team_id) in enumerate(teams.items(), 1):
            manager = next(each.id for each in office.people.values() if each.login == f"manager{number}")
            await save_team(session, admin, name=name, manager_id=manager, now=HIRED, team_id=team_id)
            office.manager_of_team[team_id] = manager
        known = (await session.exec(select(Calendar))).one()
        world.calendars["office"] = office.default_calendar = known.id or 0
        lisbon = next(each for each in office.people.values() if each.login == "seller3")
        for name in ("shop", "night", "lisbon"):
            zone, week = WEEKS[name]
            whose = [team_id for team, team_id in teams.items() if TEAMS[team] == name]
            people = [lisbon.id] if name == "lisbon" else []
            made = await create_calendar(
                session, admin, CalendarChange(name, zone, typed(week), team_ids=whose, user_ids=people), now=HIRED
            )
            world.calendars[name] = made.calendar.id or 0
            office.calendar_of_team.update(dict.fromkeys(whose, world.calendars[name]))
        lisbon.calendar = world.calendars["lisbon"]
    for name in WEEKS:
        world.lay_out(name)


async def _draw_pipelines(database: Database, world: World, admin: Viewer, dice: random.Random) -> None:
    """Four pipelines; their norms are short enough for lamps within a week."""
    async with database.write() as session:
        for template in ("leads", "six", "repeat"):
            made = await create_pipeline(session, admin, PipelineChange(), template=template, now=HIRED)
            if template == "leads":
                leads = made
            if template == "repeat":
                repeat = made
        await change_pipeline(session, admin, leads.id or 0, PipelineChange(next_pipeline_id=repeat.id), now=HIRED)
        for stage in (await session.exec(select(Stage).order_by(col(Stage.id)))).all():
            if stage.norm_minutes is not None:
                norm = dice.choice([45, 60, 120, 240, 300, 540])
                await change_stage(session, admin, stage.id or 0, StageChange(norm_minutes=norm), now=HIRED)


async def _watch(database: Database, world: World, admin: Viewer) -> None:
    await reload_stages(database, world)
    pipelines = sorted({stage.pipeline_id for stage in world.stages.values()})
    first = next(stage for stage in world.stages.values() if stage.pipeline_id == pipelines[2] and stage.norm_minutes)
    changes = [
        CheckpointChange(
            "Silence", "silence",
            [StepChange(300, "responsible", "task"), StepChange(60, "manager", "control"), StepChange(120, "role:admin", "control")],
            work=["talked", "next_task"], pipeline_id=pipelines[1], talked_seconds=120,
        ),
        CheckpointChange(
            "Before the date", "date", [StepChange(None, "responsible", "task"), StepChange(45, "joint", "control")],
            work=["talked"], field="next_task_at", offset_minutes=-60, talked_seconds=30,
        ),
        CheckpointChange(
            "After the date", "date", [StepChange(15, "manager", "control")],
            work=["talked"], pipeline_id=pipelines[2], field="next_task_at", offset_minutes=30,
        ),
        CheckpointChange(
            "Presentation", "stage", [StepChange(240, "joint", "control"), StepChange(120, "user:manager3", "control")],
            work=["stage_moved", "talked", "next_task", "field_filled"], stage_id=first.id, field="amount", talked_seconds=30,
        ),
    ]  # fmt: skip
    async with database.write() as session:
        for change in changes:
            await create_checkpoint(session, admin, change, now=HIRED)
    await reload_rules(database, world)


async def reload_stages(database: Database, world: World) -> None:
    async with database.read() as session:
        world.stages = {
            stage.id or 0: stage for stage in (await session.exec(select(Stage).order_by(col(Stage.id)))).all()
        }
    world.office.norms = {stage_id: stage.norm_minutes for stage_id, stage in world.stages.items()}


async def reload_rules(database: Database, world: World) -> None:
    """The settings as an administrator left them."""
    async with database.read() as session:
        rows = (await session.exec(select(Checkpoint).order_by(col(Checkpoint.id)))).all()
        steps = (await session.exec(select(CheckpointStep).order_by(col(CheckpointStep.position)))).all()
    for row in rows:
        of_it = [(step.after_minutes, step.whom) for step in steps if step.checkpoint_id == row.id]
        world.office.rules[row.id or 0] = ReferenceRule(
            row.id or 0, row.trigger, of_it, set(row.work), row.pipeline_id, row.stage_id, row.field, row.offset_minutes,
            row.talked_seconds, minute_of(row.begins_at), row.is_active,
        )  # fmt: skip


async def _meet_clients(database: Database, world: World, size: WeekSize, dice: random.Random) -> None:
    """Two thirds are contacts, some with two numbers; the others are only numbers."""
    sellers = [each.id for each in world.sellers()]
    async with database.write() as session:
        for number in range(size.clients):
            client = WeekClient([f"+38067{number:07}"])
            if number % 3:
                contact = Contact(name=f"Client {number}", responsible_id=dice.choice(sellers), created_at=HIRED)
                session.add(contact)
                await session.flush()
                client.contact_id = contact.id
                if number % 3 == 1:
                    client.numbers.append(f"+38050{number:07}")
                session.add_all(Phone(contact_id=contact.id or 0, number=each) for each in client.numbers)
            world.clients.append(client)
