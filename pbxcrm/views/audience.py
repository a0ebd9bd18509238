"""Who hears that a saved view changed."""

from pbxcrm.access.owners import Audience
from pbxcrm.people.directory import Directory
from pbxcrm.views.models import SavedView


def audience_of_view(view: SavedView, people: Directory) -> Audience:
    """Who is notified of a change of a saved view: its owner, or the team whose view it is."""
    users = {view.owner_id} if view.team_id is None else people.of_team(view.team_id)
    return Audience(frozenset(users), ())
