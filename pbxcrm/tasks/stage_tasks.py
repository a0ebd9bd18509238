"""Automatic tasks, created once for each entry of a deal into a stage."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.deals.hooks import StageEntry
from pbxcrm.deals.models import Stage
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import User
from pbxcrm.people.whom import JOINT, KNOWN, MANAGER, RESPONSIBLE, ROLE, has_left, is_whom, named, of_role, takes_tasks
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import check_optional_text
from pbxcrm.shared.reasons import N_, Reason, reason
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.actions import TaskDraft, do_close_task, do_create_task
from pbxcrm.tasks.models import StageTask, Task, TaskKind, TaskStatus
from pbxcrm.tasks.rules import ABOUT_JOINT, check_title

MOST_TASKS = 20  # of a stage
LONGEST_AFTER = 366 * 24 * 60  # minutes


@dataclass(frozen=True, slots=True)
class StageTaskChange:
    """An automatic task as entered. ``whom``: see ``pbxcrm.people.whom``. ``keep``: not cancelled when the deal leaves the stage."""

    title: str
    whom: str = RESPONSIBLE
    after_minutes: int = 0
    instruction: str = ""
    checklist: Sequence[checklist_rules.Item] = ()
    keep: bool = False


async def list_stage_tasks(session: AsyncSession, stage_id: int) -> list[StageTask]:
    """The automatic tasks of a stage, in order, from a cache that is reloaded after a change."""
    return (await cached_until_changed(session, _read_active)).get(stage_id, [])


async def _read_active(session: AsyncSession) -> dict[int, list[StageTask]]:
    found: dict[int, list[StageTask]] = {}
    rows = await session.exec(
        select(StageTask).where(col(StageTask.active)).order_by(col(StageTask.position), col(StageTask.id))
    )
    for row in rows.all():
        found.setdefault(row.stage_id, []).append(row)
    return found


async def _any_to_cancel(session: AsyncSession) -> bool:
    """Whether any automatic task, also of earlier settings, ends when its deal leaves the stage."""
    return (await session.exec(select(StageTask.id).where(~col(StageTask.keep)).limit(1))).first() is not None


def seen_of(tasks: Sequence[StageTask]) -> str:
    """The ids and versions of a stage's tasks as text, to detect changes by others (``save_stage_tasks``)."""
    return ",".join(f"{each.id}:{each.version}" for each in tasks)


async def save_stage_tasks(
    session: AsyncSession,
    viewer: Viewer,
    stage_id: int,
    changes: Sequence[StageTaskChange],
    *,
    seen: str | None,
    now: datetime,
) -> None:
    """Replace the automatic tasks of a stage by ``changes``, in their order. Existing tasks of deals do not change.

    ``seen``: the result of ``seen_of`` when they were read, None to overwrite whatever is there. Raises Conflict if they have changed
    since, and Invalid at the field of a change with its ``position`` (from 0) among the parameters.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    if len(changes) > MOST_TASKS:
        raise Invalid("", "stage_tasks.many", "A stage has at most {most} automatic tasks.", most=MOST_TASKS)
    found = await session.exec(
        select(StageTask)
        .where(StageTask.stage_id == stage_id, col(StageTask.active))
        .order_by(col(StageTask.position), col(StageTask.id))
        .with_for_update()
    )
    rows = list(found.all())
    if seen is not None and seen_of(rows) != seen:
        raise Conflict(
            "stage_tasks.stale", "Somebody changed these tasks meanwhile. Look at them again before you change them."
        )
    people = await load_directory(session)
    for position, change in enumerate(changes):
        row = rows[position] if position < len(rows) else StageTask(stage_id=stage_id, title="", version=0)
        try:
            _set(row, change, people)
        except Invalid as error:
            error.params["position"] = position
            raise
        row.position = position
        row.version += 1
        session.add(row)
    for row in rows[len(changes) :]:
        row.active = False
        row.version += 1
    record(session, now, "stage.tasks", "stage", stage_id, actor=viewer, titles=[each.title for each in changes])


def _set(row: StageTask, change: StageTaskChange, people: Directory) -> None:
    """Raises Invalid at the name of the change's field."""
    row.title = check_title(change.title)
    row.instruction = check_optional_text(change.instruction, StageTask.instruction, "instruction")
    if has_left(change.whom, people):
        raise Invalid("whom", "stage_tasks.left", "This person has left. Choose somebody else.")
    if not is_whom(change.whom, people):
        said = N_("Choose who gets the task: the responsible, the manager, a role or a person.")
        raise Invalid("whom", "stage_tasks.whom", said).among(KNOWN)
    if not takes_tasks(change.whom, people):
        raise Invalid("whom", "stage_tasks.cannot_work", "Their role may not work on it. Choose somebody else.")
    row.whom = change.whom
    if not 0 <= change.after_minutes <= LONGEST_AFTER:
        raise Invalid("after_minutes", "stage_tasks.after", "Choose a time from at once to a year.")
    row.after_minutes, row.keep = change.after_minutes, change.keep
    row.checklist = checklist_rules.check_items(change.checklist)


async def deal_entered(session: AsyncSession, entry: StageEntry) -> None:
    """Handler of ``stage_entered``: create the tasks of the new stage, and cancel open ones of earlier stages unless ``keep``."""
    if entry.left is not None and await cached_until_changed(session, _any_to_cancel):
        await _cancel_left(session, entry)
    wanted = await list_stage_tasks(session, entry.stage.id or 0)
    if not wanted:
        return
    calendars = await load_calendars(session, entry.people)
    for each in wanted:
        whom, because = _whom(each.whom, entry, calendars)
        new = TaskDraft(
            kind=TaskKind.TODO,
            title=reason("stage_task.title", title=each.title),
            why=reason("stage_task.why", *because, stage=entry.stage.name),
            due_at=calendars.of_user(whom).add_minutes(entry.at, each.after_minutes),
            assignee_id=whom,
            deal_id=entry.deal.id,
            contact_id=entry.deal.contact_id,
            instruction=each.instruction,
            checklist=tuple(each.checklist),
            stage_task_id=each.id,
            stage_move_id=entry.move.id,
        )
        theirs, because = _whom(MANAGER, entry, calendars) if each.whom == JOINT else (None, [])
        if theirs in {None, whom}:
            await do_create_task(session, new, entry.at, entry.people)
            continue
        first = await do_create_task(session, new, entry.at, entry.people)
        beside = replace(
            new,
            assignee_id=theirs,
            why=reason("stage_task.why_joint", *because, stage=entry.stage.name, who=entry.people.name(whom)),
            part_of_id=first.id,
            about=f"{ABOUT_JOINT}{first.id}",
            stage_move_id=None,  # unique together with the automatic task: the responsible's has it
        )
        await do_create_task(session, beside, entry.at, entry.people)


async def _cancel_left(session: AsyncSession, entry: StageEntry) -> None:
    assert entry.left is not None
    found = await session.exec(
        select(Task)
        .join(StageTask, col(StageTask.id) == col(Task.stage_task_id))
        .where(Task.deal_id == entry.deal.id, Task.status == TaskStatus.OPEN.value, ~col(StageTask.keep))
        .order_by(col(Task.id))
    )
    for task in found.all():
        why = reason("stage_task.left", stage=entry.left.name)
        await do_close_task(session, task, entry.at, entry.people, result=why, actor=None, cancelled=True)


def _whom(whom: str, entry: StageEntry, calendars: Calendars) -> tuple[int | None, list[Reason]]:
    """The id of the assignee, and the reason if a deputy stands in."""
    people, responsible = entry.people, entry.deal.responsible_id
    wanted = responsible
    if whom == MANAGER:
        wanted = manager.id if (manager := people.manager_of(responsible)) is not None else None
    elif whom.startswith(ROLE):
        present = {user_id for user_id in people.users if calendars.acting(user_id, entry.at) == user_id}
        found = of_role(people, whom.removeprefix(ROLE), responsible, present)
        wanted = found.id if found is not None else responsible
    elif (user := people.active(_id_of(named(whom, people)))) is not None:
        wanted = user.id
    if wanted is None:
        return None, []
    acting = calendars.acting(wanted, entry.at)
    if acting is None or acting == wanted:
        return wanted, []
    return acting, [reason("stage_task.deputy", who=people.name(wanted), deputy=people.name(acting))]


def _id_of(user: User | None) -> int | None:
    return user.id if user is not None else None


async def stage_split(session: AsyncSession, stage: Stage, part: Stage, viewer: Viewer, at: datetime) -> None:
    """Handler of ``stage_split``: both parts have the automatic tasks."""
    rows = await session.exec(select(StageTask).where(StageTask.stage_id == stage.id, col(StageTask.active)))
    titles = []
    for row in rows.all():
        session.add(StageTask(**row.model_dump(exclude={"id", "version"}) | {"stage_id": part.id}))
        titles.append(row.title)
    if titles:
        record(session, at, "stage.tasks", "stage", part.id, actor=viewer, titles=titles)
