"""What a deal must have before it enters a stage: pure rules that only ``gate_queries.check_may_enter`` applies.

A rule compares the stage with the facts of the deal and names what is missing. ``GateRefused`` lists everything that is missing,
so that one form can ask for all of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pbxcrm.deals.fields import name_of_field
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.deals.rules import is_closing
from pbxcrm.shared.errors import Incomplete, Missing
from pbxcrm.shared.reasons import MESSAGES, Reason, reason


class Need(StrEnum):
    """What a gate may require. The English message is the reason ``gate.<need>``."""

    FIELD = "field"
    FILE = "file"
    LOST_REASON = "lost_reason"
    SECOND_DEAL = "second_deal"
    NEXT_TASK = "next_task"


@dataclass(frozen=True, slots=True)
class GateFacts:
    """The facts about a deal that the rules need, besides the new stage."""

    lost_reason: str = ""
    owes_next_task: bool = False  # the last attempt to reach the client failed, and no task is planned
    has_next_task: bool = False  # the deal has an open task
    lacks_files: bool = False  # the deal has fewer files than the stage requires
    is_second: bool = (
        False  # it would be the client's second open deal in the pipeline, and nobody said that it is meant
    )
    empty_fields: frozenset[str] = frozenset()  # keys of fields that the stage requires and that are empty
    names: Mapping[str, str] = field(default_factory=dict)  # of custom fields, by key


class GateRefused(Incomplete):
    """The deal may not enter the stage; ``missing`` lists what the stage requires and the deal lacks."""

    def __init__(self, missing: list[Missing], names: Mapping[str, str]) -> None:
        super().__init__("deals.gate", missing)
        self.names = names

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What is missing, as reasons that an automatic change can store."""
        return tuple(
            reason(
                missing.code or f"gate.{missing.kind}", key=self.names.get(missing.key) or name_of_field(missing.key)
            )
            for missing in self.missing
        )


def missing_for(to: Stage, facts: GateFacts) -> list[Missing]:
    """Everything that is missing before a deal may enter ``to``; empty when it may enter."""
    return [*_fields(to, facts), *(missing for rule in _RULES if (missing := rule(to, facts)) is not None)]


def check_gate(to: Stage, facts: GateFacts) -> None:
    """Raises GateRefused with everything that is missing."""
    if missing := missing_for(to, facts):
        raise GateRefused(missing, facts.names)


def _lost_reason(to: Stage, facts: GateFacts) -> Missing | None:
    asked = to.kind == StageKind.LOST or Requirements.load(to.requires).lost_reason
    return _missing(Need.LOST_REASON) if asked and not facts.lost_reason.strip() else None


def _next_task(to: Stage, facts: GateFacts) -> Missing | None:
    """C3: after a failed attempt a deal may not be closed before its next task is set. Some stages always require a task."""
    owed = facts.owes_next_task and is_closing(to)
    asked = Requirements.load(to.requires).next_task and not facts.has_next_task
    if owed:
        return _missing(Need.NEXT_TASK)
    return _missing(Need.NEXT_TASK, code="gate.stage_task") if asked else None


def _files(to: Stage, facts: GateFacts) -> Missing | None:
    return _missing(Need.FILE) if Requirements.load(to.requires).files and facts.lacks_files else None


def _second_deal(_to: Stage, facts: GateFacts) -> Missing | None:
    return _missing(Need.SECOND_DEAL) if facts.is_second else None


_RULES: tuple[Callable[[Stage, GateFacts], Missing | None], ...] = (
    _files,
    _lost_reason,
    _next_task,
    _second_deal,
)


def _fields(to: Stage, facts: GateFacts) -> list[Missing]:
    """The required fields that are empty, in the order of the stage's settings."""
    asked = Requirements.load(to.requires).fields
    return [_missing(Need.FIELD, key, name=facts.names.get(key, "")) for key in asked if key in facts.empty_fields]


def _missing(need: Need, key: str = "", *, code: str = "", name: str = "") -> Missing:
    code = code or f"gate.{need.value}"
    message = MESSAGES[code]
    assert isinstance(message, str)
    return Missing(need.value, key or need.value, message.format(key=name or name_of_field(key)), code)
