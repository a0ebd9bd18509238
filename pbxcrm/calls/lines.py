"""Reads and changes lines: which calls a line matches, and what those calls make."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import phonenumbers
from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.calls.models import Call, Line
from pbxcrm.deals.attempt_schedule import AfterLast, check_schedule, without_stage
from pbxcrm.deals.models import CLOSED_KINDS, Pipeline, Stage
from pbxcrm.people.queries import access_worker
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.hooks import Hook
from pbxcrm.shared.lengths import check_line, check_optional_text, longest

#: Called with the id of a line before it is deleted, so that references to it can be cleared.
line_deleted = Hook[int]("calls.line_deleted")

LONGEST_SHORT = 600  # seconds
_BETWEEN = re.compile(r"[\s,;/|]")  # what no number has that a PBX names, so such a pattern would match nothing


async def load_lines(session: AsyncSession) -> tuple[Line, ...]:
    """All lines in the order in which they are matched; cached until somebody changes them."""
    return await cached_until_changed(session, _read_lines)


async def _read_lines(session: AsyncSession) -> tuple[Line, ...]:
    return tuple((await session.exec(select(Line).order_by(col(Line.position), col(Line.id)))).all())


@dataclass(frozen=True, slots=True)
class LineRules:
    """A line as typed in the form; an empty glob or ``*`` matches anything."""

    name: str
    pbx: str = "*"
    trunk: str = "*"
    did: str = "*"
    queue: str = "*"
    region: str = ""
    makes_deals: bool = True
    makes_callbacks: bool = True
    anonymous_makes_deals: bool = True
    pipeline_id: int | None = None
    stage_id: int | None = None
    source: str = ""
    owner_id: int | None = None
    short_seconds: int = 0
    attempt_minutes: tuple[int, ...] = ()  # empty: no schedule of attempts of its own
    attempts_then: str = AfterLast.MORNINGS.value
    attempts_stage_id: int | None = None


async def get_line(session: AsyncSession, line_id: int) -> Line | None:
    """The line with this id, or None."""
    return await session.get(Line, line_id)


async def save_line(
    session: AsyncSession, viewer: Viewer, line_id: int | None, rules: LineRules, now: datetime
) -> Line:
    """Add a line at the end (``line_id`` None) or change one. Raises Invalid for a wrong field, NotFound, NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    line = await _access(session, line_id) if line_id is not None else Line(name="", position=await _last(session) + 1)
    line.name = await _check_name(session, rules.name, line_id)
    for field in ("pbx", "trunk", "did", "queue"):
        glob = getattr(rules, field).strip() or "*"
        if len(glob) > longest(getattr(Line, field)):
            raise Invalid(field, "lines.glob", "Write a shorter pattern.")
        if field == "did" and _BETWEEN.search(glob):
            raise Invalid(field, "lines.did", "Write one number, or one pattern, without spaces, commas or slashes.")
        setattr(line, field, glob)
    line.region = rules.region.strip().upper()
    if line.region and line.region not in phonenumbers.SUPPORTED_REGIONS:
        raise Invalid("region", "lines.region", "Write a country as two letters, for example UA.")
    if not 0 <= rules.short_seconds <= LONGEST_SHORT:
        raise Invalid("short_seconds", "lines.short", "Write a number of seconds from 0 to {most}.", most=LONGEST_SHORT)
    line.pipeline_id, line.stage_id = await _check_target(session, rules.pipeline_id, rules.stage_id)
    if rules.owner_id is not None:
        await access_worker(session, viewer, rules.owner_id, field="owner_id", permission=Permission.CALLBACKS_WORK)
    line.owner_id, line.short_seconds = rules.owner_id, rules.short_seconds
    line.source = check_optional_text(rules.source, Line.source, "source")
    line.makes_deals, line.makes_callbacks = rules.makes_deals, rules.makes_callbacks
    line.anonymous_makes_deals = rules.anonymous_makes_deals
    line.attempt_schedule = await _check_attempts(session, rules)
    session.add(line)
    await session.flush()
    record(session, now, "line.saved", "line", line.id, actor=viewer, name=line.name)
    return line


async def move_line(session: AsyncSession, viewer: Viewer, line_id: int, *, up: bool, now: datetime) -> None:
    """Swap a line with the one before or after it; the first line that matches a call is used."""
    check(viewer, Permission.SETTINGS_EDIT)
    lines = list((await session.exec(select(Line).order_by(col(Line.position), col(Line.id)))).all())
    here = next((place for place, line in enumerate(lines) if line.id == line_id), None)
    if here is None:
        raise NotFound("lines.not_found", "There is no such line any more.")
    there = here - 1 if up else here + 1
    if 0 <= there < len(lines):
        lines[here], lines[there] = lines[there], lines[here]
    for place, line in enumerate(lines):
        line.position = place
    record(session, now, "line.moved", "line", line_id, actor=viewer, up=up)


async def delete_line(session: AsyncSession, viewer: Viewer, line_id: int, now: datetime) -> None:
    """Delete a line; its calls and callbacks stay, without a line."""
    check(viewer, Permission.SETTINGS_EDIT)
    line = await _access(session, line_id)
    await session.exec(
        update(Call)
        .where(col(Call.line_id) == line_id)
        .values(line_id=None)
        .execution_options(synchronize_session=False)
    )
    await line_deleted(session, line_id)
    await session.delete(line)
    record(session, now, "line.deleted", "line", line_id, actor=viewer, name=line.name)


async def stage_archived(session: AsyncSession, stage: Stage, to: Stage | None) -> None:
    """Handler of ``deals.hooks.stage_archived``: no line names the stage any more. Where its deals went, those of the lines go, too."""
    assert stage.id is not None
    for line in (await session.exec(select(Line))).all():
        schedule = without_stage(line.attempt_schedule, stage.id, to)
        if schedule != line.attempt_schedule:
            line.attempt_schedule = schedule
            session.add(line)
        if line.stage_id == stage.id:
            follows = to is not None and to.archived_at is None and to.kind not in CLOSED_KINDS
            line.stage_id = to.id if to is not None and follows else None
            session.add(line)
    await session.flush()


async def _access(session: AsyncSession, line_id: int) -> Line:
    line = await session.get(Line, line_id)
    if line is None:
        raise NotFound("lines.not_found", "There is no such line any more.")
    return line


async def _last(session: AsyncSession) -> int:
    found = await session.exec(select(func.coalesce(func.max(Line.position), -1)))
    return found.one()


async def _check_name(session: AsyncSession, name: str, line_id: int | None) -> str:
    name = check_line(name, Line.name, "name", "lines.name", "Write a name of up to {most} characters.")
    same = (await session.exec(select(Line.id).where(func.lower(Line.name) == name.lower()))).first()
    if same is not None and same != line_id:
        raise Invalid("name", "lines.name_taken", "There is a line of this name already.")
    return name


async def _check_attempts(session: AsyncSession, rules: LineRules) -> dict[str, Any]:
    """Its schedule of attempts as it is stored; empty where the pipeline's holds."""
    if not rules.attempt_minutes and rules.attempts_then == AfterLast.MORNINGS:
        return {}
    found = await check_schedule(session, rules.attempt_minutes, rules.attempts_then, rules.attempts_stage_id)
    return found.stored()


async def _check_target(
    session: AsyncSession, pipeline_id: int | None, stage_id: int | None
) -> tuple[int | None, int | None]:
    """Check pipeline and stage for deals of answered calls; a stage sets its pipeline. Raises Invalid."""
    if stage_id is not None:
        stage = await session.get(Stage, stage_id)
        if stage is None or stage.kind in CLOSED_KINDS or stage.archived_at is not None:
            raise Invalid("stage_id", "deals.no_stage", "There is no such stage any more.")
        if pipeline_id is not None and pipeline_id != stage.pipeline_id:
            raise Invalid("pipeline_id", "deals.other_pipeline", "The stage belongs to another pipeline.")
        return stage.pipeline_id, stage_id
    if pipeline_id is not None and await session.get(Pipeline, pipeline_id) is None:
        raise Invalid("pipeline_id", "deals.no_stage", "There is no such stage any more.")
    return pipeline_id, None
