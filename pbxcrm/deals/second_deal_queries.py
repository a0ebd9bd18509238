"""Whether a client has an open deal in a pipeline already, asked before a person makes another one there.

A client may have two: two projects at once. But nobody makes the second without knowing of the first.
"""

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.merge_queries import OtherDeals, other_open_deals
from pbxcrm.deals.merge_rules import Wanted
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import lock_all
from pbxcrm.shared.errors import Invalid

#: The code of the error for a client who has an open deal in the pipeline.
SECOND_DEAL = "deals.second_open"


async def open_there(
    session: AsyncSession, viewer: Viewer, pipeline_id: int, contact_id: int | None, number: str | None
) -> OtherDeals:
    """The open deals in this pipeline of the client, or of the number where no client is known.

    Of a number alone only deals that the viewer may change are told: whose the others are is told before (``known_numbers``).
    """
    asked = Wanted(contact_id, number)
    found = await other_open_deals(session, viewer, asked, pipeline_id=pipeline_id)
    return found if contact_id is not None else OtherDeals(found.rows, [])


async def check_first_deal(
    session: AsyncSession, viewer: Viewer, pipeline_id: int, contact_id: int | None, number: str | None
) -> None:
    """Raises Invalid with ``SECOND_DEAL``, naming the deal or its owner. Of two requests at once the second waits and is told."""
    keys = [f"contact:{contact_id}"] if contact_id is not None else [f"number:{number}"] if number else []
    await lock_all(session, [f"first_deal:{pipeline_id}:{key}" for key in keys])
    found = await open_there(session, viewer, pipeline_id, contact_id, number) if keys else None
    if not found:
        return
    field = "contact_id" if contact_id is not None else "client_number"
    if found.rows:
        deal = found.rows[0].deal
        raise Invalid(
            field,
            SECOND_DEAL,
            "The client has an open deal in this pipeline already: “{title}” (deal {id}).",
            title=deal.title,
            id=deal.id or 0,
        )
    people = await load_directory(session)
    who = people.name(found.owners[0]) or "—"
    raise Invalid(field, SECOND_DEAL, "The client has an open deal in this pipeline already, of {who}.", who=who)
