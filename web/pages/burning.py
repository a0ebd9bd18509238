"""Lamps that burn, lamps that will light today and this week by hour, and how fast people react; for the rows one may see."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.checkpoints import burning_queries
from pbxcrm.checkpoints.burning_queries import ListedLamp, Pace, Soon
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.checkpoints.queries import parked_count
from pbxcrm.people.directory import load_directory
from web.i18n import N_, here
from web.pages.common import asked_number, show, today
from web.parts import now, parts, viewer

DAYS = 7  # days of the forecast, including today
PACE_DAYS = 30
SHOWN = 20  # rows on the page itself
LISTED = 500  # rows behind a figure
WHAT: dict[str, str] = {
    "now": N_("Burns now"),
    "today": N_("Will light today"),
    "week": N_("Will light within a week"),
    "hour": N_("Will light in this hour"),
    "lit": N_("Lit in the last 30 days"),
    "task": N_("What this task is about"),
    "late": N_("Reached the next step in the last 30 days"),
}


@dataclass(frozen=True, slots=True)
class PersonLine:
    """The figures of one person; ``user_id`` None: of work without an owner."""

    user_id: int | None
    name: str
    now: int = 0
    today: int = 0
    week: int = 0


async def page(request: Request) -> Response:
    """``GET /burning``."""
    who, at = viewer(request), now(request)
    tonight, week = _midnight(1), _midnight(DAYS)
    async with parts(request).db.read() as session:
        people = await load_directory(session)
        burns = await burning_queries.burning_by_owner(session, who)
        lighting = await burning_queries.lighting(session, who, at, tonight, week)
        rows = await burning_queries.rows_burning(session, who, limit=SHOWN)
        parked = await parked_count(session, who)
    lines, soon = [], lighting.by_owner
    for owner_id in burns.keys() | soon.keys():
        name, theirs = people.name(owner_id) if owner_id else "", soon.get(owner_id, Soon())
        lines.append(PersonLine(owner_id, name, burns.get(owner_id, 0), theirs.first, theirs.all))
    hours: Counter[tuple[int, int]] = Counter()
    day, timezone = today(), here().timezone
    for begins, count in lighting.by_time:
        local = begins.astimezone(timezone)
        hours[(local.date() - day).days, local.hour] += count
    burning, week_count = sum(burns.values()), sum(each.all for each in soon.values())
    return show(
        request,
        "burning/page.html",
        fragment="burning/_page.html",
        burns=burning,
        lights_today=sum(each.first for each in soon.values()),
        lights_week=week_count,
        is_all=max(burning, week_count) < burning_queries.MOST,
        rows=rows,
        parked=parked,
        lines=sorted(lines, key=lambda each: (-each.now, -each.today, each.name)),
        days=[day + timedelta(days=number) for number in range(DAYS)],
        columns=range(min(hour for _, hour in hours), max(hour for _, hour in hours) + 1) if hours else (),
        hours=hours,
        most_of_an_hour=max(hours.values(), default=1),
        people=people,
    )


async def reactions(request: Request) -> Response:
    """``GET /burning/reactions``: how fast people reacted. The page loads it after itself: every lamp of 30 days is read for it."""
    async with parts(request).db.read() as session:
        people = await load_directory(session)
        since = now(request) - timedelta(days=PACE_DAYS)
        paces = await burning_queries.paces(session, viewer(request), since)
    lines = [(owner_id, people.name(owner_id) if owner_id else "", pace) for owner_id, pace in paces.items()]
    lines.sort(key=lambda line: (-len(line[2].reactions), line[1]))
    overall = Pace([each for pace in paces.values() for each in pace.reactions])
    return show(request, "burning/_reactions.html", lines=lines, overall=overall)


async def behind(request: Request) -> Response:
    """``GET /burning/rows?what=now|today|week|hour|lit|late|task&who=&day=&hour=&task=``: the rows of a figure, or of a task."""
    what = request.query_params.get("what", "now")
    what = what if what in WHAT else "now"
    person = asked_number(request, "who")
    async with parts(request).db.read() as session:
        people = await load_directory(session)
        rows = await _behind(session, request, what, person)
    name = people.name(person) if person is not None else ""
    return show(
        request,
        "burning/rows.html",
        rows=rows[:LISTED],
        left=max(0, len(rows) - LISTED),
        heading=WHAT[what],
        whose=name,
        people=people,
        what=what,
    )


async def _behind(session: AsyncSession, request: Request, what: str, person: int | None) -> list[ListedLamp]:
    who, at, limit = viewer(request), now(request), LISTED + 1
    owner = _owner(person)
    if what in {"lit", "late"}:
        paces = await burning_queries.paces(session, who, at - timedelta(days=PACE_DAYS))
        ids = [
            each.lamp_id
            for owner_id, pace in paces.items()
            if person is None or (owner_id or 0) == person
            for each in pace.reactions
            if what == "lit" or not each.in_time
        ]
        return await burning_queries.rows_by_id(session, who, sorted(ids, reverse=True)[:limit])
    if what == "task":
        return await burning_queries.rows_of_task(session, who, asked_number(request, "task") or 0, limit=limit)
    if what == "now":
        return await burning_queries.rows_burning(session, who, limit=limit, owner=owner)
    since, until = at, _midnight(1) if what == "today" else _midnight(DAYS)
    if what == "hour":
        day, hour = min(asked_number(request, "day") or 0, DAYS - 1), min(asked_number(request, "hour") or 0, 23)
        start = _midnight(day).astimezone(here().timezone)
        since = max(at, start.replace(hour=hour).astimezone(UTC))
        until = start.replace(hour=hour).astimezone(UTC) + timedelta(hours=1)
    return await burning_queries.rows_lighting(session, who, since, until, limit=limit, owner=owner)


def _owner(person: int | None) -> ColumnElement[bool] | None:
    """The owner in the filter of an address: 0 stands for nobody."""
    if person is None:
        return None
    return col(Lamp.owner_id) == person if person else col(Lamp.owner_id).is_(None)


def _midnight(days: int) -> datetime:
    """The midnight ``days`` days from today in the time zone of the pages, as aware UTC."""
    return datetime.combine(today() + timedelta(days=days), time.min, here().timezone).astimezone(UTC)
