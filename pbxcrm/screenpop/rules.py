"""Pure decisions of the screen pop: who gets a card, in which state, and what a person's phone does."""

from collections.abc import Collection
from enum import StrEnum

from pbxcrm.calls.facts import Direction, LegResult, Outcome
from pbxcrm.people.models import PopupMode


class CardState(StrEnum):
    """How a card of the dock looks, from the state of its call."""

    RINGING = "ringing"
    TALKING = "talking"
    AFTER = "after"  # the call is over for this person, its outcome is not recorded yet


def card_state(
    *, direction: str, outcome: str, leg_results: list[str], unfinished: bool, popup: str
) -> CardState | None:
    """The state of a person's card for one call; None for no card.

    ``leg_results`` are those of the person's own legs (a queue's retries make several); ``unfinished``: they have not given
    the outcome yet. A card appears only while their phone rings or talks, and goes away when a colleague answers.
    """
    if direction == Direction.INTERNAL or popup == PopupMode.OFF:
        return None
    is_open = outcome == Outcome.OPEN
    if is_open and LegResult.TALKING in leg_results:
        return CardState.TALKING
    rings = is_open and (
        LegResult.RINGING in leg_results or (direction == Direction.OUTBOUND and LegResult.DIALLED in leg_results)
    )
    if rings and (popup == PopupMode.RINGING or direction == Direction.OUTBOUND):
        return CardState.RINGING
    return CardState.AFTER if unfinished else None


class PhoneState(StrEnum):
    """The present state of a person's phones."""

    FREE = "free"
    RINGING = "ringing"
    CALLING = "calling"  # we ring somebody
    TALKING = "talking"


def phone_state(legs: Collection[tuple[str, str]]) -> PhoneState:
    """The state of a person's phones, from (call direction, leg result) of each of their live legs."""
    if any(result == LegResult.TALKING for _, result in legs):
        return PhoneState.TALKING
    if any(direction == Direction.OUTBOUND for direction, _ in legs):
        return PhoneState.CALLING
    return PhoneState.RINGING if any(result == LegResult.RINGING for _, result in legs) else PhoneState.FREE
