"""``{"kind": "task", "title", "assignee", "due", "instruction", "checklist"}``."""

from pbxcrm.automation.params import FORMULAS, WORDS_OF_WHOM, Param, ParamKind
from pbxcrm.automation.rule_formulas import checklist_by, moment_by, text_by
from pbxcrm.automation.steps.step import Repeats, Settings, Step, StepContext, StepTaken, TakingBack, whom
from pbxcrm.people.whom import RESPONSIBLE
from pbxcrm.shared.lengths import cut, longest
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import N_, Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_close_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus


class _TaskStep(Step):
    """A task, due in working time by the calendar of whoever gets it."""

    kind = "task"
    title = N_("Make a task")
    repeats = Repeats.TOGETHER
    params = (
        Param(
            "title",
            N_("Task"),
            ParamKind.LINE,
            required=True,
            most=longest(Task.title),
            has_formulas=True,
            hint=FORMULAS,
        ),
        Param("assignee", N_("For whom"), ParamKind.WHOM, choices=WORDS_OF_WHOM, default=RESPONSIBLE),
        Param(
            "due",
            N_("Until when"),
            ParamKind.DUE,
            default="now",
            hint=N_("2h, tomorrow 10:00, 3 working days, = addworkdays(event_at, -2)"),
        ),
        Param(
            "instruction",
            N_("What to do"),
            ParamKind.TEXT,
            most=longest(Task.instruction),
            default="",
            has_formulas=True,
        ),
        Param("checklist", N_("Checklist"), ParamKind.CHECKLIST, default=(), has_formulas=True),
    )
    needs_deal = False

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        assignee_id = whom(settings["assignee"], context.deal, context.around.people)
        working = context.around.calendars.of_user(assignee_id)
        title = cut(await text_by(context, settings["title"], "title"), Task.title)
        new = TaskDraft(
            kind=TaskKind.TODO,
            title=reason("stage_task.title", title=title),
            why=context.why,
            due_at=await moment_by(context, settings["due"], working, "due"),
            assignee_id=assignee_id,
            deal_id=context.deal.id if context.deal is not None else None,
            contact_id=context.contact_id,
            instruction=cut(await text_by(context, settings["instruction"], "instruction"), Task.instruction),
            checklist=tuple(await checklist_by(context, settings["checklist"], "checklist")),
        )
        task = await do_create_task(context.session, new, context.now, context.around.people)
        return StepTaken(reason("automation.task", title=title), undo={"task": task.id, "version": task.version})

    async def would(self, context: StepContext, settings: Settings) -> Reason:
        title = cut(await text_by(context, settings["title"], "title"), Task.title)
        await text_by(context, settings["instruction"], "instruction")
        await checklist_by(context, settings["checklist"], "checklist")
        assignee_id = whom(settings["assignee"], context.deal, context.around.people)
        await moment_by(context, settings["due"], context.around.calendars.of_user(assignee_id), "due")
        return reason("automation.task", title=title)

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


TASK = _TaskStep()
