"""Who may do what, and whose rows they see. Every path uses it: page, fragment, API, export, live stream.

* ``permissions``: which actions a role may do; each route declares one permission.
* ``owners``: who owns a row, and who answers for the owner.
* ``seen_through``: how rows are visible through rows of other contexts.
* ``<context>/access.py``: the rules for each kind of row: ``visible_…`` and ``editable_…`` (SQL conditions, so that a row the
  viewer may not see is never fetched), ``sees_…`` and ``edits_…`` (for a loaded row).
* ``<context>/audience.py``: who is notified of a change: ``audience_of_…``.
"""

from pbxcrm.access.owners import SEES_EVERYTHING, Audience, answers_for, decides_for, sees_others, sees_team, teammates
from pbxcrm.access.permissions import GRANTS, LEADING, Permission, Role, Viewer, can, check, leads, may

__all__ = [
    "GRANTS",
    "LEADING",
    "SEES_EVERYTHING",
    "Audience",
    "Permission",
    "Role",
    "Viewer",
    "answers_for",
    "can",
    "check",
    "decides_for",
    "leads",
    "may",
    "sees_others",
    "sees_team",
    "teammates",
]
