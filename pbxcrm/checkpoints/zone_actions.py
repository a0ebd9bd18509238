"""Recomputes the lamps when the time zones of the calendars are not what they were: a new tzdata comes with the next start of a program.

An armed lamp stores when it is due. If a country moves its clocks, the same working minutes end at another moment.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from operator import itemgetter

import structlog
from sqlmodel import col, delete, select

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.checkpoints.models import EngineBeat
from pbxcrm.checkpoints.recompute_jobs import recompute
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import Database

log = structlog.get_logger()

ZONES = "zones:"  # before the fingerprint, in the name of a beat
AHEAD = 3  # calendar years that are compared, this one included
EACH = timedelta(hours=6)


async def follow_zones(db: Database, now: datetime) -> bool:
    """Recompute all lamps if the zones of the calendars, taken together, differ from when this was asked last. Returns whether they do.

    They differ when a zone has other rules, but also when a calendar brings a new zone or the last one of a zone goes, and with each
    new year, since the comparison begins with this year. The fingerprint is kept as the name of
    a row of ``engine_beats``.
    """
    async with db.read() as session:
        name = ZONES + fingerprint(await load_calendars(session, await load_directory(session)), now.year)
        query = select(EngineBeat.name).where(col(EngineBeat.name).startswith(ZONES))
        known = (await session.exec(query)).all()
    if name in known:
        return False
    async with db.write() as session:
        await session.exec(delete(EngineBeat).where(col(EngineBeat.name).startswith(ZONES)))
        await session.merge(EngineBeat(name=name, beat_at=now))
        if known:
            log.info("zones.changed")
            await recompute(session, now)
    return bool(known)


def fingerprint(calendars: Calendars, year: int) -> str:
    """A name for the rules of all zones of the calendars from this year on."""
    zones = {working.timezone for working in (*calendars.by_id.values(), calendars.default)}
    count = timedelta(days=366 * AHEAD) // EACH
    moments = [datetime(year, 1, 1, tzinfo=UTC) + number * EACH for number in range(count)]
    said = sha256()
    for zone in sorted(zones, key=str):
        said.update(f"{zone}".encode())
        offsets = [(moment.astimezone(zone).utcoffset(), moment) for moment in moments]
        for offset, those in groupby(offsets, key=itemgetter(0)):
            said.update(f" {offset} {next(those)[1].isoformat()}".encode())
    return said.hexdigest()[:24]
