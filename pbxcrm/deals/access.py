"""Who sees and changes a deal: the responsible person and everybody who answers for them. And who sees and keeps a saved view."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_
from sqlalchemy import select as columns
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from pbxcrm.access.kept import kept
from pbxcrm.access.owners import People, answers_for, editing, owned, there_is
from pbxcrm.access.permissions import Permission, Viewer, can
from pbxcrm.access.seen_through import SeenThrough
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.number_owners import OwnedRow, WorkOnNumber
from pbxcrm.deals.models import Deal, DealPerson


@kept
def visible_deals(viewer: Viewer) -> ColumnElement[bool]:
    """Deals that the viewer may open: those of the people for whom the viewer answers, without merged ones."""
    return and_(col(Deal.merged_into_id).is_(None), owned(viewer, col(Deal.responsible_id)))


@kept
def editable_deals(viewer: Viewer) -> ColumnElement[bool]:
    """Deals that the viewer may change: the visible ones, except for quality control, which may change none."""
    return editing(viewer, visible_deals(viewer))


def sees_deal(viewer: Viewer, deal: Deal, people: People) -> bool:
    """The same rule as ``visible_deals``, for a loaded deal."""
    return deal.merged_into_id is None and answers_for(viewer, deal.responsible_id, people)


def edits_deal(viewer: Viewer, deal: Deal, people: People) -> bool:
    """The same rule as ``editable_deals``, for a loaded deal."""
    return can(viewer, Permission.DEALS_EDIT) and sees_deal(viewer, deal, people)


def _few(viewer: Viewer) -> tuple[Select[Any], ...]:
    return (select(Deal.id).where(visible_deals(viewer)),)


def _owners(deals: ColumnElement[bool]) -> Select[Any]:
    return select(Deal.responsible_id).where(deals)


#: The code of ``Deal.reason`` of a deal that somebody made with a client they could not change.
WITH_ANOTHERS_CLIENT = "owner.with_anothers_client"


def made_with_anothers_client(deal: type[Deal] = Deal) -> ColumnElement[bool]:
    """Deals by which their maker neither changes the client nor gets the client's calls."""
    return func.coalesce(col(deal.reason)["code"].as_string(), "") == WITH_ANOTHERS_CLIENT


def is_with_anothers_client(deal: Deal) -> bool:
    """The same as ``made_with_anothers_client``, for a loaded deal."""
    return bool((deal.reason or {}).get("code") == WITH_ANOTHERS_CLIENT)


def _edits_client(viewer: Viewer) -> ColumnElement[bool]:
    nobodys = col(Contact.responsible_id).is_(None)
    mine = (col(Deal.closed_at).is_(None), visible_deals(viewer), ~made_with_anothers_client())
    return and_(nobodys, there_is(Contact, col(Deal.contact_id) == col(Contact.id), *mine))


#: A client is seen by whoever has a deal with them; changed by it only where nobody is responsible for them and it is open.
CLIENT_OF_DEAL = SeenThrough(
    one=lambda viewer: there_is(Contact, col(Deal.contact_id) == col(Contact.id), visible_deals(viewer)),
    ids=lambda viewer: select(Deal.contact_id).where(visible_deals(viewer)),
    few=_few,
    owners=lambda contacts: _owners(col(Deal.contact_id).in_(contacts)),
    edits=_edits_client,
)


def _on_seen_deal(viewer: Viewer) -> ColumnElement[bool]:
    return and_(col(Deal.id) == col(DealPerson.deal_id), col(DealPerson.removed_at).is_(None), visible_deals(viewer))


#: Somebody who is on a deal besides its client is seen by whoever sees the deal. It lets nobody change them.
PERSON_OF_DEAL = SeenThrough(
    one=lambda viewer: there_is(Contact, col(DealPerson.contact_id) == col(Contact.id), _on_seen_deal(viewer)),
    ids=lambda viewer: select(DealPerson.contact_id).where(_on_seen_deal(viewer)),
    few=lambda _viewer: (),  # at most thirty of each deal, which are counted already
    owners=lambda contacts: select(Deal.responsible_id).where(
        col(DealPerson.contact_id).in_(contacts),
        col(DealPerson.deal_id) == col(Deal.id),
        col(DealPerson.removed_at).is_(None),
        col(Deal.merged_into_id).is_(None),
    ),
)


_Work = aliased(Deal, name="deal_at_work")


def number_since(deal: type[Deal] = Deal) -> ColumnElement[datetime]:
    """SQL expression: since when the deal has its number."""
    return func.coalesce(col(deal.number_since), col(deal.created_at))


def made_by_call(deal: type[Deal] = Deal) -> ColumnElement[bool]:
    """Deals that a call made and that were open ever since. One that was reopened later has its number like one made by hand."""
    return col(deal.made_by_call_id).is_not(None) & col(deal.number_since).is_(None)


def is_made_by_call(deal: Deal) -> bool:
    """The same as ``made_by_call``, for a loaded deal."""
    return deal.made_by_call_id is not None and deal.number_since is None


def _at_work(deal: type[Deal]) -> tuple[ColumnElement[bool], ...]:
    return col(deal.closed_at).is_(None), col(deal.responsible_id).is_not(None), ~made_with_anothers_client(deal)


def _others_deal_before(row: OwnedRow) -> ColumnElement[bool]:
    apart = [] if row.deal_id is None else [col(_Work.id).is_distinct_from(row.deal_id)]
    return exists().where(
        col(_Work.client_number) == row.number,
        *_at_work(_Work),
        number_since(_Work) <= row.since,
        col(_Work.responsible_id).is_distinct_from(row.owner_id),
        or_(col(_Work.contact_id).is_(None), col(_Work.contact_id).is_distinct_from(row.contact_id)),
        *apart,
    )


def _own_deals(viewer: Viewer, number: str) -> Select[Any]:
    return select(number_since()).where(Deal.client_number == number, *_at_work(Deal), editable_deals(viewer))


def _deals_of_numbers(numbers: Collection[str]) -> Any:  # a Select of three columns
    of_numbers = col(Deal.client_number).in_(numbers), *_at_work(Deal)
    return columns(col(Deal.client_number), number_since(), col(Deal.responsible_id)).where(*of_numbers)


#: An open deal with a responsible, made by a call or by hand.
DEAL_OF_NUMBER = WorkOnNumber(_others_deal_before, _own_deals, _deals_of_numbers)
