"""Who may do what, and whose rows they may see. Every path goes through here: page, fragment, API, export, live stream.

* ``permissions`` whether a kind of act is for a role at all; each route declares one permission.
* ``owners`` whose a row is, and who answers for them.
* ``<context>/access.py`` the rule for each kind of row: ``visible_…`` and ``editable_…`` (conditions for the WHERE clause, so that
  a row one may not see is never fetched), ``sees_…`` and ``edits_…`` (of a loaded row), ``audience_of_…`` (who hears of a change).
"""

from pbxcrm.access.owners import SEES_EVERYTHING, Audience, answers_for, decides_for, sees_others, teammates
from pbxcrm.access.permissions import GRANTS, Permission, Role, Viewer, can, check, may

__all__ = [
    "GRANTS",
    "SEES_EVERYTHING",
    "Audience",
    "Permission",
    "Role",
    "Viewer",
    "answers_for",
    "can",
    "check",
    "decides_for",
    "may",
    "sees_others",
    "teammates",
]
