"""Pure decisions of a merge of two deals: which value each field gets, and whether they are of one client."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pbxcrm.deals.fields import BY_KEY, Value
from pbxcrm.deals.models import Deal
from pbxcrm.shared.errors import Invalid

#: The fields for which the user chooses a value, in the order of the page.
FIELDS = tuple(BY_KEY)
#: What the survivor takes only where it has none.
ADOPTED = ("contact_id", "company_id", "client_number", "follows_id", "made_by_call_id")
CUSTOM, TAGS = "fields", "tags"  # keys in ``DealMerge.parts``
THIS, INTO = "this", "into"


def default_choice(key: str, this: Deal, into: Deal) -> str:
    """The default: the survivor's value, or the other's if the survivor has none."""
    return THIS if not getattr(into, key) and getattr(this, key) else INTO


def choose(this: Deal, into: Deal, chosen: Mapping[str, str]) -> dict[str, list[Any]]:
    """The survivor's changes as JSON: ``{column: [before, after]}`` for those that change. Raises Invalid.

    An amount comes with its currency.
    """
    taken: dict[str, list[Any]] = {}
    for key in FIELDS:
        choice = chosen.get(key) or default_choice(key, this, into)
        if choice not in {THIS, INTO}:
            raise Invalid(key, "merges.choice", "Choose one of the two.")
        mine, known = getattr(this, key), getattr(into, key)
        if choice == THIS and mine != known:
            taken[key] = [plain(known), plain(mine)]
            if key == "amount" and this.currency != into.currency:
                taken["currency"] = [into.currency, this.currency]
    for key in ADOPTED:
        mine, known = getattr(this, key), getattr(into, key)
        if known is None and mine is not None and mine != into.id:
            taken[key] = [None, mine]
    return taken


def plain(value: Any) -> Any:
    """A value of a deal's column as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def loaded(key: str, value: Any) -> Value | int:
    """The value that ``plain`` stored."""
    found: Value | int = BY_KEY[key].check(value) if key in BY_KEY and value is not None else value
    return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """A deal that is not made yet, or as it would be with another client (then with its ``id``), as far as it says whose it is."""

    contact_id: int | None
    client_number: str | None
    id: int | None = None


def is_same_client(this: Deal | Wanted, into: Deal | Wanted, numbers: Collection[str]) -> bool:
    """Whether both deals are of one client. ``numbers``: those of the client of the one that has a client, if only one has.

    Two deals with different clients are not, even if the clients share a number.
    """
    if this.contact_id is not None and into.contact_id is not None:
        return this.contact_id == into.contact_id
    if this.client_number is not None and this.client_number == into.client_number:
        return True
    without = this if this.contact_id is None else into
    return without.client_number is not None and without.client_number in numbers
