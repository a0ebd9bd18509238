"""Who hears that a callback changed: everybody who sees it."""

from pbxcrm.access.owners import Audience, People
from pbxcrm.access.permissions import Role
from pbxcrm.callbacks.models import Episode
from pbxcrm.checkpoints.audience import audience_of_lamp
from pbxcrm.checkpoints.models import Lamp


def audience_of_episode(episode: Episode, people: People) -> Audience:
    """Who is notified: the owner's team, its managers and the claimant; without an owner, everybody.

    For the addressees of burning lamps see ``audience_of_asked``.
    """
    if episode.owner_id is None:
        return Audience(frozenset(), tuple(Role))
    claimed = {episode.claimed_by_id} if episode.claimed_by_id is not None else set()
    return Audience(frozenset(people.sharing_with(episode.owner_id) | claimed))


def audience_of_asked(lamp: Lamp, people: People) -> Audience:
    """Who sees a callback because of its burning ``lamp``."""
    if lamp.is_escalation:
        return audience_of_lamp(lamp, people)
    return Audience(frozenset({lamp.addressee_id} if lamp.addressee_id is not None else ()), ())
