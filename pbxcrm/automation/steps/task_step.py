"""``{"kind": "task", "title", "assignee", "due", "instruction", "checklist"}``."""

from datetime import UTC, datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.steps.step import (
    Around,
    Settings,
    Step,
    StepContext,
    StepTaken,
    TakingBack,
    check_text,
    check_whom,
    whom,
)
from pbxcrm.calendars.deadline_parser import LONGEST as LONGEST_DUE
from pbxcrm.calendars.deadline_parser import read_deadline
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import longest
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_close_task, do_create_task
from pbxcrm.tasks.checklist_rules import Item, check_items, item
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus

_SOME_DAY = datetime(2026, 11, 27, 10, tzinfo=UTC)  # a deadline is tried at a time when people work


class _TaskStep(Step):
    """A task, due in working time by the calendar of whoever gets it."""

    kind = "task"
    takes = ("title", "assignee", "due", "instruction", "checklist")
    needs_deal = False

    async def check(self, _session: AsyncSession, settings: Settings, at: str, around: Around) -> dict[str, Any]:
        due = check_text(settings, "due", at, LONGEST_DUE, needed=False) or "now"
        if read_deadline(due, _SOME_DAY, around.calendars.default) is None:
            raise Invalid(f"{at}.due", "automation.due", "Write until when: 2h, tomorrow 10:00, 3 working days.")
        checklist = settings.get("checklist") or []
        return {
            "title": check_text(settings, "title", at, longest(Task.title)),
            "assignee": check_whom(settings, "assignee", at, around.people),
            "due": due,
            "instruction": check_text(settings, "instruction", at, longest(Task.instruction), needed=False),
            "checklist": [dict(each) for each in check_items(_items(checklist, at))],
        }

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        assignee_id = whom(settings["assignee"], context.deal, context.around.people)
        working = context.around.calendars.of_user(assignee_id)
        new = TaskDraft(
            kind=TaskKind.TODO,
            title=reason("stage_task.title", title=settings["title"]),
            why=context.why,
            due_at=read_deadline(settings["due"], context.now, working) or context.now,
            assignee_id=assignee_id,
            deal_id=context.deal.id if context.deal is not None else None,
            contact_id=context.contact_id,
            instruction=settings["instruction"],
            checklist=tuple(settings["checklist"]),
        )
        task = await do_create_task(context.session, new, context.now, context.around.people)
        return StepTaken(_said(settings), undo={"task": task.id, "version": task.version})

    async def would(self, _context: StepContext, settings: Settings) -> Reason:
        return _said(settings)

    async def undo(self, undoing: TakingBack, kept: Settings) -> Reason | None:
        if await undoing.session.get(Task, kept["task"]) is None:
            return None
        task = await lock_row(undoing.session, Task, kept["task"])
        if task.status != TaskStatus.OPEN or task.version != kept["version"]:
            return reason("automation.kept_changed")
        result = reason("automation.undone")
        await do_close_task(
            undoing.session, task, undoing.now, undoing.people, result=result, actor=undoing.viewer, cancelled=True
        )
        return None


def _said(settings: Settings) -> Reason:
    return reason("automation.task", title=settings["title"])


def _items(entered: Any, at: str) -> list[Item]:
    if not isinstance(entered, list) or not all(isinstance(each, dict | str) for each in entered):
        raise Invalid(f"{at}.checklist", "automation.checklist", "Write the items of the checklist as a list.")
    said = [{"text": each} if isinstance(each, str) else each for each in entered]
    return [item(str(each.get("text", "")), required=bool(each.get("required"))) for each in said]


TASK = _TaskStep()
