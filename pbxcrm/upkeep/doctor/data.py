"""Checks of the database: revision, listeners, checkpoints, mail, people and extensions."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from pbxcrm import migrations
from pbxcrm.access import Role
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.calls.models import Call
from pbxcrm.calls.queries import unmapped_extensions
from pbxcrm.calls.unmapped_phones import UnmappedEndpoint, unmapped_endpoints
from pbxcrm.checkpoints.models import Lamp, Subject
from pbxcrm.checkpoints.queries import BEAT_LATE, last_beat, parked_lamps, workers_stopped_at
from pbxcrm.files.queries import missing_files
from pbxcrm.files.store import Store
from pbxcrm.notices.queries import troubled_digests
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.pbx.report_sentences import REPORTS
from pbxcrm.pbx.state import PbxState
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import Extension, User
from pbxcrm.shared import reasons
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import BadSettings, Unavailable
from pbxcrm.shared.events import Outbox
from pbxcrm.shared.settings import Settings
from pbxcrm.upkeep import health
from pbxcrm.upkeep.doctor.findings import Finding, bad, counted, good, odd

QUIET = timedelta(hours=12)  # longest normal time without an event: a night, not a working day
SLOW_SECONDS = 2.0  # from the socket to the database
FAST_CLOCK_SECONDS = 5.0


async def check_database(db: Database) -> list[Finding]:
    """Check that the database answers, has the right revision, and can be written."""
    kind = "SQLite" if db.is_sqlite else "PostgreSQL"
    if db.is_sqlite and not is_there(db):
        todo = "To begin: pbxcrm run (or, to look around first: pbxcrm run --demo)."
        return [bad("There is no database yet.", todo)]
    try:
        await migrations.check(db)
    except (BadSettings, Unavailable) as error:
        return [bad(str(error), "")]
    try:
        await _write(db)
    except (SQLAlchemyError, OSError) as error:
        why = str(getattr(error, "orig", None) or error).splitlines()[0]
        todo = "Look for a full disk, a server that only reads, or a transaction that holds a lock."
        return [bad(f"The database answers, but cannot be written to ({kind}): {why}.", todo)]
    return [
        good(f"The database answers, takes what is written, and has the right shape ({kind}, {migrations.newest()}).")
    ]


def is_there(db: Database) -> bool:
    """Whether the file of an SQLite database exists and is not empty; opening it would make it."""
    path = Path(db.engine.url.database or "")
    return path.is_file() and path.stat().st_size > 0


async def _write(db: Database) -> None:
    """Write and delete an event without recipients: a full disk shows only at a commit."""
    async with db.write() as session:
        row = Outbox(topic="doctor", at=datetime.now(UTC))
        session.add(row)
        await session.flush()
    async with db.write() as session:
        await session.delete(row)
    await _fill_pages(db)


_BULK = 60_000  # numbers of six digits: half a megabyte


async def _fill_pages(db: Database) -> None:
    """Write half a megabyte and roll it back: a small row may still fit into the last pages of a full disk."""
    async with db.write() as session:
        kept = 0
        if db.is_sqlite:  # a small cache, so that pages go to the disk before there is a commit
            kept = (await session.exec(text("PRAGMA cache_size"))).one()[0]  # type: ignore[call-overload]
            await session.exec(text("PRAGMA cache_size = 10"))  # type: ignore[call-overload]
        try:
            session.add(Outbox(topic="doctor", users=list(range(100_000, 100_000 + _BULK)), at=datetime.now(UTC)))
            await session.flush()
        finally:
            await session.rollback()
            if db.is_sqlite:
                await session.exec(text(f"PRAGMA cache_size = {kept}"))  # type: ignore[call-overload]


async def check_checkpoints(db: Database, now: datetime) -> list[Finding]:
    """Check that lamps light: when the canary last fired, and which lamps are parked."""
    async with db.read() as session:
        beat, parked = await last_beat(session), await parked_lamps(session)
        stopped = await workers_stopped_at(session)
        calendars = await load_calendars(session, await load_directory(session))
    if beat is None:
        found = [
            odd("The canary checkpoint has never fired.", "Start pbxcrm (or a worker): no lamp lights without it.")
        ]
    elif stopped is not None:
        todo = "Start pbxcrm run (or pbxcrm work)."
        found = [bad(f"No lamp lights: no worker runs; it was stopped {_words(now - stopped)} ago.", todo)]
    elif now - beat > BEAT_LATE:
        minutes = round((now - beat).total_seconds() / 60)
        todo = "Look whether a worker runs, and into its log: no lamp lights meanwhile."
        found = [bad(f"The canary checkpoint fired {minutes} min ago, not within the last minute.", todo)]
    else:
        found = [good(f"Lamps light: the canary checkpoint fired {max(0, round((now - beat).total_seconds()))} s ago.")]
    if parked:
        named = "; ".join(f"{_named(lamp)}: {lamp.error}" for lamp in parked[:5])
        todo = "Correct the calendar or the deal; a change of either, or of the checkpoint, starts them again."
        found.append(odd(f"{counted(len(parked), 'lamp is', 'lamps are')} parked: {named}", todo))
    for trouble in sorted({reasons.text(broken.why) for broken in calendars.broken.values()}):
        found.append(bad(trouble, "Open it in the settings under Working hours, correct it and save it."))
    return found


def _named(lamp: Lamp) -> str:
    about = f"deal {lamp.deal_id}" if lamp.subject == Subject.DEAL else f"callback {lamp.callback_id}"
    return f"lamp {lamp.id} of {about}"


async def check_mail(db: Database, settings: Settings, now: datetime) -> list[Finding]:
    """Check that digests are sent: a mail server is set and does not refuse them."""
    async with db.read() as session:
        wanted = select(func.count()).select_from(User).where(col(User.is_active), col(User.digest_at).is_not(None))
        count = (await session.exec(wanted)).one()
        troubled = await troubled_digests(session, now)
    if not settings.smtp_url:
        if not count:
            return [good("No mail server is set: there are no digests by e-mail.")]
        todo = "Set PBXCRM_SMTP_URL and PBXCRM_MAIL_FROM, and start pbxcrm again."
        return [
            odd(f"{counted(count, 'person wants', 'people want')} a digest by e-mail, but no mail server is set.", todo)
        ]
    if troubled:
        todo = "Look at PBXCRM_SMTP_URL, PBXCRM_MAIL_FROM and the people's addresses; what was refused is tried again."
        return [
            odd(
                f"{counted(len(troubled), 'digest was', 'digests were')} not sent; the mail server said: {troubled[0].error}",
                todo,
            )
        ]
    return [good("Digests by e-mail go out.")]


MOST_NAMED = 5


async def check_files(db: Database, settings: Settings) -> list[Finding]:
    """Check that the bytes of every attached file are present and complete."""
    store = Store(settings.data_dir)
    async with db.read() as session:
        missing = await missing_files(session, store)
    if not missing:
        return [good("Every attached file is in the data directory.")]
    named = "; ".join(
        f"{file.name} ({f'deal {file.deal_id}' if file.deal_id is not None else f'task {file.task_id}'}, {store.path(file.sha256)})"
        for file in missing[:MOST_NAMED]
    )
    return [
        bad(
            f"{counted(len(missing), 'attached file is', 'attached files are')} not in the data directory: {named}.",
            "Put them back from a backup.",
        )
    ]


async def last_ended(db: Database) -> dict[str, datetime]:
    """When the last call of each PBX ended."""
    async with db.read() as session:
        rows = await session.exec(select(Call.pbx, func.max(Call.ended_at)).group_by(Call.pbx))
        return {pbx: at for pbx, at in rows.all() if at is not None}


async def check_listeners(db: Database, settings: Settings, now: datetime) -> list[Finding]:
    """Check the latest report of each PBX's listener."""
    async with db.read() as session:
        known = {row.pbx: row for row in (await session.exec(select(PbxStatus))).all()}
    findings: list[Finding] = []
    names = [pbx.name for pbx in settings.pbxs]
    if not names:
        names = [status.pbx for status in known.values() if _is_fresh(status, now)]  # such as that of the demo
        if not names:
            todo = "Set PBXCRM_AMI_URL=ami://user:secret@host:5038."
            findings.append(odd("No PBX is configured in the settings I was started with.", todo))
    for name in names:
        status = known.get(name)
        if status is None or status.reported_at is None:
            todo = "Start pbxcrm run (or pbxcrm listen)."
            findings.append(odd(f"PBX {name}: no listener has ever followed it.", todo))
        else:
            findings.extend(_of_listener(status, status.reported_at, now))
    return findings


def _is_fresh(status: PbxStatus, now: datetime) -> bool:
    return status.reported_at is not None and (now - status.reported_at).total_seconds() <= health.STALE_SECONDS


def _of_listener(status: PbxStatus, reported_at: datetime, now: datetime) -> list[Finding]:
    name = f"PBX {status.pbx}"
    age = now - reported_at
    if status.code == "stopped":
        return [
            bad(f"{name}: nobody listens; it was stopped {_words(age)} ago.", "Start pbxcrm run (or pbxcrm listen).")
        ]
    if not _is_fresh(status, now):
        return [
            bad(f"{name}: its listener has said nothing for {_words(age)}.", "Start pbxcrm run (or pbxcrm listen).")
        ]
    said = _fill(REPORTS.get(status.code, status.code), status.params)
    if status.state == PbxState.LISTENING:
        findings = [good(f"{name}: {said}")]
    elif status.state in {PbxState.REFUSED, PbxState.UNREACHABLE, PbxState.SILENT, PbxState.TROUBLE}:
        return [bad(f"{name}: {said}", "")]
    else:
        return [odd(f"{name}: {said}", "Look again in a moment.")]
    if status.last_event_at is None:
        todo = "Call a phone. If that changes nothing, check read= and eventfilter of our user in manager.conf."
        findings.append(odd(f"{name}: no event has come yet.", todo))
    elif now - status.last_event_at > QUIET:
        todo = "If there were calls since, check read= and eventfilter of our user in manager.conf."
        findings.append(odd(f"{name}: the last event came {_words(now - status.last_event_at)} ago.", todo))
    if (status.lag_seconds or 0) > SLOW_SECONDS:
        todo = "The machine or the database is too slow, or something holds a lock."
        findings.append(odd(f"{name}: events reach the database {status.lag_seconds:.1f} s late.", todo))
    if abs(status.clock_offset_seconds or 0) > FAST_CLOCK_SECONDS:
        todo = "Set both clocks by NTP: times of calls would be wrong."
        findings.append(odd(f"{name}: its clock is {status.clock_offset_seconds:+.0f} s off ours.", todo))
    return findings


async def check_people(db: Database) -> list[Finding]:
    """Users without an extension, and extensions that talk without a user (A8)."""
    async with db.read() as session:
        users = (await session.exec(select(User).where(col(User.is_active)).order_by(col(User.login)))).all()
        phones = (await session.exec(select(Extension))).all()
        strangers = await unmapped_extensions(session)
    findings: list[Finding] = []
    if not any(user.role == Role.ADMIN for user in users):
        todo = "Run: pbxcrm user add LOGIN --name NAME --role admin --password-stdin"
        findings.append(bad("There is no administrator.", todo))
    owners = {phone.user_id for phone in phones}
    without = [user.login for user in users if user.role == Role.SELLER and user.id not in owners]
    if without:
        todo = "Give them one on the page People: calls are matched by it."
        findings.append(odd(f"Sellers without an extension: {', '.join(without)}.", todo))
    if strangers:
        todo = "Give each to a user on the page People; what they answer is nobody's deal."
        findings.append(odd(f"Extensions in calls that belong to nobody: {', '.join(strangers)}.", todo))
    return findings or [
        good(
            f"{counted(len(users), 'person', 'people')}, {counted(len(phones), 'extension', 'extensions')}, all matched."
        )
    ]


async def check_endpoints(db: Database, settings: Settings) -> list[Finding]:
    """Find telephones that the settings treat as outside lines."""
    async with db.read() as session:
        found = await unmapped_endpoints(session, settings)
    return [
        odd(
            f"{one.pbx}: {one.endpoint} {_does(one)} and is treated as an outside line ({counted(one.calls, 'call', 'calls')}).",
            f"If it is a telephone of yours, set {one.setting} (or extension_pattern of this PBX) and start again.",
        )
        for one in found
    ]


def _does(endpoint: UnmappedEndpoint) -> str:
    return "takes calls" if endpoint.number is None else f"calls as {endpoint.number}"


def _fill(sentence: str, params: dict[str, str]) -> str:
    try:
        return sentence.format(**params)
    except (KeyError, IndexError, ValueError):
        return sentence


def _words(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    if minutes < 120:
        return f"{max(minutes, 1)} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
