"""Who hears that a deal was made, changed or moved."""

from pbxcrm.access.owners import Audience, People, heard_by
from pbxcrm.deals.models import Deal


def audience_of_deal(deal: Deal, people: People) -> Audience:
    """Who is notified of a change of the deal: everybody who sees it."""
    return heard_by(people, deal.responsible_id)
