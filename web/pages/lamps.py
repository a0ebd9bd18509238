"""Why a lamp burns, loaded when somebody asks for it; and lamps that could not be lit, with what to do about them."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.callbacks.queries import access_episode
from pbxcrm.checkpoints.models import Lamp, Subject
from pbxcrm.checkpoints.parked_actions import retry_all, retry_lamp
from pbxcrm.checkpoints.queries import (
    burning_of_callback,
    burning_of_deal,
    burning_of_task,
    parked_count,
    parked_lamps,
)
from pbxcrm.deals.queries import access_deal
from pbxcrm.people.directory import load_directory
from pbxcrm.reports.lamp_rows import LampRow, load_lamp_rows
from pbxcrm.tasks.queries import access_task
from pbxcrm.tasks.work_queries import ending_work
from web import words
from web.answers import with_toast
from web.i18n import gettext as _
from web.i18n import ngettext
from web.lamp_words import explained
from web.pages.common import show
from web.parts import now, parts, viewer

LISTED = 200


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A parked lamp: why in plain words, what to do, and the page where that is done (empty: none)."""

    row: LampRow
    why: str
    todo: str
    href: str


async def of_deal(request: Request) -> Response:
    """``GET /deals/{deal_id}/lamps``: why the lamps of a deal burn."""
    async with parts(request).db.read() as session:
        deal = await access_deal(session, viewer(request), request.path_params["deal_id"])
        return await _why(session, request, await burning_of_deal(session, deal.id or 0))


async def of_callback(request: Request) -> Response:
    """``GET /callbacks/{episode_id}/lamps``: the same for a callback."""
    async with parts(request).db.read() as session:
        episode = await access_episode(session, viewer(request), request.path_params["episode_id"])
        return await _why(session, request, await burning_of_callback(session, episode.id or 0))


async def of_task(request: Request) -> Response:
    """``GET /tasks/{task_id}/lamps``: the same for what a task is about."""
    async with parts(request).db.read() as session:
        task = await access_task(session, viewer(request), request.path_params["task_id"])
        return await _why(session, request, await burning_of_task(session, task))


async def _why(session: AsyncSession, request: Request, lamps: list[Lamp]) -> Response:
    rows = await load_lamp_rows(session, lamps)
    said = dict.fromkeys(
        sentence for row in rows for sentence in explained(row.lamp, row.checkpoint, row.stage)
    )  # two may share a reason
    deals = {lamp.deal_id for lamp in lamps if lamp.subject == Subject.DEAL and lamp.deal_id is not None}
    works = [work for theirs in (await ending_work(session, deals)).values() for work in theirs if work.ways]
    ends = [words.ended_by(works)] if works else []
    return show(request, "lamps/_why.html", sentences=[*said, *ends])


async def parked(request: Request) -> Response:
    """``GET /burning/parked``."""
    return await _parked(request)


async def retry_one(request: Request) -> Response:
    """``POST /burning/parked/{lamp_id}/retry``."""
    async with parts(request).db.write() as session:
        await retry_lamp(session, viewer(request), request.path_params["lamp_id"], now=now(request))
    return await _retried(request, 1)


async def retry(request: Request) -> Response:
    """``POST /burning/parked/retry``: try all of them again."""
    async with parts(request).db.write() as session:
        count = await retry_all(session, viewer(request), now=now(request))
    return await _retried(request, count)


async def _retried(request: Request, count: int) -> Response:
    said = ngettext(
        "%(num)d lamp is tried again within a second.", "%(num)d lamps are tried again within a second.", count
    )
    return with_toast(request, await _parked(request), said % {"num": count})


async def _parked(request: Request) -> HTMLResponse:
    async with parts(request).db.read() as session:
        lamps = await parked_lamps(session, viewer(request), LISTED)
        count = await parked_count(session, viewer(request))
        rows = await _explained(session, lamps)
    return show(
        request, "lamps/parked.html", fragment="lamps/_parked.html", rows=rows, count=count, left=count - len(rows)
    )


async def _explained(session: AsyncSession, lamps: list[Lamp]) -> list[ParkedRow]:
    calendars = await load_calendars(session, await load_directory(session))
    return [_explain(row, calendars) for row in await load_lamp_rows(session, lamps)]


def _explain(row: LampRow, calendars: Calendars) -> ParkedRow:
    broken = calendars.broken_of(row.lamp.owner_id, of_team=row.lamp.subject == Subject.DEAL)
    if broken is not None:
        todo = _("Correct the calendar and save it: its lamps start again by themselves.")
        return ParkedRow(
            row, " ".join(words.because(broken.why.stored())), todo, f"/settings/calendars/{broken.calendar_id}"
        )
    why = _("It failed when it was to light: {error}").format(error=row.lamp.error)
    todo = _("Try it again. If it fails again, the log of the worker says where; any change of the deal tries it too.")
    return ParkedRow(row, why, todo, "")
