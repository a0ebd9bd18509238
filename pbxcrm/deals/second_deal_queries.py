"""Whether a client has an open deal in a pipeline already, asked wherever a deal becomes the second one there.

A client may have two: two projects at once. But nobody gets the second without knowing of the first. A deal becomes a second one where it is
created, where it is moved into a pipeline or opened again, and where it gets its client. Each of these places takes ``Meant``.
"""

from typing import TypeAlias

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.merge_queries import OtherDeals, open_of_same_clients, other_open_deals
from pbxcrm.deals.merge_rules import Wanted
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import lock_all
from pbxcrm.shared.errors import Invalid

#: Is a second open deal of the client meant? True: yes. False: no, it is refused. None: nobody can be asked, so it is done, and
#: whoever is responsible for the deal gets a task that says so.
Meant: TypeAlias = bool | None

#: The code of the error for a client who has an open deal in the pipeline.
SECOND_DEAL = "deals.second_open"


async def open_there(
    session: AsyncSession,
    viewer: Viewer,
    pipeline_id: int,
    contact_id: int | None,
    number: str | None,
    *,
    deal_id: int | None = None,
) -> OtherDeals:
    """The open deals in this pipeline of the client, or of the number where no client is known, besides ``deal_id``.

    Of a number alone only deals that the viewer may change are told: whose the others are is told before (``known_numbers``).
    """
    asked = Wanted(contact_id, number, deal_id)
    found = await other_open_deals(session, viewer, asked, pipeline_id=pipeline_id)
    return found if contact_id is not None else OtherDeals(found.rows, [])


async def check_first_deal(
    session: AsyncSession,
    viewer: Viewer,
    pipeline_id: int,
    contact_id: int | None,
    number: str | None,
    *,
    deal_id: int | None = None,
) -> None:
    """Raises Invalid with ``SECOND_DEAL``, naming the deal or its owner. Of two requests at once the second waits and is told."""
    if not await _lock(session, pipeline_id, contact_id, number):
        return
    found = await open_there(session, viewer, pipeline_id, contact_id, number, deal_id=deal_id)
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


async def others_there(session: AsyncSession, deal: Deal | Wanted, pipeline_id: int) -> list[Deal]:
    """The other open deals of the client of ``deal`` in this pipeline. Of two that become open at once the second finds the first."""
    if not await _lock(session, pipeline_id, deal.contact_id, deal.client_number):
        return []
    await session.flush()
    return (await open_of_same_clients(session, [deal], pipeline_id=pipeline_id))[deal.id or 0]


async def _lock(session: AsyncSession, pipeline_id: int, contact_id: int | None, number: str | None) -> bool:
    """Wait for whoever makes a deal of this client there. False where neither client nor number is known."""
    keys = [f"contact:{contact_id}"] if contact_id is not None else [f"number:{number}"] if number else []
    await lock_all(session, [f"first_deal:{pipeline_id}:{key}" for key in keys])
    return bool(keys)
