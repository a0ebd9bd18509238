"""Pure decisions of automation: what is heard, and what a guard says before a rule runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

DEEPEST = 8  # rules that caused each other
RATE_WINDOW = timedelta(hours=1)
#: A failed step is tried again after these seconds, then the run has failed.
RETRY_SECONDS = (5, 30, 120, 600, 3600)
LONGEST_ERROR = 300  # letters of an error that are told

#: Key in the data of an event (``audit.actions.UNHEARD``): no rule hears it, though timers are set anew.
DEAF = "unheard"

Link = Sequence[Any]  # [rule id, subject]: a rule that was a cause


@dataclass(frozen=True, slots=True)
class Hearing:
    """An act as triggers hear it: ``data`` is that of the audit record."""

    act: str
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a transaction does what it does: the first event, and the rules that followed from it, the latest last."""

    root_id: int
    chain: tuple[Link, ...]


class Guard(StrEnum):
    """Why a rule must not run, although its conditions hold."""

    LOOP = "loop"
    DEEP = "deep"


def guard(rule_id: int, subject: str, chain: Sequence[Link]) -> Guard | None:
    """A rule never runs twice on one subject in one chain, and a chain has a depth."""
    if any(link[0] == rule_id and link[1] == subject for link in chain):
        return Guard.LOOP
    return Guard.DEEP if len(chain) >= DEEPEST else None


def retry_at(tries: int, now: datetime) -> datetime | None:
    """When a step that has failed ``tries`` times (from 1) is tried again; None: no more."""
    return now + timedelta(seconds=RETRY_SECONDS[tries - 1]) if tries <= len(RETRY_SECONDS) else None
