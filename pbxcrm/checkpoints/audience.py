"""Who hears that a lamp was lit, rose or went out."""

from pbxcrm.access.owners import Audience, People, heard_by
from pbxcrm.checkpoints.models import Lamp


def audience_of_lamp(lamp: Lamp, people: People) -> Audience:
    """Who is notified: the addressee and everybody who answers for the owner; without an owner, every manager."""
    asked = {lamp.addressee_id} if lamp.addressee_id is not None else set()
    return heard_by(people, lamp.owner_id) | Audience(frozenset(asked))
