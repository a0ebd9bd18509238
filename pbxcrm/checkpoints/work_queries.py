"""Which work puts out the lamps that burn for a deal, as their checkpoints count it now."""

from collections.abc import Collection, Mapping

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.access import is_burning
from pbxcrm.checkpoints.context import Watched, load_watching
from pbxcrm.checkpoints.models import Lamp, Subject, TriggerKind, WorkKind
from pbxcrm.deals.fields import is_filled, name_of_field
from pbxcrm.deals.models import Deal
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.tasks.work_rules import EndingWork


async def ending_work(session: AsyncSession, deal_ids: Collection[int]) -> Mapping[int, tuple[EndingWork, ...]]:
    """The work that puts out the burning lamps of these deals, one entry per checkpoint, that of the oldest lamp first."""
    lamps = await session.exec(
        select(Lamp)
        .where(Lamp.subject == Subject.DEAL.value, is_burning(), col(Lamp.deal_id).in_(deal_ids))
        .order_by(col(Lamp.id))
    )
    burning: dict[int, dict[int, list[Lamp]]] = {}
    for lamp in lamps.all():
        burning.setdefault(lamp.deal_id or 0, {}).setdefault(lamp.checkpoint_id, []).append(lamp)
    watching = await load_watching(session)
    known = {each for theirs in burning.values() for each in theirs if each in watching.by_id}
    asks_fields = any(WorkKind.FIELD_FILLED in watching.by_id[each].checkpoint.work for each in known)
    deals = await load_by_id(session, Deal, burning) if asks_fields else {}
    return {
        deal_id: tuple(
            _ending(watching.by_id[each], lamps, deals.get(deal_id)) for each, lamps in theirs.items() if each in known
        )
        for deal_id, theirs in burning.items()
    }


def _ending(watched: Watched, lamps: Collection[Lamp], deal: Deal | None) -> EndingWork:
    checkpoint, work = watched.checkpoint, set(watched.checkpoint.work)
    talks = WorkKind.TALKED in work or checkpoint.trigger == TriggerKind.SILENCE
    field = checkpoint.field if WorkKind.FIELD_FILLED in work else ""
    is_empty = bool(field) and not is_filled(getattr(deal, field, None))
    return EndingWork(
        checkpoint.name,
        talk_seconds=checkpoint.talked_seconds if talks else None,
        next_task=WorkKind.NEXT_TASK in work,
        field=(field, name_of_field(field)) if is_empty else None,
        move=WorkKind.STAGE_MOVED in work,
        manager=any(lamp.is_escalation for lamp in lamps),
    )
