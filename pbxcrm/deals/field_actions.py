"""Where the custom fields of deals are shown and required. Which stages require one stands in ``Stage.requires``, as for other fields."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.models import Pipeline, Stage
from pbxcrm.deals.pipeline_actions import change_stage
from pbxcrm.deals.pipeline_drafts import StageChange
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.fields.models import FieldDefinition, FieldEntity
from pbxcrm.shared.errors import Invalid


async def check_places(session: AsyncSession, pipeline_ids: Collection[int], stage_ids: Collection[int]) -> None:
    """Raises Invalid at ``pipelines`` or ``stages`` for one that is not there."""
    for table, asked, field in ((Pipeline, pipeline_ids, "pipelines"), (Stage, stage_ids, "stages")):
        known = set((await session.exec(select(table.id).where(col(table.id).in_(asked)))).all()) if asked else set()
        if set(asked) - known:
            raise Invalid(field, "fields.no_place", "There is no such pipeline or stage any more. Choose again.")


async def stages_requiring(session: AsyncSession, key: str) -> list[int]:
    """The ids of the active stages that require the field."""
    stages = (await session.exec(select(Stage).where(col(Stage.archived_at).is_(None)).order_by(col(Stage.id)))).all()
    return [stage.id or 0 for stage in stages if key in Requirements.load(stage.requires).fields]


async def set_required(
    session: AsyncSession, viewer: Viewer, definition: FieldDefinition, stage_ids: Collection[int], *, now: datetime
) -> None:
    """The field is required by exactly these stages. Raises Invalid for a stage that is not there, or a field that deals have not."""
    if stage_ids and definition.entity != FieldEntity.DEAL:
        raise Invalid("stages_required", "fields.required_places", "Only fields of deals can be required by a stage.")
    await check_places(session, (), stage_ids)
    known = set(await stages_requiring(session, definition.key))
    for stage_id in sorted(known ^ set(stage_ids)):
        stage = await session.get_one(Stage, stage_id)
        asked = Requirements.load(stage.requires)
        others = tuple(key for key in asked.fields if key != definition.key)
        fields = (*others, definition.key) if stage_id in stage_ids else others
        await change_stage(session, viewer, stage_id, StageChange(requires=replace(asked, fields=fields)), now=now)
