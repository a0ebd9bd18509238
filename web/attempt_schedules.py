"""Schedules of attempts as people type and read them."""

from collections.abc import Mapping
from typing import Any

from pbxcrm.deals.attempt_schedule import MOST_ATTEMPTS, MOST_MINUTES, AfterLast, AttemptSchedule
from pbxcrm.shared.errors import Invalid
from web.formats import working_span
from web.forms import Form
from web.i18n import N_
from web.i18n import gettext as _
from web.untrusted import whole_number

THENS: dict[str, str] = {
    AfterLast.MORNINGS.value: N_("it is tried again each working morning"),
    AfterLast.STAGE.value: N_("the deal moves to a stage"),
    AfterLast.MANAGER.value: N_("the manager decides"),
}


def minutes_of(form: Form, name: str) -> list[int]:
    """``"10, 120"`` as minutes; raises Invalid at ``name``."""
    pieces = form[name].replace(";", ",").replace(",", " ").split()
    found = [minutes for piece in pieces if (minutes := whole_number(piece, MOST_MINUTES)) is not None]
    if len(pieces) > MOST_ATTEMPTS or len(found) != len(pieces):
        raise Invalid(name, "options.schedule", "Write minutes with commas between them, for example 10, 120.")
    return found


def as_fields(stored: Mapping[str, Any]) -> dict[str, object]:
    """A stored schedule as the values of its fields."""
    found = AttemptSchedule.load(stored)
    return {
        "attempt_minutes": ", ".join(str(minutes) for minutes in found.minutes) if found else "",
        "attempts_then": (found.then if found else AfterLast.MORNINGS).value,
        "attempts_stage_id": found.stage_id if found else None,
    }


def schedule_typed(form: Form) -> AttemptSchedule | None:
    """The typed schedule; None if nothing was typed, so that the wider schedule applies. Raises Invalid at the field."""
    minutes, then = minutes_of(form, "attempt_minutes"), form["attempts_then"] or AfterLast.MORNINGS.value
    if not minutes and then == AfterLast.MORNINGS:
        return None
    if then not in THENS:
        raise Invalid("attempts_then", "attempts.then", "Choose what comes after the last attempt.")
    return AttemptSchedule(tuple(minutes), AfterLast(then), form.id("attempts_stage_id"))


def then_choices() -> list[tuple[str, str]]:
    """The options of a select: what follows the last attempt."""
    return [(name, _(text)) for name, text in THENS.items()]


def schedule_words(schedule: AttemptSchedule | None, stage: str) -> list[str]:
    """A schedule in sentences; empty without one. ``stage``: the name of its stage as it is shown."""
    if schedule is None:
        return []
    when = ", ".join(
        _("after {time}").format(time=working_span(minutes)) if minutes else _("on the next working morning")
        for minutes in schedule.minutes
    )
    said = _("A client who is not reached is called again in working time: {when};").format(when=when)
    then = {
        AfterLast.MORNINGS: _("then each working morning."),
        AfterLast.STAGE: _("then the deal moves to “{stage}”.").format(stage=stage),
        AfterLast.MANAGER: _("then the manager decides."),
    }
    return [f"{said} {then[schedule.then]}"]
