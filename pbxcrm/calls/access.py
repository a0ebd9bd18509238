"""Which calls a viewer sees: those they own, took part in (a ringing phone counts), or that belong to a deal they see."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, or_, true, union
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.kept import kept
from pbxcrm.access.owners import (
    SEES_EVERYTHING,
    gathered,
    is_own,
    owned,
    teammates,
    there_is,
)
from pbxcrm.access.permissions import Permission, Role, Viewer, can
from pbxcrm.access.seen_through import SeenThrough, are_few
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.shared.core_sql import AmongIds


@kept
def visible_calls(viewer: Viewer, *, little: bool = False) -> ColumnElement[bool]:
    """SQL condition for calls the viewer sees. ``little`` (from ``sees_little``): collect their ids first, which is faster."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    if little:
        return col(Call.id).in_(_little(viewer))
    took_part = there_is(Call, col(CallLeg.call_id) == col(Call.id), _took_part_in_one(viewer))
    on_own_deal = there_is(Call, col(Deal.id) == col(Call.deal_id), visible_deals(viewer))
    return or_(owned(viewer, col(Call.responsible_id)), took_part, on_own_deal)


def audible_calls(viewer: Viewer) -> ColumnElement[bool]:
    """SQL condition for calls whose recording the viewer may hear: talked in it, owns it, its client or its deal, or manages these.

    More people see a call than may hear it: if a phone only rang, its user sees the call but may not hear it.
    """
    if viewer.role in SEES_EVERYTHING:
        return true()
    talked = there_is(
        Call, col(CallLeg.call_id) == col(Call.id), _took_part_in_one(viewer), col(CallLeg.answered_at).is_not(None)
    )
    on_own_deal = there_is(Call, col(Deal.id) == col(Call.deal_id), visible_deals(viewer))
    of_own_client = there_is(Call, col(Contact.id) == col(Call.contact_id), owned(viewer, col(Contact.responsible_id)))
    return or_(owned(viewer, col(Call.responsible_id)), talked, on_own_deal, of_own_client)


async def audible_of(session: AsyncSession, viewer: Viewer, call_ids: Iterable[int | None]) -> frozenset[int]:
    """The ids of the calls whose recording the viewer may hear."""
    ids = {call_id for call_id in call_ids if call_id is not None}
    if not ids or not can(viewer, Permission.RECORDINGS_LISTEN):
        return frozenset()
    found = await session.exec(select(Call.id).where(col(Call.id).in_(ids), audible_calls(viewer)))
    return frozenset(call_id for call_id in found.all() if call_id is not None)


async def may_hear(session: AsyncSession, viewer: Viewer, call_id: int) -> bool:
    """Whether what was said in the call is for the viewer to hear, whatever their permission for recordings."""
    return (await session.exec(select(Call.id).where(Call.id == call_id, audible_calls(viewer)))).first() is not None


def own_calls(viewer: Viewer) -> ColumnElement[bool]:
    """SQL condition for calls whose card the viewer may edit: their own phone takes or took part."""
    return there_is(Call, col(CallLeg.call_id) == col(Call.id), col(CallLeg.user_id) == viewer.user_id)


def _little(viewer: Viewer) -> CompoundSelect[Any]:
    return gathered(
        select(Call.id).where(owned(viewer, col(Call.responsible_id))),
        select(CallLeg.call_id).where(_took_part(viewer)),
        select(Call.id).where(col(Call.deal_id).in_(select(Deal.id).where(visible_deals(viewer)))),
    )


def _took_part(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.role is Role.MANAGER:
        return col(CallLeg.user_id).in_(teammates(viewer))
    return is_own(viewer, col(CallLeg.user_id))


def _took_part_in_one(viewer: Viewer) -> ColumnElement[bool]:
    """The same, for one call after the other: PostgreSQL would read the whole team for each of them."""
    if viewer.role is Role.MANAGER:
        return AmongIds(col(CallLeg.user_id), teammates(viewer))
    return _took_part(viewer)


async def sees_little(session: AsyncSession, viewer: Viewer) -> bool:
    """Whether the viewer sees so few calls that it is faster to collect their ids first."""
    if viewer.role in SEES_EVERYTHING:
        return False
    return await are_few(session, "calls", viewer, lambda: _few(viewer))


def _few(viewer: Viewer) -> tuple[Select[Any], ...]:
    return (
        select(CallLeg.id).where(_took_part(viewer)),
        select(Call.id).where(owned(viewer, col(Call.responsible_id))),
        select(Deal.id).where(visible_deals(viewer)),
    )


def _owners(contacts: Any) -> Select[Any]:  # whatever IN takes
    """The owners of the calls with these contacts: responsible users, users of legs, and owners of the calls' deals."""
    of_them = col(Call.contact_id).in_(contacts)
    calls = select(Call.id).where(of_them)
    phones = select(CallLeg.user_id).where(col(CallLeg.call_id).in_(calls), col(CallLeg.user_id).is_not(None))
    found = union(
        select(Call.responsible_id.label("owner_id")).where(of_them),  # type: ignore[union-attr]  # a column
        phones,
        select(Deal.responsible_id).where(col(Deal.id).in_(select(Call.deal_id).where(of_them))),
    ).subquery()
    return select(found.c.owner_id)


#: A viewer who sees a call with a client sees the client, but this alone does not let them edit the client.
CLIENT_OF_CALL = SeenThrough(
    one=lambda viewer: there_is(Contact, col(Call.contact_id) == col(Contact.id), visible_calls(viewer)),
    ids=lambda viewer: select(Call.contact_id).where(col(Call.id).in_(_little(viewer))),
    few=_few,
    owners=_owners,
)
