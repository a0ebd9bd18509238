"""Sample data for ``pbxcrm run --demo``: people, clients, deals and tasks, created by the same actions that pages use."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calendars.actions import CalendarChange, change_calendar
from pbxcrm.calendars.queries import default_calendar
from pbxcrm.callbacks.actions import change_options
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.actions import add_note, create_deal
from pbxcrm.deals.models import Pipeline, Stage, StageKind
from pbxcrm.people.actions import add_user, save_team
from pbxcrm.people.passwords import hash_password
from pbxcrm.people.queries import list_teams, viewer_of
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.actions import create_task


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the sample office."""

    login: str
    name: str
    role: str
    extensions: tuple[str, ...] = ()
    team: str | None = None


TEAM = "Sales"
NORM_MINUTES = 3  # until the lamp of a missed call lights, and again until it reaches the manager
ALWAYS = "09:00-09:00"  # a working day of 24 hours
PEOPLE = (
    Person("olena", "Olena Kovalenko", "seller", ("101",), TEAM),
    Person("taras", "Taras Shevchuk", "seller", ("102",), TEAM),
    Person("iryna", "Iryna Bondar", "seller", ("103",), TEAM),  # answers at the front desk
    Person("maksym", "Maksym Lysenko", "manager", ("104",), TEAM),
    Person("daria", "Daria Melnyk", "qc"),
    Person("admin", "Administrator", "admin"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A client with a deal. ``stage`` is the index among the open stages, ``days`` the age of the deal."""

    client: str
    number: str
    title: str
    owner: str
    stage: int
    days: int
    amount: str
    note: str = ""
    task: str = ""
    due_hours: int = 4


SAMPLES = (
    Sample("Андрій Коваль", "+380671112233", "Flooring for a flat, 64 m²", "olena", 1, 2, "41600", "Wants oak, not laminate.", "Send three samples", 3),
    Sample("Наталія Гончар", "+380501234567", "Office chairs, 12 pieces", "olena", 2, 5, "86400", "Proposal sent by e-mail.", "Ask whether the proposal fits", 20),
    Sample("Kyiv Design Studio", "+380442228899", "Acoustic panels for a studio", "olena", 4, 12, "123500.50", "", "Check that the prepayment has come", -3),
    Sample("Сергій Мороз", "+380633217654", "Kitchen worktop", "olena", 0, 0, "18900"),
    Sample("Юлія Савченко", "+380977654321", "Doors for a country house", "taras", 1, 1, "74200", "Measured on Monday.", "Call about the colour", 1),
    Sample("Budmarket Lviv", "+380322445566", "Wholesale: primer, 200 l", "taras", 3, 8, "31750", "", "Send the invoice again", -20),
    Sample("Олег Петренко", "+380509998877", "Repair of a bathroom", "taras", 0, 0, "52000", "", "Arrange a visit", 26),
    Sample("Марія Ткач", "+380681230987", "Curtains, 4 windows", "taras", 5, 20, "22300"),
    Sample("Вікторія Бойко", "+380931112244", "Garden furniture", "iryna", 0, 1, "15400", "", "Find out the size of the terrace", 5),
    Sample("Hotel Dnipro", "+380567788990", "Carpets for 30 rooms", "iryna", 2, 6, "264000", "The director decides on Friday.", "Call the director", 48),
)  # fmt: skip


async def fill(db: Database, settings: Settings, passwords: dict[str, str], now: datetime | None = None) -> None:
    """Create the sample data in one transaction. ``passwords``: login -> password of each of ``PEOPLE``."""
    at = now or datetime.now(UTC)
    hashes = {login: await hash_password(password) for login, password in passwords.items()}
    async with db.write() as session:
        viewers: dict[str, Viewer] = {}
        for person in PEOPLE:
            user = await add_user(
                session,
                login=person.login,
                name=person.name,
                role=person.role,
                extensions=person.extensions,
                team=person.team,
                password_hash=hashes[person.login],
                now=at,
            )
            viewers[person.login] = await viewer_of(session, user)
        await _give_team_a_manager(session, viewers["admin"], viewers["maksym"], at)
        await _hurry(session, viewers["admin"], settings.timezone, at)
        stages = await _open_stages(session)
        for sample in SAMPLES:
            await _make(session, sample, viewers[sample.owner], stages, settings, at)


async def _give_team_a_manager(session: AsyncSession, admin: Viewer, manager: Viewer, at: datetime) -> None:
    team = next(each for each in await list_teams(session) if each.name == TEAM)
    await save_team(session, admin, name=TEAM, manager_id=manager.user_id, now=at, team_id=team.id)


async def _hurry(session: AsyncSession, admin: Viewer, timezone: str, at: datetime) -> None:
    """A demo is used for minutes, at any hour. So the office is always open, and lamps light after a few minutes."""
    office = await default_calendar(session)
    if office is not None and office.id is not None:
        always = CalendarChange(timezone=timezone, week=[ALWAYS] * 7)
        await change_calendar(session, admin, office.id, always, now=at)
    norms = dict.fromkeys(("callback_due_minutes", "callback_pause_minutes"), NORM_MINUTES)
    await change_options(session, admin, norms, now=at)


async def _open_stages(session: AsyncSession) -> list[Stage]:
    query = select(Stage).join(Pipeline).where(Pipeline.is_default, Stage.kind == StageKind.OPEN.value)
    return list((await session.exec(query.order_by("position"))).all())


async def _make(
    session: AsyncSession, sample: Sample, owner: Viewer, stages: list[Stage], settings: Settings, now: datetime
) -> None:
    began = now - timedelta(days=sample.days)
    contact = await create_contact(
        session, owner, name=sample.client, now=began, region=settings.region, phones=[sample.number]
    )
    deal = await create_deal(
        session,
        owner,
        title=sample.title,
        now=began,
        currency=settings.currency,
        region=settings.region,
        stage_id=stages[sample.stage].id,
        contact_id=contact.id,
        client_number=sample.number,
        values={"amount": sample.amount, "source": "Sample data"},
    )
    if sample.note:
        await add_note(session, owner, sample.note, began, deal=deal)
    if sample.task:
        due = now + timedelta(hours=sample.due_hours)
        await create_task(session, owner, title=sample.task, due_at=due, now=min(began, due), deal_id=deal.id)
