"""Who hears that a lamp was lit, rose or went out."""

from pbxcrm.access import SEES_EVERYTHING, Role
from pbxcrm.access.owners import Audience, People
from pbxcrm.checkpoints.models import Lamp


def audience_of_lamp(lamp: Lamp, people: People) -> Audience:
    """Who is notified: the owner, the addressee and the owner's managers; without an owner, every manager."""
    asked = {lamp.addressee_id} if lamp.addressee_id is not None else set()
    if lamp.owner_id is None:
        return Audience(frozenset(asked), (*SEES_EVERYTHING, Role.MANAGER))
    return Audience(frozenset({lamp.owner_id} | people.managing(lamp.owner_id) | asked))
