"""What a deal must have before it enters a stage: pure rules, asked by ``actions.do_move_deal`` and by nobody else.

A rule looks at the stage and at what is known of the deal, and names what is missing. Whoever moves a deal gets all of it at
once (``GateRefused``), so that one form can ask for everything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.deals.rules import is_closing
from pbxcrm.deals.stage_rules import Requirements
from pbxcrm.shared.errors import Incomplete, Missing
from pbxcrm.shared.reasons import MESSAGES, Reason, reason


class Need(StrEnum):
    """What a gate may ask for. Its English sentence is the reason ``gate.<need>``."""

    FIELD = "field"
    FILE = "file"
    LOST_REASON = "lost_reason"
    NEXT_TASK = "next_task"


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What the rules know of a deal that is about to move, besides the stage it would enter."""

    lost_reason: str = ""
    owes_next_task: bool = False  # the last try to reach the client failed, and nothing is planned
    has_next_task: bool = False  # something with a date is to be done
    empty_fields: frozenset[str] = frozenset()  # keys of what the stage may require and the deal lacks


class GateRefused(Incomplete):
    """The deal stays where it is: ``missing`` says what the stage asks for."""

    def __init__(self, missing: list[Missing]) -> None:
        super().__init__("deals.gate", missing)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What is missing, for an automatic act to store."""
        return tuple(reason(f"gate.{missing.kind}", key=missing.key) for missing in self.missing)


def missing_for(to: Stage, facts: GateFacts) -> list[Missing]:
    """Everything that is missing before a deal may enter ``to``; empty when the way is free."""
    return [*_fields(to, facts), *(missing for rule in _RULES if (missing := rule(to, facts)) is not None)]


def check_gate(to: Stage, facts: GateFacts) -> None:
    """Raises GateRefused with everything that is missing."""
    if missing := missing_for(to, facts):
        raise GateRefused(missing)


def _lost_reason(to: Stage, facts: GateFacts) -> Missing | None:
    asked = to.kind == StageKind.LOST or Requirements.load(to.requires).lost_reason
    return _missing(Need.LOST_REASON) if asked and not facts.lost_reason.strip() else None


def _next_task(to: Stage, facts: GateFacts) -> Missing | None:
    """C3: after an attempt that failed, a deal is not closed before its next task is set; some stages ask for one anyway."""
    owed = facts.owes_next_task and is_closing(to)
    asked = Requirements.load(to.requires).next_task and not facts.has_next_task
    return _missing(Need.NEXT_TASK) if owed or asked else None


_RULES: tuple[Callable[[Stage, GateFacts], Missing | None], ...] = (_lost_reason, _next_task)


def _fields(to: Stage, facts: GateFacts) -> list[Missing]:
    """The required fields that are empty, in the order in which the stage names them."""
    return [_missing(Need.FIELD, key) for key in Requirements.load(to.requires).fields if key in facts.empty_fields]


def _missing(need: Need, key: str = "") -> Missing:
    message = MESSAGES[f"gate.{need.value}"]
    assert isinstance(message, str)
    return Missing(need.value, key or need.value, message)
