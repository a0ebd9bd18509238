"""Who hears that a call rings, is answered or ends."""

from collections.abc import Collection

from pbxcrm.access.owners import Audience, People, heard_by


def audience_of_call(
    responsible_id: int | None, phones_of: Collection[int | None], deal_owner: tuple[int | None] | None, people: People
) -> Audience:
    """Who is notified of a call. ``phones_of``: user ids of its legs; ``deal_owner``: (user id,) if it belongs to a deal."""
    heard = heard_by(people, responsible_id, *phones_of)
    return heard | heard_by(people, *deal_owner) if deal_owner is not None else heard
