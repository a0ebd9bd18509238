"""Pure decisions about deals."""

from decimal import Decimal

from pbxcrm.access import Viewer
from pbxcrm.audit.rules import check_may_take_back
from pbxcrm.deals.models import CLOSED_KINDS, Deal, Stage, StageKind
from pbxcrm.fields.rules import read_decimal
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import check_line

MAX_AMOUNT = Decimal("1e13")


def check_title(title: str) -> str:
    """The title in one line. Raises Invalid at ``title``."""
    return check_line(title, Deal.title, "title", "deals.title", "Write a title of up to {most} characters.")


def check_amount(text: str | Decimal | None, key: str = "amount") -> Decimal | None:
    """The amount from text as people type it (``12 400,50``); None for an empty text. Raises Invalid at ``key``."""
    if text is None or (isinstance(text, str) and not text.strip()):
        return None
    found = read_decimal(text) if isinstance(text, str) else text
    if found is None or not found.is_finite() or found < 0 or found > MAX_AMOUNT:
        raise Invalid(key, "deals.amount", "Write the amount as a number, for example 12400.50.")
    return found.quantize(Decimal("0.01"))


def check_may_take_back_responsible(
    viewer: Viewer, given_by: int | None, given_from: int | None, *, is_still_so: bool
) -> None:
    """As ``check_may_take_back``. A deal that was nobody's stays with whom it was given to: nobody takes a deal from all."""
    check_may_take_back(viewer, given_by, is_still_so=is_still_so and given_from is not None)


def is_closing(stage: Stage) -> bool:
    """Whether a deal in this stage is closed (won or lost)."""
    return stage.kind in CLOSED_KINDS


def check_enters(deal: Deal, to: Stage) -> None:
    """Raises Invalid when the stage is archived, and Conflict when the deal was merged into another."""
    if to.archived_at is not None:
        raise Invalid("stage_id", "deals.no_stage", "There is no such stage any more.")
    if deal.merged_into_id is not None:
        raise merged_meanwhile()


def merged_meanwhile() -> Conflict:
    """The error for a change of a deal that somebody has merged into another."""
    return Conflict("deal_merges.meanwhile", "This deal has been merged into another meanwhile. Look at that one.")


def owes_next_task(stage: Stage) -> bool:
    """Whether a deal in this stage must have a planned task: only in open stages. Unsorted deals are to be sorted, and in
    "didn't reach" the callback is the task.
    """
    return stage.kind == StageKind.OPEN
