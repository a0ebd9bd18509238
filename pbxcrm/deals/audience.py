"""Who hears that a deal was made, changed or moved, and that a saved view changed."""

from pbxcrm.access.owners import Audience, People, heard_by
from pbxcrm.deals.models import Deal, DealView
from pbxcrm.people.directory import Directory


def audience_of_deal(deal: Deal, people: People) -> Audience:
    """Who is notified of a change of the deal: everybody who sees it."""
    return heard_by(people, deal.responsible_id)


def audience_of_view(view: DealView, people: Directory) -> Audience:
    """Who is notified of a change of a saved view: its owner, or the team whose view it is."""
    users = {view.owner_id} if view.team_id is None else people.of_team(view.team_id)
    return Audience(frozenset(users), ())
