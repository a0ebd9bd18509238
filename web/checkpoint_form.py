"""The form of a checkpoint, from typed fields to what the engine stores. Fields of a step come once per step, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pbxcrm.checkpoints.default_checkpoints import REACTION_MINUTES, TALKED_SECONDS
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, StepKind, TriggerKind, WorkKind
from pbxcrm.checkpoints.whom_queries import WhomFault
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.people.whom import MANAGER, RESPONSIBLE
from pbxcrm.shared.errors import Invalid
from web.forms import Form, filled
from web.i18n import N_
from web.i18n import gettext as _
from web.norms import as_typed, minutes_typed

STEP_FIELDS = ("step_after", "step_unit", "step_whom", "step_what", "step_text", "step_checklist")
BLANK_STEP = {"step_unit": "h", "step_whom": MANAGER, "step_what": StepKind.CONTROL.value}
TRIGGERS: dict[str, str] = {
    TriggerKind.STAGE.value: N_("How long a deal stays in the stage"),
    TriggerKind.DATE.value: N_("A date of the deal"),
    TriggerKind.SILENCE.value: N_("How long nobody has talked to the client"),
}
WORK: dict[str, str] = {
    WorkKind.STAGE_MOVED.value: N_("The deal moves to another stage"),
    WorkKind.TALKED.value: N_("A conversation with the client, on whatever deal or number of theirs"),
    WorkKind.NEXT_TASK.value: N_("A next task with a date"),
    WorkKind.FIELD_FILLED.value: N_("A field that is filled in"),
}
WHAT: dict[str, str] = {
    StepKind.TASK.value: N_("a task"),
    StepKind.CONTROL.value: N_("a control task"),
}
#: The engine's name of a wrong value -> the field of a step in the form.
PARTS = {part: f"step_{part}" for part in ("after", "whom", "what", "text", "checklist")}


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step as it is typed; ``number`` counts from 0."""

    number: int
    after: str
    unit: str
    whom: str
    what: str
    text: str
    checklist: str


def new_form(name: str, trigger: str) -> Form:
    """A new checkpoint with its two default steps: first a task for the responsible, then one for the manager."""
    form = filled(
        {
            "name": name,
            "trigger": trigger,
            "work": [WorkKind.STAGE_MOVED.value, WorkKind.TALKED.value, WorkKind.NEXT_TASK.value],
            "talked_seconds": TALKED_SECONDS,
            "is_active": True,
            "offset": "0",
            "offset_unit": "d",
            "offset_side": "after",
            "date_field": "next_task_at",
        }
    )
    amount, unit = as_typed(REACTION_MINUTES)
    form.lists |= {
        "step_after": ["", amount],
        "step_unit": ["h", unit],
        "step_whom": [RESPONSIBLE, MANAGER],
        "step_what": [StepKind.TASK.value, StepKind.CONTROL.value],
        "step_text": ["", ""],
        "step_checklist": ["", ""],
    }
    return form


def form_of(row: Checkpoint, steps: Sequence[CheckpointStep]) -> Form:
    """The form filled in from a stored checkpoint and its steps."""
    amount, unit = as_typed(abs(row.offset_minutes))
    form = filled(
        {
            "name": _(row.name),
            "trigger": row.trigger,
            "work": list(row.work),
            "talked_seconds": row.talked_seconds,
            "is_active": row.is_active,
            "offset": amount,
            "offset_unit": unit,
            "offset_side": "before" if row.offset_minutes < 0 else "after",
            "date_field": row.field if row.trigger == TriggerKind.DATE else "next_task_at",
            "filled_field": "" if row.trigger == TriggerKind.DATE else row.field,
            "version": row.version,
        }
    )
    typed = [as_typed(step.after_minutes) for step in steps]
    form.lists |= {
        "step_after": [amount for amount, _unit in typed],
        "step_unit": [unit for _amount, unit in typed],
        "step_whom": [step.whom for step in steps],
        "step_what": [step.what for step in steps],
        "step_text": [step.text for step in steps],
        "step_checklist": ["\n".join(step.checklist) for step in steps],
    }
    return form


def rows_of(form: Form) -> list[StepRow]:
    """The steps of the form, as typed."""
    count = len(form.all("step_after"))
    columns = [_column(form, name, count) for name in STEP_FIELDS]
    return [StepRow(number, *parts) for number, parts in enumerate(zip(*columns, strict=True))]


def _column(form: Form, name: str, count: int) -> list[str]:
    """The values of one field, one per step; empty for steps whose field is missing in the request."""
    return [*form.all(name), *([""] * count)][:count]


def alter_steps(form: Form, act: str) -> int:
    """Change the list of steps by ``act`` (``add``, ``remove:1``, ``up:1`` or ``down:1``). Returns the step to focus."""
    word, _colon, text = act.partition(":")
    rows = len(form.all("step_after"))
    if word == "add":
        for name in STEP_FIELDS:
            form.lists[name] = [*_column(form, name, rows), BLANK_STEP.get(name, "")]
        return rows
    at = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else rows
    to = {"up": at - 1, "down": at + 1}.get(word, at)
    if at >= rows or not 0 <= to < rows:
        return 0
    for name in STEP_FIELDS:
        column = _column(form, name, rows)
        value = column.pop(at)
        if word != "remove":
            column.insert(to, value)
        form.lists[name] = column
    return min(to, len(form.lists["step_after"]) - 1)


def change_of(form: Form, *, pipeline_id: int | None, stage_id: int | None) -> CheckpointChange:
    """The checkpoint that was typed. Raises Invalid at the field; a field of a step is named like ``step_whom_2``."""
    trigger, work = form["trigger"], form.all("work")
    is_date = trigger == TriggerKind.DATE
    talks = WorkKind.TALKED in work or trigger == TriggerKind.SILENCE
    offset = minutes_typed("offset", form["offset"], form["offset_unit"]) or 0 if is_date else 0
    return CheckpointChange(
        name=form["name"],
        trigger=trigger,
        steps=[_step(row) for row in rows_of(form)],
        work=[kind for kind in work if not (is_date and kind == WorkKind.FIELD_FILLED)],
        pipeline_id=pipeline_id,
        stage_id=stage_id,
        field=form["date_field"] if is_date else form["filled_field"] if WorkKind.FIELD_FILLED in work else "",
        offset_minutes=-offset if form["offset_side"] == "before" else offset,
        talked_seconds=form.number("talked_seconds") or 0 if talks else 0,
        is_active=form.ticked("is_active"),
        begin_now=form["begin"] == "now",
    )


def _step(row: StepRow) -> StepChange:
    after = minutes_typed(f"step_after_{row.number}", row.after, row.unit)
    return StepChange(after, row.whom, row.what, row.text, tuple(row.checklist.splitlines()))


def refuse(form: Form, error: Invalid) -> None:
    """Show an error of the engine at the field of the step that it names."""
    part, position = error.params.get("part"), error.params.get("position")
    if error.field == "steps" and part in PARTS:
        error.field = f"{PARTS[str(part)]}_{position}"
    elif error.field == "field":
        error.field = "filled_field"
    elif error.field == "stage_id":  # the place of the form, no field of it
        error.field = ""
    form.refuse(error)


def say_faults(form: Form, steps: Sequence[CheckpointStep], faults: Mapping[int | None, WhomFault]) -> None:
    """Add an error to each stored step that asks somebody who cannot do it."""
    for row, step in zip(rows_of(form), steps, strict=True):
        if (fault := faults.get(step.id)) is not None:
            form.errors.setdefault(f"step_whom_{row.number}", _(fault.text).format(**fault.params))


def whom_of(form: Form) -> set[str]:
    """Whom the steps of the form name."""
    return {row.whom for row in rows_of(form)}


def field_choices() -> list[tuple[str, str]]:
    """Options of a select: the fields that can count as work when they are filled in."""
    return [("", _("choose")), *((key, _(field.name)) for key, field in BY_KEY.items() if not field.required)]
