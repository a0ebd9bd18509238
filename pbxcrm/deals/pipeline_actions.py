"""Changing pipelines and their stages. A stage is archived, never deleted, so that its history stays."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Role, Viewer, check
from pbxcrm.audit.actions import keep_unheard, record
from pbxcrm.deals import pipeline_rules
from pbxcrm.deals.attempt_schedule import check_schedule, without_stage
from pbxcrm.deals.clearing_actions import begin_clearing, clear_once_more
from pbxcrm.deals.field_queries import requirable
from pbxcrm.deals.funnel_templates import TEMPLATES
from pbxcrm.deals.hooks import (
    amount_by_lines_chosen,
    longest_plan_changed,
    pipeline_made,
    stage_archived,
    stage_changed,
    stage_split,
)
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageKind
from pbxcrm.deals.pipeline_drafts import PipelineChange, StageChange
from pbxcrm.deals.pipeline_rules import CARRIED_BY_DEFAULT, Requirements
from pbxcrm.deals.queries import stages_of
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.shared.events import emit
from pbxcrm.shared.locking import lock_row


async def create_pipeline(
    session: AsyncSession, viewer: Viewer, change: PipelineChange, *, template: str = "", now: datetime
) -> Pipeline:
    """Create a pipeline with the stages of ``template``, a key of ``TEMPLATES``; empty: with the necessary stages only."""
    check(viewer, Permission.SETTINGS_EDIT)
    if template and template not in TEMPLATES:
        raise Invalid("template", "pipelines.template", "Choose one of the templates.")
    chosen = TEMPLATES.get(template)
    await lock(session, "pipelines")
    known = await _pipelines(session)
    pipeline = Pipeline(
        name=await _free_name(session, change.name or (chosen.name if chosen else ""), None),
        position=max((each.position for each in known), default=-1) + 1,
        is_default=not any(each.archived_at is None for each in known),
        carries=[each.value for each in CARRIED_BY_DEFAULT],
        asks_why_lost=chosen.asks_why_lost if chosen else False,
    )
    session.add(pipeline)
    await session.flush()
    assert pipeline.id is not None
    _fill(session, pipeline.id, template)
    await session.flush()
    await _change_pipeline(session, pipeline, change, known)
    record(session, now, "pipeline.created", "pipeline", pipeline.id, actor=viewer, template=template)
    if template:
        await pipeline_made(session, pipeline)
    _say_changed(session, pipeline.id, now)
    return pipeline


async def seed_pipeline(session: AsyncSession) -> None:
    """Create the pipeline of a new installation."""
    first = Pipeline(name=TEMPLATES["b2b"].name, is_default=True, carries=[each.value for each in CARRIED_BY_DEFAULT])
    session.add(first)
    await session.flush()
    assert first.id is not None
    _fill(session, first.id, "b2b")
    await session.flush()
    await pipeline_made(session, first)


async def change_pipeline(
    session: AsyncSession,
    viewer: Viewer,
    pipeline_id: int,
    change: PipelineChange,
    *,
    now: datetime,
    version: int | None = None,
) -> Pipeline:
    """Change what is given in ``change``. Raises Invalid at the field, Conflict for an old ``version``."""
    check(viewer, Permission.SETTINGS_EDIT)
    await lock(session, "pipelines")
    pipeline = await _lock_pipeline(session, pipeline_id)
    _check_version(pipeline.version, version)
    before = _said_of_pipeline(pipeline)
    if change.name is not None:
        pipeline.name = await _free_name(session, change.name, pipeline_id)
    await _change_pipeline(session, pipeline, change, await _pipelines(session))
    _record_change(session, viewer, "pipeline", pipeline_id, before, _said_of_pipeline(pipeline), now)
    pipeline.version += 1
    if pipeline.longest_plan_days != before["longest_plan_days"]:
        await session.flush()
        await longest_plan_changed(session, pipeline, now)
    if pipeline.amount_by_lines and not before["amount_by_lines"]:
        await session.flush()
        keep_unheard(session, change.unheard)
        await amount_by_lines_chosen(session, pipeline, now)
    _say_changed(session, pipeline_id, now)
    return pipeline


async def archive_pipeline(session: AsyncSession, viewer: Viewer, pipeline_id: int, *, now: datetime) -> None:
    """Archive a pipeline without open deals. Raises Conflict for the default pipeline and while deals are open."""
    check(viewer, Permission.SETTINGS_EDIT)
    await lock(session, "pipelines")
    pipeline = await _lock_pipeline(session, pipeline_id)
    if pipeline.is_default:
        raise Conflict("pipelines.default", "New deals come into this pipeline. Make another one the default first.")
    still = await _count_open(session, Deal.pipeline_id == pipeline_id)
    if still:
        raise Conflict("pipelines.in_use", "{count} deals are still open here. Move or close them first.", count=still)
    for other in await _pipelines(session):
        if other.next_pipeline_id == pipeline_id:
            other.next_pipeline_id = None
            session.add(other)
    pipeline.archived_at = now
    pipeline.version += 1
    record(session, now, "pipeline.archived", "pipeline", pipeline_id, actor=viewer)
    _say_changed(session, pipeline_id, now)


async def create_stage(
    session: AsyncSession, viewer: Viewer, pipeline_id: int, change: StageChange, *, now: datetime
) -> Stage:
    """Create a stage at ``position``, by default before the first closing stage. Later stages move by one."""
    check(viewer, Permission.SETTINGS_EDIT)
    await _lock_pipeline(session, pipeline_id)
    others = await stages_of(session, pipeline_id)
    kind = change.kind or StageKind.OPEN.value
    if kind not in set(StageKind):
        raise Invalid("kind", "stages.kind", "Choose the kind of the stage.")
    stage = Stage(
        pipeline_id=pipeline_id,
        name=pipeline_rules.check_stage_name(change.name or "", others),
        kind=kind,
        position=len(others),
    )
    session.add(stage)
    await session.flush()
    _change_stage(stage, change, await requirable(session))
    closing = (number for number, each in enumerate(others) if each.kind in {StageKind.WON, StageKind.LOST})
    where = change.position if change.position is not None else next(closing, len(others))
    await _place(session, stage, others, where)
    pipeline_rules.check_kinds([*others, stage])
    record(session, now, "stage.created", "stage", stage.id, actor=viewer, after=_said_of_stage(stage))
    _say_changed(session, pipeline_id, now)
    return stage


async def change_stage(
    session: AsyncSession,
    viewer: Viewer,
    stage_id: int,
    change: StageChange,
    *,
    now: datetime,
    version: int | None = None,
) -> Stage:
    """Change what is given in ``change``. Raises Invalid at the field, Conflict for an old ``version``."""
    check(viewer, Permission.SETTINGS_EDIT)
    stage = await _access_stage(session, stage_id)
    pipeline = await _lock_pipeline(session, stage.pipeline_id)
    stage = await lock_row(session, Stage, stage_id)
    _check_version(stage.version, version)
    before = _said_of_stage(stage)
    others = [each for each in await stages_of(session, stage.pipeline_id) if each.id != stage_id]
    if change.name is not None:
        stage.name = pipeline_rules.check_stage_name(change.name, others)
    if change.kind is not None and change.kind != stage.kind:
        await _change_kind(session, stage, change.kind)
    _change_stage(stage, change, await requirable(session))
    if change.position is not None:
        await _place(session, stage, others, max(0, change.position))
    kinds_changed = before["kind"] != stage.kind
    pipeline_rules.check_kinds([*others, stage], takes_calls=pipeline.is_default and kinds_changed)
    _record_change(session, viewer, "stage", stage_id, before, _said_of_stage(stage), now)
    stage.version += 1
    _say_changed(session, stage.pipeline_id, now)
    if (before["norm_minutes"], before["kind"]) != (stage.norm_minutes, stage.kind):
        await stage_changed(session, stage, now)
    return stage


async def archive_stage(
    session: AsyncSession, viewer: Viewer, stage_id: int, move_to: int | None, *, now: datetime, unheard: bool = False
) -> int:
    """Archive a stage and move its deals to the stage ``move_to``. Returns the number of deals to move.

    The first ``clearing_actions.CLEAR_AT_ONCE`` are moved at once, the rest by the worker in batches. ``move_to`` may be None if the stage is empty.
    ``unheard``: rules of automation do not hear these moves. Raises Invalid at ``move_to``, Conflict for an archived stage, GateRefused when one of the first deals may not enter ``move_to``.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    stage = await _known_stage(session, stage_id)
    pipeline = await _lock_pipeline(session, stage.pipeline_id)
    stage = await lock_row(session, Stage, stage_id)
    if stage.archived_at is not None:
        raise Conflict("stages.archived", "This stage has been removed already.")
    others = [each for each in await stages_of(session, stage.pipeline_id) if each.id != stage_id]
    is_for_calls = stage.kind in {StageKind.UNSORTED, StageKind.DIDNT_REACH}
    pipeline_rules.check_kinds(others, takes_calls=pipeline.is_default and is_for_calls)
    count = (await session.exec(select(func.count()).select_from(Deal).where(Deal.stage_id == stage_id))).one()
    to = await session.get(Stage, move_to) if move_to is not None else None
    if count and (to is None or to.archived_at is not None or to.id == stage_id):
        raise Invalid(
            "move_to", "stages.move_to", "Deals stand here: {count}. Choose the stage they go to.", count=count
        )
    if to is not None and to.pipeline_id != stage.pipeline_id:  # its schedule of attempts would follow them, too
        raise Invalid("move_to", "deals.other_pipeline", "The stage belongs to another pipeline.")
    stage.archived_at = now
    stage.version += 1
    await session.flush()
    pipeline.attempt_schedule = without_stage(pipeline.attempt_schedule, stage_id, to)
    await stage_archived(session, stage, to)
    record(session, now, "stage.archived", "stage", stage_id, actor=viewer, moved_to=move_to, deals=count)
    if to is not None and count:
        await begin_clearing(session, stage, to, actor=viewer, now=now, unheard=unheard)
    refuge = to or next((each for each in others if each.kind == StageKind.OPEN), None)
    if refuge is not None:
        await clear_once_more(session, stage, refuge, actor=viewer, now=now, unheard=unheard)
    _say_changed(session, stage.pipeline_id, now)
    return count


async def restore_stage(session: AsyncSession, viewer: Viewer, stage_id: int, *, now: datetime) -> Stage:
    """Take an archived stage back to its place in the pipeline, with its settings and checkpoints.

    Deals that have left it stay where they are; those that were still to be moved stay in it. Raises Conflict for a stage that is
    not archived or whose name is in use, Invalid for one too many, NotFound.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    stage = await _known_stage(session, stage_id)
    await _lock_pipeline(session, stage.pipeline_id)
    stage = await lock_row(session, Stage, stage_id)
    if stage.archived_at is None:
        raise Conflict("stages.not_archived", "This stage is in the pipeline already.")
    others = await stages_of(session, stage.pipeline_id)
    try:
        pipeline_rules.check_stage_name(stage.name, others)
    except Invalid as error:
        raise Conflict(error.code, error.message, **error.params) from None
    pipeline_rules.check_kinds([*others, stage])
    _set_order(await _all_in_order(session, stage.pipeline_id))
    stage.archived_at = None
    stage.version += 1
    record(session, now, "stage.restored", "stage", stage_id, actor=viewer)
    await session.flush()
    await stage_changed(session, stage, now)
    _say_changed(session, stage.pipeline_id, now)
    return stage


async def split_stage(session: AsyncSession, viewer: Viewer, stage_id: int, name: str, *, now: datetime) -> Stage:
    """Create a stage directly after this one with the same settings, watched by the same. Deals stay until somebody moves them."""
    check(viewer, Permission.SETTINGS_EDIT)
    stage = await _access_stage(session, stage_id)
    siblings = await stages_of(session, stage.pipeline_id)
    where = next(number for number, each in enumerate(siblings) if each.id == stage_id)
    change = StageChange(
        name=name,
        kind=stage.kind,
        position=where + 1,
        norm_minutes=stage.norm_minutes,
        probability=stage.probability,
        instruction=stage.instruction,
        colour=stage.colour,
        waits_for_client=stage.waits_for_client,
        extra_control=stage.extra_control,
        requires=Requirements.load(stage.requires),
    )
    part = await create_stage(session, viewer, stage.pipeline_id, change, now=now)
    await stage_split(session, stage, part, viewer, now)
    return part


def _fill(session: AsyncSession, pipeline_id: int, template: str) -> None:
    stages = TEMPLATES[template or "b2b"].stages
    kept = stages if template else [stage for stage in stages if stage.kind is not StageKind.OPEN or stage is stages[0]]
    for position, stage in enumerate(kept):
        session.add(
            Stage(
                pipeline_id=pipeline_id,
                name=stage.name,
                kind=stage.kind.value,
                position=position,
                probability=stage.probability,
                norm_minutes=stage.norm,
                instruction=stage.instruction,
                waits_for_client=stage.is_key,
                extra_control=stage.is_extra,
            )
        )


async def _change_pipeline(
    session: AsyncSession, pipeline: Pipeline, change: PipelineChange, known: Sequence[Pipeline]
) -> None:
    assert pipeline.id is not None
    if change.next_pipeline_id is not None:
        following = next((each for each in known if each.id == change.next_pipeline_id), None)
        if change.next_pipeline_id != pipeline.id and (following is None or following.archived_at is not None):
            raise Invalid("next_pipeline_id", "pipelines.no_next", "There is no such pipeline any more.")
        pipeline.next_pipeline_id = change.next_pipeline_id
    elif "next_pipeline_id" in change.unset:
        pipeline.next_pipeline_id = None
    chain: dict[int, int | None] = {each.id: each.next_pipeline_id for each in known if each.id is not None}
    pipeline_rules.check_next(pipeline.id, {**chain, pipeline.id: pipeline.next_pipeline_id})
    if change.carries is not None:
        pipeline.carries = pipeline_rules.check_carries(change.carries)
    if change.asks_why_lost is not None:
        pipeline.asks_why_lost = change.asks_why_lost
    if change.attempts is not None:
        asked = change.attempts
        checked = await check_schedule(session, asked.minutes, asked.then, asked.stage_id, pipeline.id)
        pipeline.attempt_schedule = checked.stored()
    elif "attempts" in change.unset:
        pipeline.attempt_schedule = {}
    if change.longest_plan_days is not None:
        pipeline.longest_plan_days = pipeline_rules.check_longest_plan(change.longest_plan_days)
    if change.amount_by_lines is not None:
        pipeline.amount_by_lines = change.amount_by_lines
    if change.is_default and not pipeline.is_default:
        pipeline_rules.check_takes_calls(await stages_of(session, pipeline.id), "is_default")
        for each in known:
            each.is_default = False
            session.add(each)
        pipeline.is_default = True


async def _change_kind(session: AsyncSession, stage: Stage, kind: str) -> None:
    """Set the kind. It decides whether deals are open or closed, so it may change only while the stage has no deals."""
    if kind not in set(StageKind):
        raise Invalid("kind", "stages.kind", "Choose the kind of the stage.")
    if (await session.exec(select(Deal.id).where(Deal.stage_id == stage.id).limit(1))).first() is not None:
        raise Invalid("kind", "stages.kind_in_use", "There are deals in this stage, so its kind must stay as it is.")
    stage.kind = kind


def _change_stage(stage: Stage, change: StageChange, fields: Sequence[str]) -> None:
    if change.norm_minutes is not None:
        stage.norm_minutes = pipeline_rules.check_norm(change.norm_minutes)
    elif "norm_minutes" in change.unset:
        stage.norm_minutes = None
    if change.probability is not None:
        stage.probability = pipeline_rules.check_probability(change.probability)
    if change.instruction is not None:
        stage.instruction = pipeline_rules.check_instruction(change.instruction)
    if change.colour is not None:
        stage.colour = pipeline_rules.check_colour(change.colour)
    if change.waits_for_client is not None:
        stage.waits_for_client = change.waits_for_client
    if change.extra_control is not None:
        stage.extra_control = change.extra_control
    if change.requires is not None:
        stage.requires = pipeline_rules.check_requirements(change.requires, fields).stored()


async def _place(session: AsyncSession, stage: Stage, others: Sequence[Stage], where: int) -> None:
    """Put the stage before number ``where`` (from 0) of the other stages that are not archived. Archived ones keep their neighbours."""
    after = [each for each in await _all_in_order(session, stage.pipeline_id) if each.id != stage.id]
    place = after.index(others[where]) if where < len(others) else len(after)
    _set_order([*after[:place], stage, *after[place:]])


async def _all_in_order(session: AsyncSession, pipeline_id: int) -> list[Stage]:
    """All stages of a pipeline, also archived ones: each where it stood. One that was archived by an older version has the same position as the stage that followed it."""
    found = (await session.exec(select(Stage).where(Stage.pipeline_id == pipeline_id))).all()
    return sorted(found, key=lambda stage: (stage.position, stage.archived_at is None, stage.id))


def _set_order(stages: Sequence[Stage]) -> None:
    for position, stage in enumerate(stages):
        stage.position = position


async def _pipelines(session: AsyncSession) -> list[Pipeline]:
    return list((await session.exec(select(Pipeline).order_by(col(Pipeline.position), col(Pipeline.id)))).all())


async def _free_name(session: AsyncSession, name: str, own_id: int | None) -> str:
    name = pipeline_rules.check_pipeline_name(name)
    same = (await session.exec(select(Pipeline.id).where(Pipeline.name == name))).first()
    if same is not None and same != own_id:
        raise Invalid("name", "pipelines.name_taken", "There is a pipeline of this name already.")
    return name


async def _lock_pipeline(session: AsyncSession, pipeline_id: int) -> Pipeline:
    if await session.get(Pipeline, pipeline_id) is None:
        raise NotFound("pipelines.not_found", "There is no such pipeline.")
    return await lock_row(session, Pipeline, pipeline_id)


async def _access_stage(session: AsyncSession, stage_id: int) -> Stage:
    """A stage that can still be changed; raises NotFound."""
    return await _known_stage(session, stage_id, or_archived=False)


async def _known_stage(session: AsyncSession, stage_id: int, *, or_archived: bool = True) -> Stage:
    stage = await session.get(Stage, stage_id)
    if stage is None or not (or_archived or stage.archived_at is None):
        raise NotFound("stages.not_found", "There is no such stage.")
    return stage


async def _count_open(session: AsyncSession, *conditions: bool) -> int:
    query = select(func.count()).select_from(Deal).where(*conditions, col(Deal.closed_at).is_(None))
    return (await session.exec(query)).one()


def _check_version(now: int, seen: int | None) -> None:
    if seen is not None and now != seen:
        raise Conflict("pipelines.stale", "Somebody else has changed this pipeline meanwhile. Look at it again.")


def _said_of_pipeline(pipeline: Pipeline) -> dict[str, object]:
    return pipeline.model_dump(
        include={
            "name",
            "next_pipeline_id",
            "carries",
            "asks_why_lost",
            "is_default",
            "attempt_schedule",
            "longest_plan_days",
            "amount_by_lines",
        }
    )


def _said_of_stage(stage: Stage) -> dict[str, object]:
    return stage.model_dump(exclude={"id", "pipeline_id", "archived_at", "version"})


def _record_change(
    session: AsyncSession,
    viewer: Viewer,
    entity: str,
    entity_id: int,
    before: Mapping[str, object],
    after: Mapping[str, object],
    now: datetime,
) -> None:
    changed = {key for key, value in after.items() if value != before[key]}
    if changed:
        record(
            session,
            now,
            f"{entity}.changed",
            entity,
            entity_id,
            actor=viewer,
            before={key: before[key] for key in sorted(changed)},
            after={key: after[key] for key in sorted(changed)},
        )


def _say_changed(session: AsyncSession, pipeline_id: int | None, now: datetime) -> None:
    """Notify everybody, because every open board shows the stages."""
    emit(session, "pipeline", pipeline_id, now, roles=[role.value for role in Role])
