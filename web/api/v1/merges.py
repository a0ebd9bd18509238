"""Clients who may be one person, merging them, and undoing it."""

from typing import Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.contacts.duplicates import Pair, list_duplicates, say_not_same, take_back_not_same
from pbxcrm.contacts.hooks import Left, Why
from pbxcrm.contacts.likely_pairs import Alike
from pbxcrm.contacts.merge_actions import merge_contacts
from pbxcrm.contacts.merge_queries import access_merge, changed_since
from pbxcrm.contacts.models import Contact, Merge
from pbxcrm.contacts.unmerge_actions import undo_merge
from pbxcrm.people.queries import logins_of
from pbxcrm.shared.relinking import SeenVersions
from web.api import checked_cursors
from web.api.fields import ApiAnswer, ApiRequest, Id, ListQuery, Moment, Version
from web.api.resource import Ask, Page, Resource

merges = Resource("merges", "Duplicate clients: finding, merging, and undoing a merge.")

Which = Literal["this", "into"]
WhichOrBoth = Literal["this", "into", "both"]


class CommonValueOut(ApiAnswer):
    """A value that both have."""

    kind: Alike
    value: str = Field(description="The number, the address (of companies its domain), or the key of the name.")


class DuplicateOut(ApiAnswer):
    """Two clients who may be one person, the older first."""

    contact_id: int
    name: str
    other_id: int
    other_name: str
    same: list[CommonValueOut] = Field(description="What both have, the surest first.")


class NewMerge(ApiRequest):
    """A field that is left out keeps the survivor's value, or takes the other's if the survivor has none; both notes, if they fit."""

    into: Id = Field(description="The id of the surviving client.")
    take_name: Which | None = None
    take_company: Which | None = None
    take_responsible: Which | None = None
    take_birthday: Which | None = None
    take_language: Which | None = None
    take_note: WhichOrBoth | None = None
    version: Version | None = Field(
        None, description="The version of the merged client that you saw; 409 for another one."
    )
    into_version: Version | None = Field(None, description="The version of the survivor that you saw.")


class NotSameAs(ApiRequest):
    """The client who is not the same person as the one in the path."""

    other: Id


class LeftOut(ApiAnswer):
    """Something that an undo leaves unchanged."""

    why: Why
    what: str = Field(description="A field, a number, or the kind of the rows.")
    ids: list[int]


class MergeOut(ApiAnswer):
    """A merge of two clients, and what its undo leaves unchanged."""

    merge_id: int
    contact_id: int = Field(description="The id of the merged client.")
    into: int = Field(description="The id of the survivor.")
    by: str | None = Field(description="A login.")
    at: Moment
    undone_at: Moment | None
    undone_by: str | None = Field(description="A login.")
    left: list[LeftOut] = Field(description="What the undo left unchanged; before an undo, what it would leave.")


@merges.get(
    "/contacts/duplicates", needs=Permission.CONTACTS_READ, summary="Clients who may be one person, the surest first"
)
async def read_duplicates(ask: Ask, query: ListQuery) -> Page[DuplicateOut]:
    """Pairs among the clients you see. They share a number, an e-mail address, or a name (in Latin or Cyrillic letters)."""
    after = checked_cursors.read_pair(query.cursor)
    pairs, place = await list_duplicates(ask.session, ask.viewer, after=after, limit=query.limit)
    return Page[DuplicateOut](
        items=[_pair(pair) for pair in pairs], next=checked_cursors.next_of_pair(place) if place is not None else None
    )


@merges.post(
    "/contacts/{contact_id}/merge",
    needs=Permission.CONTACTS_EDIT,
    summary="Merge a client into another",
    location=lambda merge: f"/merges/{merge.merge_id}",
    conflicts=True,
)
async def add_merge(ask: Ask, contact_id: int, body: NewMerge) -> MergeOut:
    """Deals, tasks, calls, callbacks, notes, numbers and addresses become the survivor's. You must be allowed to change both. Where both have an open deal in one pipeline, both stay, and a task
    says so.
    """
    chosen = {
        "name": body.take_name,
        "company_id": body.take_company,
        "responsible_id": body.take_responsible,
        "birth_day": body.take_birthday,
        "language": body.take_language,
        "note": body.take_note,
    }
    merge = await merge_contacts(
        ask.session,
        ask.viewer,
        contact_id,
        body.into,
        now=ask.now,
        chosen={field: choice for field, choice in chosen.items() if choice is not None},
        seen=SeenVersions(body.version, body.into_version),
    )
    return await _merge(ask, merge)


@merges.get("/merges/{merge_id}", needs=Permission.CONTACTS_READ, summary="One merge")
async def read_merge(ask: Ask, merge_id: int) -> MergeOut:
    return await _merge(ask, await access_merge(ask.session, ask.viewer, merge_id))


@merges.post(
    "/merges/{merge_id}/undo",
    needs=Permission.CONTACTS_EDIT,
    summary="Undo a merge",
    status=200,
    conflicts=True,
)
async def undo(ask: Ask, merge_id: int) -> MergeOut:
    """Values that were changed since stay and are named in `left`. Permitted to the person who merged, and their managers."""
    return await _merge(ask, await undo_merge(ask.session, ask.viewer, merge_id, now=ask.now))


@merges.post(
    "/contacts/{contact_id}/not-same",
    needs=Permission.CONTACTS_EDIT,
    summary="Say that two clients are two people",
    status=204,
)
async def add_not_same(ask: Ask, contact_id: int, body: NotSameAs) -> None:
    """The pair is not suggested again."""
    await say_not_same(ask.session, ask.viewer, contact_id, body.other, now=ask.now)


@merges.delete(
    "/contacts/{contact_id}/not-same/{other_id}",
    needs=Permission.CONTACTS_EDIT,
    summary="Suggest the pair again",
)
async def remove_not_same(ask: Ask, contact_id: int, other_id: int) -> None:
    await take_back_not_same(ask.session, ask.viewer, contact_id, other_id, now=ask.now)


def _pair(pair: Pair) -> DuplicateOut:
    return DuplicateOut(
        contact_id=pair.low.contact.id or 0,
        name=pair.low.contact.name,
        other_id=pair.high.contact.id or 0,
        other_name=pair.high.contact.name,
        same=[CommonValueOut(kind=alike, value=value) for alike, value in pair.same],
    )


async def _merge(ask: Ask, merge: Merge) -> MergeOut:
    logins = await logins_of(ask.session, [merge.by_id, merge.undone_by_id])
    left = [Left.load(each) for each in merge.left]
    if merge.undone_at is None:
        left = await changed_since(ask.session, merge, await ask.session.get_one(Contact, merge.into_id))
    return MergeOut(
        merge_id=merge.id or 0,
        contact_id=merge.from_id,
        into=merge.into_id,
        by=logins.get(merge.by_id),
        at=merge.at,
        undone_at=merge.undone_at,
        undone_by=logins.get(merge.undone_by_id),
        left=[LeftOut(why=each.why, what=each.what, ids=list(each.ids)) for each in left],
    )
