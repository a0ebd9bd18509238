"""How the log tells a change, and when a person may take it back."""

from collections.abc import Mapping
from typing import Any

from pbxcrm.access import Viewer
from pbxcrm.shared.errors import Conflict


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """``{field: {before, after}}`` of what differs: the ``changed`` of an entry. Both have the same fields, as the log keeps them."""
    return {name: {"before": before[name], "after": value} for name, value in after.items() if value != before[name]}


def check_may_take_back(viewer: Viewer, changed_by: int | None, *, is_still_so: bool) -> None:
    """Whoever made the latest change of a value takes it back, while the value is still what they made it. Raises Conflict.

    ``changed_by``: who made it; None: nobody has changed the value, or the product has. ``is_still_so``: the value is as that change left it.
    """
    if changed_by != viewer.user_id or not is_still_so:
        raise Conflict("fields.no_undo", "This field has been changed since: there is nothing of yours to undo.")
