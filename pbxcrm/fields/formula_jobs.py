"""The worker computes a field of all rows anew: its formula is new or was changed, an option was renamed, or working hours changed."""

from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Role
from pbxcrm.audit.actions import keep_unheard
from pbxcrm.fields.formula_rules import BY_HOURS, functions_of
from pbxcrm.fields.hooks import own_values
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.value_actions import do_compute_values
from pbxcrm.shared.background_jobs import BackgroundJob, start
from pbxcrm.shared.events import emit

JOB = "fields.reckon"
AT_ONCE = 100  # rows in one transaction


async def do_compute_all(session: AsyncSession, entity: str, now: datetime, *, owner_id: int | None) -> None:
    """Let the worker compute the fields of all rows of the entity anew."""
    await start(session, JOB, {"entity": entity, "after": 0}, now, owner_id=owner_id)


async def compute_by_hours(session: AsyncSession, now: datetime, _: bool) -> None:  # the hook gives it so
    """Handler of ``calendar_changed``: the fields that count by working hours."""
    fields = await load_fields(session)
    for entity in FieldEntity:
        if any(functions_of(each.formula) & BY_HOURS for each in fields.computed(entity)):
            await do_compute_all(session, entity.value, now, owner_id=None)


async def compute_batch(session: AsyncSession, job: BackgroundJob, now: datetime) -> bool:
    """Work in the background: the next rows. The audit log has the change of the field, not one of each row; so rules do not hear the amounts that follow."""
    keep_unheard(session)
    entity = FieldEntity(job.payload["entity"])
    own = own_values(entity)
    model: Any = own.model
    query = select(model).where(col(model.id) > int(job.payload["after"])).order_by(col(model.id)).limit(AT_ONCE)
    rows = (await session.exec(query.with_for_update(key_share=True))).all()
    for row in rows:
        if await do_compute_values(session, entity, row):
            await own.changed(session, row, now)
    job.done += len(rows)
    if len(rows) == AT_ONCE:
        job.payload = {**job.payload, "after": rows[-1].id}
        return False
    emit(session, "field", None, now, roles=[role.value for role in Role])
    return True
