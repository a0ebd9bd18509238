"""The status page: PBXs, database, Redis and the delay of events, in plain words with what to do."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta

from redis.exceptions import RedisError, ResponseError
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.calls.queries import unmapped_extensions
from pbxcrm.calls.unmapped_phones import UnmappedEndpoint, unmapped_endpoints
from pbxcrm.checkpoints.queries import BEAT_LATE, last_beat, parked_count, workers_stopped_at
from pbxcrm.forms.queries import load_forms, load_mailboxes
from pbxcrm.notices.queries import troubled_digests
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.pbx.queries import is_listened_to_here, pbx_statuses
from pbxcrm.shared.events import count_waiting
from pbxcrm.upkeep.health import ask_disk
from pbxcrm.upkeep.lookup_probe import WhoAnswers, who_answers
from web.formats import day_time
from web.i18n import gettext as _
from web.i18n import ngettext
from web.parts import now, parts, viewer
from web.pbx_findings import StatusFinding, pbx_finding
from web.rendering import render

WAITING_HINTS = 200
PING_SECONDS = 2.0
MAIL_LATE = timedelta(minutes=15)  # a mailbox that should have been read so long ago


@dataclass(frozen=True, slots=True)
class PbxFinding:
    """A PBX and its findings on the status page."""

    finding: StatusFinding
    status: PbxStatus


async def status(request: Request) -> Response:
    """``GET /status``. Each part is checked by itself, so that the page works if one of them is away."""
    pbxs, database = await _database(request)
    redis = await _redis(request)
    findings = [
        database,
        redis,
        *await _disk(request),
        _live(request),
        *await _lamps(request),
        *await _lookups(request),
        *await _mail(request),
        *await _mailboxes(request),
    ]
    strays, unmapped = await _strays(request), await _unmapped(request)
    tones = [f.tone for f in [*findings, *(p.finding for p in pbxs)]]
    if strays or unmapped or not pbxs:  # notices that somebody should look at
        tones.append("amber")
    worst = max(tones, key=("green", "amber", "red").index)
    return render(
        request,
        "status/status.html",
        fragment="status/_status.html",
        pbxs=pbxs,
        findings=findings,
        worst=worst,
        configured=[pbx.name for pbx in parts(request).settings.pbxs],
        strays=strays,
        unmapped=unmapped,
    )


async def _lamps(request: Request) -> list[StatusFinding]:
    """Whether lamps light: when the canary last fired, and how many could not be lit."""
    try:
        async with parts(request).db.read() as session:
            beat, count = await last_beat(session), await parked_count(session, viewer(request))
            stopped = await workers_stopped_at(session)
    except SQLAlchemyError:
        return []  # the check of the database reports this
    name = _("Lamps")
    if beat is None or stopped is not None or now(request) - beat > BEAT_LATE:
        text = _("None has been looked at since {time}: is a worker running?").format(
            time=day_time(beat) if beat is not None else _("the first start")
        )
        return [StatusFinding(name, "red", _("stopped"), text)]
    if count:
        text = ngettext("%(num)d lamp could not be lit.", "%(num)d lamps could not be lit.", count) % {"num": count}
        return [StatusFinding(name, "amber", _("parked"), text, "/burning/parked")]
    return [
        StatusFinding(name, "green", _("well"), _("They light: last looked at {time}.").format(time=day_time(beat)))
    ]


async def _lookups(request: Request) -> list[StatusFinding]:
    """Who answers the dialplan on this machine; empty if no listener runs here, or this machine may not ask."""
    settings = parts(request).settings
    try:
        async with parts(request).db.read() as session:
            here = await is_listened_to_here(session, now(request))
    except SQLAlchemyError:
        return []
    found = await who_answers(settings) if here else WhoAnswers.UNKNOWN
    name, place = _("Who calls, for the dialplan"), settings.agi_bind
    if found is WhoAnswers.OTHER:
        text = _("Another program has the port {place}. Stop it, or set PBXCRM_AGI_BIND to a free one.")
        return [StatusFinding(name, "red", _("taken"), text.format(place=place))]
    if found is WhoAnswers.NOBODY:
        text = _("Nobody answers at {place}. Check PBXCRM_AGI_BIND.")
        return [StatusFinding(name, "red", _("away"), text.format(place=place))]
    answered = StatusFinding(name, "green", _("well"), _("Answered at {place}.").format(place=place))
    return [answered] if found is WhoAnswers.OURS else []


async def _mail(request: Request) -> list[StatusFinding]:
    """The last errors of the mail server; empty if there are none or no server is configured."""
    try:
        async with parts(request).db.read() as session:
            troubled = await troubled_digests(session, now(request))
    except SQLAlchemyError:
        return []  # the check of the database reports this
    if not troubled:
        return []
    said = _("Digests were not sent: {count}. The mail server said: {error}").format(
        count=len(troubled), error=troubled[0].error
    )
    return [StatusFinding(_("E-mail"), "amber", _("refused"), said)]


async def _database(request: Request) -> tuple[list[PbxFinding], StatusFinding]:
    name = _("Database") + (" (SQLite)" if parts(request).settings.is_sqlite else " (PostgreSQL)")
    began = time.perf_counter()
    try:
        async with parts(request).db.read() as session:
            statuses = await pbx_statuses(session)
            waiting = await count_waiting(session)
    except SQLAlchemyError:
        return [], StatusFinding(
            name, "red", _("away"), _("It does not answer. Calls wait in the journal and are not lost.")
        )
    took = round((time.perf_counter() - began) * 1000)
    found = [PbxFinding(pbx_finding(row, now(request)), row) for row in statuses]
    try:
        await parts(request).db.check_writable()
    except (SQLAlchemyError, OSError) as error:
        text = _("It can be read, but nothing can be stored: {why}. Calls wait in the journal and are not lost.")
        why = str(getattr(error, "orig", None) or error).splitlines()[0]
        return found, StatusFinding(name, "red", _("stores nothing"), text.format(why=why))
    if waiting > WAITING_HINTS:
        text = _("It answers, but {count} events wait to be told to browsers: is a worker running?").format(
            count=waiting
        )
        return found, StatusFinding(name, "amber", _("slow"), text)
    return found, StatusFinding(name, "green", _("well"), _("Answers in {ms} ms.").format(ms=took))


async def _mailboxes(request: Request) -> list[StatusFinding]:
    """Each mailbox that a form gets its e-mails from: whether it can be read, and since when not."""
    try:
        async with parts(request).db.read() as session:
            forms, rows = await load_forms(session), await load_mailboxes(session)
    except SQLAlchemyError:
        return []  # the check of the database reports this
    found: list[StatusFinding] = []
    for mailbox in parts(request).settings.mailboxes:
        form, row = forms.of_mailbox(mailbox.name), rows.get(mailbox.name)
        if form is None:
            continue
        name, where = _("Mailbox {name}").format(name=mailbox.name), f"/settings/forms/{form.id}"
        if row is not None and row.error_since is not None:
            text = _("It cannot be read since {time}: {why}. E-mails wait there; nothing is lost.")
            said = text.format(time=day_time(row.error_since), why=row.error.rstrip("."))
            found.append(StatusFinding(name, "red", _("away"), said, where))
        elif row is None or row.read_at is None or now(request) - row.next_at > MAIL_LATE:
            found.append(StatusFinding(name, "amber", _("not read yet"), _("Is a worker running?"), where))
        else:
            said = _("Read last: {time}.").format(time=day_time(row.read_at))
            found.append(StatusFinding(name, "green", _("well"), said))
    return found


async def _disk(request: Request) -> list[StatusFinding]:
    """Whether the data directory can be written; empty if it can."""
    why = await ask_disk(parts(request).settings.data_dir)
    if why is None:
        return []
    text = _("Nothing can be written in {folder}: {why}. Make room there: calls wait in memory until then.")
    said = text.format(folder=parts(request).settings.data_dir, why=why)
    return [StatusFinding(_("Disk"), "red", _("stores nothing"), said)]


async def _redis(request: Request) -> StatusFinding:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(PING_SECONDS):
            await parts(request).redis.ping()
    except ResponseError as error:  # it is there: a full disk, a server that only reads
        text = _("It answers, but takes nothing: {why}. Nothing is lost, but pages do not follow by themselves.")
        return StatusFinding("Redis", "red", _("stores nothing"), text.format(why=str(error).rstrip(".")))
    except (RedisError, OSError, TimeoutError):
        text = _(
            "It does not answer. Nothing is lost, but pages do not follow by themselves: reload them until it is back."
        )
        return StatusFinding("Redis", "red", _("away"), text)
    return StatusFinding(
        "Redis", "green", _("well"), _("Answers in {ms} ms.").format(ms=round((time.perf_counter() - began) * 1000))
    )


def _live(request: Request) -> StatusFinding:
    hub = parts(request).hub
    name = _("Live updates")
    if not hub.online:
        return StatusFinding(name, "amber", _("away"), _("They come back by themselves when Redis answers."))
    return StatusFinding(
        name, "green", _("well"), _("Open streams of this server: {count}.").format(count=hub.open_streams)
    )


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
