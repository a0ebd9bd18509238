"""Trying lamps again that could not be lit: what was wrong with a calendar or a deal may be mended meanwhile."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.checkpoints.access import is_parked
from pbxcrm.checkpoints.lighting import say_lamp_changed
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.errors import Conflict, NotFound

MOST_AT_ONCE = 10_000  # a broken default calendar may have parked more; whoever tries again goes on with the rest


async def retry_lamp(session: AsyncSession, viewer: Viewer, lamp_id: int, *, now: datetime) -> Lamp:
    """Let the sweep look at a parked lamp again; it parks again if it fails again. Raises NotFound, Conflict for one that is not parked."""
    check(viewer, Permission.SETTINGS_EDIT)
    query = select(Lamp).where(Lamp.id == lamp_id).with_for_update(key_share=True)
    lamp = (await session.exec(query.execution_options(populate_existing=True))).first()
    if lamp is None:
        raise NotFound("lamps.not_found", "There is no such lamp, or it is another team's.")
    if lamp.parked_at is None:
        raise Conflict("lamps.not_parked", "This lamp is not parked: it lights by itself when it is due.")
    _retry(session, viewer, lamp, now, await load_directory(session))
    return lamp


async def retry_all(session: AsyncSession, viewer: Viewer, *, now: datetime) -> int:
    """The same for every parked lamp; those that somebody else holds just now are left out. Returns how many."""
    check(viewer, Permission.SETTINGS_EDIT)
    query = select(Lamp).where(is_parked()).order_by(col(Lamp.due_at), col(Lamp.id)).limit(MOST_AT_ONCE)
    lamps = (await session.exec(query.with_for_update(skip_locked=True, key_share=True))).all()
    people = await load_directory(session)
    for lamp in lamps:
        _retry(session, viewer, lamp, now, people)
    return len(lamps)


def _retry(session: AsyncSession, viewer: Viewer, lamp: Lamp, now: datetime, people: Directory) -> None:
    entity, entity_id = ("deal", lamp.deal_id) if lamp.callback_id is None else ("callback", lamp.callback_id)
    record(session, now, "lamp.retried", entity, entity_id, actor=viewer, lamp=lamp.id, error=lamp.error)
    lamp.parked_at, lamp.error = None, ""
    lamp.version += 1
    say_lamp_changed(session, lamp, now, people)
