"""Firings of rules in the reader's language: what was heard, what the conditions saw, how it ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pbxcrm.automation.explanations import SeenTest
from pbxcrm.automation.models import RuleRun, RunStatus
from pbxcrm.automation.triggers import OWN_ACTS
from pbxcrm.people.models import User
from web.audit_words import ACTIONS
from web.i18n import N_
from web.i18n import gettext as _
from web.reason_params import date_in_words
from web.rule_codes import code_said
from web.rule_sentences import OPS

STATUSES: dict[str, str] = {
    RunStatus.DONE.value: N_("done"),
    RunStatus.HELD.value: N_("held back"),
    RunStatus.SKIPPED.value: N_("skipped"),
    RunStatus.FAILED.value: N_("failed"),
    RunStatus.WAITING.value: N_("waiting"),
    RunStatus.UNKNOWN.value: N_("not known"),
    RunStatus.WATCH.value: N_("only watched"),
}


def status(run: RuleRun) -> str:
    """How the firing stands."""
    return _(STATUSES[run.status])


def heard(run: RuleRun, by: User | None) -> str:
    """What the rule heard, and whose act it was."""
    return act_said(run.act, by)


def act_said(act: str, by: User | None) -> str:
    """An act in words, and whose it was."""
    said = _(OWN_ACTS.get(act) or ACTIONS.get(act, act))
    return f"{said} · {by.name}" if by is not None else said


def seen(run: RuleRun) -> Sequence[SeenTest]:
    """The comparisons of its conditions with the values that they saw."""
    tests = [SeenTest.load(each) for each in run.seen]
    return [
        replace(each, op=_seen_op(each.op), saw=_seen(each, each.saw), value=_seen(each, each.value)) for each in tests
    ]


def _seen(test: SeenTest, value: str) -> str:
    word = code_said(test.title, value)
    return date_in_words(value) if word is None else word


def _seen_op(op: str) -> str:
    return _(OPS.get(op, op))


def filters(counts: Mapping[str, int], chosen: str, address: Callable[..., str]) -> list[tuple[str, str, bool, int]]:
    """The statuses of firings as chips, with their numbers; those that there are not only while they are chosen."""
    return [
        (_(word), address(state=code), code == chosen, counts.get(code, 0))
        for code, word in STATUSES.items()
        if counts.get(code) or code == chosen
    ]
