"""Is everything well? The PBXs, the database, Redis and the delay in between, in plain words with what to do."""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Literal

from redis.exceptions import RedisError
from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.calls.queries import unmapped_extensions
from pbxcrm.calls.unmapped import UnmappedEndpoint, unmapped_endpoints
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.pbx.queries import pbx_statuses
from pbxcrm.pbx.reports import REPORTS
from pbxcrm.pbx.state import PbxState
from pbxcrm.shared.events import Outbox
from pbxcrm.upkeep.health import STALE_SECONDS
from web import formats
from web.i18n import N_
from web.i18n import gettext as _
from web.parts import now, parts
from web.rendering import render

Tone = Literal["green", "amber", "red"]
LAG_SECONDS = 2.0
WAITING_HINTS = 200
PING_SECONDS = 2.0

STATES: dict[str, tuple[str, Tone]] = {
    PbxState.STARTING: (N_("starting"), "amber"),
    PbxState.CONNECTING: (N_("connecting"), "amber"),
    PbxState.SYNCING: (N_("comparing"), "amber"),
    PbxState.LISTENING: (N_("listening"), "green"),
    PbxState.STANDBY: (N_("in reserve"), "green"),
    PbxState.REFUSED: (N_("refused"), "red"),
    PbxState.UNREACHABLE: (N_("not reachable"), "red"),
    PbxState.SILENT: (N_("silent"), "red"),
    PbxState.TROUBLE: (N_("in trouble"), "red"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``word`` is its state, ``text`` what it means and what to do; both translated."""

    name: str
    tone: Tone
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class PbxFinding:
    finding: Finding
    status: PbxStatus


async def status(request: Request) -> Response:
    """``GET /status``. Each part is asked by itself, so that one that is away is told and the rest still shown."""
    pbxs, database = await _database(request)
    redis = await _redis(request)
    findings = [database, redis, _live(request)]
    worst = max((f.tone for f in [*findings, *(p.finding for p in pbxs)]), key=("green", "amber", "red").index)
    return render(
        request,
        "status/status.html",
        fragment="status/_status.html",
        pbxs=pbxs,
        findings=findings,
        worst=worst,
        configured=[pbx.name for pbx in parts(request).settings.pbxs],
        strays=await _strays(request),
        unmapped=await _unmapped(request),
    )


async def _database(request: Request) -> tuple[list[PbxFinding], Finding]:
    name = _("Database") + (" (SQLite)" if parts(request).settings.is_sqlite else " (PostgreSQL)")
    began = time.perf_counter()
    try:
        async with parts(request).db.read() as session:
            statuses = await pbx_statuses(session)
            waiting = (await session.exec(select(func.count()).select_from(Outbox))).one()
    except SQLAlchemyError:
        return [], Finding(name, "red", _("away"), _("It does not answer. Calls wait in the journal and are not lost."))
    took = round((time.perf_counter() - began) * 1000)
    found = [PbxFinding(_pbx(request, row), row) for row in statuses]
    if waiting > WAITING_HINTS:
        text = _("It answers, but {count} events wait to be told to browsers: is a worker running?").format(
            count=waiting
        )
        return found, Finding(name, "amber", _("slow"), text)
    return found, Finding(name, "green", _("well"), _("Answers in {ms} ms.").format(ms=took))


def _pbx(request: Request, row: PbxStatus) -> Finding:
    word, tone = STATES.get(row.state, (row.state, "red"))
    sentence = _said(row)
    age = (now(request) - row.reported_at).total_seconds() if row.reported_at else None
    if age is None or age > STALE_SECONDS:
        text = _("Its listener has said nothing for {time}. Start it: pbxcrm listen, or pbxcrm run.").format(
            time=formats.span(age) if age is not None else "—"
        )
        return Finding(row.pbx, "red", _("no listener"), text)
    if tone == "green" and row.lag_seconds is not None and row.lag_seconds > LAG_SECONDS:
        text = _("Events reach the database {seconds} s late: the database or this machine is too slow.").format(
            seconds=round(row.lag_seconds, 1)
        )
        return Finding(row.pbx, "amber", _("late"), text)
    return Finding(row.pbx, tone, _(word), sentence)


def _number(value: object) -> object:
    """``8.5`` as the reader's language writes it; anything else as it is."""
    return formats.number(float(value)) if isinstance(value, str) and re.fullmatch(r"\d+\.\d+", value) else value


def _said(row: PbxStatus) -> str:
    message = REPORTS.get(row.code)
    if message is None:
        return row.code
    try:
        return _(message).format(
            **{name: _number(value) if name.endswith("seconds") else value for name, value in row.params.items()}
        )
    except (KeyError, IndexError):
        return _(message)


async def _redis(request: Request) -> Finding:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(PING_SECONDS):
            await parts(request).redis.ping()
    except (RedisError, OSError, TimeoutError):
        text = _(
            "It does not answer. Nothing is lost, but pages do not follow by themselves: reload them until it is back."
        )
        return Finding("Redis", "red", _("away"), text)
    return Finding(
        "Redis", "green", _("well"), _("Answers in {ms} ms.").format(ms=round((time.perf_counter() - began) * 1000))
    )


def _live(request: Request) -> Finding:
    hub = parts(request).hub
    name = _("Live updates")
    if not hub.online:
        return Finding(name, "amber", _("away"), _("They come back by themselves when Redis answers."))
    return Finding(name, "green", _("well"), _("Open streams of this server: {count}.").format(count=hub.open_streams))


async def _unmapped(request: Request) -> list[UnmappedEndpoint]:
    try:
        async with parts(request).db.read() as session:
            return await unmapped_endpoints(session, parts(request).settings)
    except SQLAlchemyError:
        return []


async def _strays(request: Request) -> list[str]:
    try:
        async with parts(request).db.read() as session:
            return await unmapped_extensions(session)
    except SQLAlchemyError:
        return []
