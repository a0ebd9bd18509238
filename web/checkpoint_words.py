"""A checkpoint in words: what is watched, and which step follows after how much time."""

from collections.abc import Callable, Sequence

from pbxcrm.checkpoints.addressee_rules import JOINT, MANAGER, RESPONSIBLE, ROLE
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, StepKind, TriggerKind
from pbxcrm.people.directory import Directory
from web import words
from web.checkpoint_form import DATES, ROLES
from web.i18n import N_
from web.i18n import gettext as _

_WHOM: dict[str, str] = {
    RESPONSIBLE: N_("whoever is responsible"),
    MANAGER: N_("their manager"),
    JOINT: N_("both, as a joint task"),
}


def sayer(people: Directory, norm: int | None) -> Callable[[Checkpoint, Sequence[CheckpointStep]], list[str]]:
    """A function for templates that returns the sentences of a checkpoint; ``norm`` is the norm of its stage."""

    def say(row: Checkpoint, steps: Sequence[CheckpointStep]) -> list[str]:
        return [_step(row, step, people, norm) for step in steps]

    return say


def _step(row: Checkpoint, step: CheckpointStep, people: Directory, norm: int | None) -> str:
    what = _("a task") if step.what == StepKind.TASK else _("a control task")
    text = f"{_when(row, step, norm)} → {_whom(step.whom, people)}: {what}"
    return f"{text} “{step.text}”" if step.text else text


def _when(row: Checkpoint, step: CheckpointStep, norm: int | None) -> str:
    minutes = step.after_minutes
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


def _whom(whom: str, people: Directory) -> str:
    if whom in _WHOM:
        return _(_WHOM[whom])
    if whom.startswith(ROLE):
        return _(ROLES.get(whom.removeprefix(ROLE), whom))
    login = whom.partition(":")[2]
    found = next((user for user in people.users.values() if user.login == login), None)
    if found is None:
        return login
    return found.name if found.is_active else _("{name} (has left)").format(name=found.name)
