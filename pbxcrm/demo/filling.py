"""Fills the database of ``pbxcrm run --demo`` with the sample company.

Its people, pipelines and hours are made by the same actions that pages use, its past comes from ``history``; and the lamps of
what is open are armed and lit by the engine itself, at the times when they would have lit.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calendars.actions import CalendarChange, change_calendar
from pbxcrm.calendars.queries import default_calendar, load_calendars
from pbxcrm.callbacks.actions import change_options
from pbxcrm.checkpoints.engine import settle_deals
from pbxcrm.checkpoints.models import Checkpoint, Lamp, LampState, TriggerKind
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.funnel_templates import DAY
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageKind
from pbxcrm.deals.pipeline_actions import change_stage, create_pipeline
from pbxcrm.deals.pipeline_drafts import PipelineChange, StageChange
from pbxcrm.demo.history import DemoOffice, History
from pbxcrm.demo.people import COLLEAGUES, MANAGERS, PEOPLE, DemoPerson
from pbxcrm.demo.products import add_products
from pbxcrm.demo.requests import add_requests
from pbxcrm.demo.samples import SAMPLES, Sample
from pbxcrm.demo.stories import DEALS, GOES_ON, PipelineShape, StageShape, Storyteller
from pbxcrm.notes.actions import add_note
from pbxcrm.people.actions import add_user, save_team
from pbxcrm.people.directory import load_directory
from pbxcrm.people.passwords import hash_password
from pbxcrm.people.queries import list_teams, viewer_of
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.actions import create_task

NORM_MINUTES = 3  # until the lamp of a missed call lights, and again until it reaches the manager
ALWAYS = "09:00-09:00"  # a working day of 24 hours
MINUTES_OF_A_DAY = 24 * 60
DEFAULT_TEMPLATE = "b2b"  # of the pipeline that every installation begins with
TOGETHER = timedelta(seconds=1)  # lamps that are due within this time are lit in one sweep
SETTLED_AT_ONCE = 500


async def fill(
    db: Database,
    settings: Settings,
    passwords: dict[str, str],
    now: datetime | None = None,
    *,
    deals: int = DEALS,
) -> None:
    """Create the sample company. ``passwords``: login -> password of each of ``PEOPLE``. ``deals``: how many its history has.

    All of it is one transaction but the lighting of lamps, which the worker would do as well.
    """
    at = now or datetime.now(UTC)
    *made, nobodys = await asyncio.gather(*(hash_password(each) for each in (*passwords.values(), token_urlsafe())))
    hashes = dict(zip(passwords, made, strict=True))
    async with db.write() as session:
        viewers: dict[str, Viewer] = {}
        for person in (*PEOPLE, *COLLEAGUES):
            viewers[person.login] = await _add(session, person, hashes.get(person.login, nobodys), at)
        admin = viewers["admin"]
        for team, login in MANAGERS.items():
            await _give_team_a_manager(session, admin, team, viewers[login], at)
        await _hurry(session, admin, settings.timezone, at)
        shapes = await _pipelines(session, admin, at)
        office = await _office(session, viewers, settings, at)
        storyteller = Storyteller(shapes, at, ZoneInfo(settings.timezone))
        await History(session, office).write(storyteller.tell(deals))
        stages = await _open_stages(session)
        for sample in SAMPLES:
            await _make(session, sample, viewers[sample.owner], stages, settings, at)
        await add_products(session, admin, viewers, settings.currency, at)
        await add_requests(session, admin, viewers["olena"], settings, at)
        await _arm(session, at)
    await _light(db, at)


async def _light(db: Database, at: datetime) -> None:
    """Light what is due, each lamp soon after its time, as the worker would have done."""
    while True:
        async with db.read() as session:
            armed = select(Lamp.due_at).where(Lamp.state == LampState.ARMED.value, col(Lamp.parked_at).is_(None))
            due = (await session.exec(armed.order_by(col(Lamp.due_at)).limit(1))).first()
        if due is None or due > at:
            break
        await sweep_lamps(db, min(at, due + TOGETHER))
    await sweep_lamps(db, at)


async def _add(session: AsyncSession, person: DemoPerson, password_hash: str, at: datetime) -> Viewer:
    user = await add_user(
        session,
        login=person.login,
        name=person.name,
        role=person.role,
        extensions=person.extensions,
        team=person.team,
        password_hash=password_hash,
        now=at,
    )
    return await viewer_of(session, user)


async def _pipelines(session: AsyncSession, admin: Viewer, at: datetime) -> dict[str, PipelineShape]:
    """Create the other pipelines, and give every stage a norm for an office that never closes: a working day there has 24 hours."""
    shapes = {}
    for template in GOES_ON:
        if template == DEFAULT_TEMPLATE:
            pipeline = (await session.exec(select(Pipeline).where(Pipeline.is_default))).one()
        else:
            pipeline = await create_pipeline(session, admin, PipelineChange(), template=template, now=at)
        query = select(Stage).where(Stage.pipeline_id == pipeline.id).order_by(col(Stage.position))
        stages = (await session.exec(query)).all()
        for stage in stages:
            if stage.norm_minutes is not None and stage.norm_minutes >= DAY:
                norm = stage.norm_minutes * MINUTES_OF_A_DAY // DAY
                await change_stage(session, admin, stage.id or 0, StageChange(norm_minutes=norm), now=at)
        of_kind = {stage.kind: stage.id or 0 for stage in stages}
        shapes[template] = PipelineShape(
            pipeline.id or 0,
            template,
            [StageShape(stage.id or 0, stage.norm_minutes) for stage in stages if stage.kind == StageKind.OPEN],
            of_kind[StageKind.WON],
            of_kind[StageKind.LOST],
        )
    return shapes


async def _office(session: AsyncSession, viewers: dict[str, Viewer], settings: Settings, at: datetime) -> DemoOffice:
    checkpoints = await session.exec(
        select(Checkpoint.stage_id, Checkpoint.id).where(
            Checkpoint.trigger == TriggerKind.STAGE.value, col(Checkpoint.stage_id).is_not(None)
        )
    )
    stages = (await session.exec(select(Stage))).all()
    calendars = await load_calendars(session, await load_directory(session))
    return DemoOffice(
        ids={login: viewer.user_id for login, viewer in viewers.items()},
        names={login: viewer.name for login, viewer in viewers.items()},
        stage_names={stage.id or 0: stage.name for stage in stages},
        checkpoints={stage_id or 0: checkpoint_id or 0 for stage_id, checkpoint_id in checkpoints.all()},
        working=calendars.default,
        currency=settings.currency,
        now=at,
    )


async def _arm(session: AsyncSession, at: datetime) -> None:
    """Arm the lamps of all open deals, as a change of rules does."""
    rows = await session.exec(select(Deal.id).where(col(Deal.closed_at).is_(None)).order_by(col(Deal.id)))
    ids = [deal_id for deal_id in rows.all() if deal_id is not None]
    for begin in range(0, len(ids), SETTLED_AT_ONCE):
        await settle_deals(session, ids[begin : begin + SETTLED_AT_ONCE], at)


async def _give_team_a_manager(session: AsyncSession, admin: Viewer, name: str, manager: Viewer, at: datetime) -> None:
    team = next(each for each in await list_teams(session) if each.name == name)
    await save_team(session, admin, name=name, manager_id=manager.user_id, now=at, team_id=team.id)


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
        second=True,
    )
    if sample.note:
        await add_note(session, owner, sample.note, began, deal=deal)
    if sample.task:
        due = now + timedelta(hours=sample.due_hours)
        await create_task(session, owner, title=sample.task, due_at=due, now=min(began, due), deal_id=deal.id)
