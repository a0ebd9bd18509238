"""A checkpoint in words: what is watched, and which step follows after how much time."""

from collections.abc import Callable, Mapping, Sequence

from pbxcrm.checkpoints.deal_facts import DATES
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, StepKind, TriggerKind
from pbxcrm.checkpoints.whom_queries import WhomFault
from pbxcrm.people.directory import Directory
from web import whom_words, words
from web.i18n import gettext as _


def sayer(
    people: Directory, norm: int | None, faults: Mapping[int | None, WhomFault]
) -> Callable[[Checkpoint, Sequence[CheckpointStep]], list[tuple[str, str]]]:
    """A function for templates that returns the sentence and the fault of each step of a checkpoint; ``norm`` is that of its stage."""

    def say(row: Checkpoint, steps: Sequence[CheckpointStep]) -> list[tuple[str, str]]:
        return [(_step(row, step, people, norm), said_fault(faults.get(step.id))) for step in steps]

    return say


def said_fault(fault: WhomFault | None) -> str:
    """Why a stored step cannot ask whom it names, and what happens until it is changed; empty without a fault."""
    if fault is None:
        return ""
    instead = _("Until then the manager of whoever is responsible is asked.")
    return f"{_(fault.text).format(**fault.params)} {instead}"


def _step(row: Checkpoint, step: CheckpointStep, people: Directory, norm: int | None) -> str:
    what = _("a task") if step.what == StepKind.TASK else _("a control task")
    text = f"{_when(row, step, norm)} → {whom_words.said(step.whom, people)}: {what}"
    return f"{text} “{step.text}”" if step.text else text


def _when(row: Checkpoint, step: CheckpointStep, norm: int | None) -> str:
    minutes = step.after_minutes
    if step.position and not minutes:
        return _("together with the step before")
    if step.position:
        return _("{time} after the step before").format(time=words.norm(minutes or 0))
    if row.trigger == TriggerKind.SILENCE:
        return _("after {time} without a conversation").format(time=words.norm(minutes or 0))
    if row.trigger == TriggerKind.DATE:
        date, offset = _(DATES.get(row.field, row.field)), row.offset_minutes + (minutes or 0)
        if not offset:
            return date
        said = _("{time} before: {date}") if offset < 0 else _("{time} after: {date}")
        return said.format(time=words.norm(abs(offset)), date=date)
    if minutes is None and norm is None:
        return _("after the norm of the stage, which has none yet")
    if minutes is None:
        return _("after the norm, {time}").format(time=words.norm(norm or 0))
    return _("after {time}").format(time=words.norm(minutes))
