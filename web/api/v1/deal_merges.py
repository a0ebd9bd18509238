"""Merging two open deals of one client, and undoing it."""

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.contacts.hooks import Left
from pbxcrm.deals.merge_actions import merge_deals
from pbxcrm.deals.merge_queries import access_deal_merge, both_of, changed_since, other_open_deals
from pbxcrm.deals.models import DealMerge
from pbxcrm.deals.queries import access_deal
from pbxcrm.deals.unmerge_actions import undo_deal_merge
from pbxcrm.people.directory import load_directory
from pbxcrm.people.queries import logins_of
from pbxcrm.shared.relinking import SeenVersions
from web.api.deal_fields import chosen_values, with_choices
from web.api.fields import ApiAnswer, ApiRequest, Id, Moment, Version
from web.api.resource import Ask, Resource
from web.api.v1.deals import DealOut, deals_out
from web.api.v1.merges import LeftOut

deal_merges = Resource("deal-merges", "Merging two open deals of one client, and undoing a merge.")


@with_choices
class NewDealMerge(ApiRequest):
    """A field that is left out keeps the survivor's value, or takes the other's if the survivor has none."""

    into_deal_id: Id = Field(description="The id of the surviving deal.")
    version: Version | None = Field(
        None, description="The version of the merged deal that you saw; 409 for another one."
    )
    into_version: Version | None = Field(None, description="The version of the survivor that you saw.")


class DealMergeOut(ApiAnswer):
    """A merge of two deals, and what its undo leaves unchanged."""

    merge_id: int
    deal_id: int = Field(description="The id of the merged deal.")
    into_deal_id: int = Field(description="The id of the survivor.")
    by: str | None = Field(description="A login.")
    at: Moment
    undone_at: Moment | None
    undone_by: str | None = Field(description="A login.")
    left: list[LeftOut] = Field(description="What the undo left unchanged; before an undo, what it would leave.")


class OtherDealsOut(ApiAnswer):
    """The other open deals of the client of a deal."""

    deals: list[DealOut] = Field(description="Those that you may change, the last moved first; at most 20.")
    colleagues: list[str] = Field(description="The logins of people who have others.")


@deal_merges.get(
    "/deals/{deal_id}/others", needs=Permission.DEALS_READ, summary="The other open deals of the client of a deal"
)
async def read_others(ask: Ask, deal_id: int) -> OtherDealsOut:
    """In all pipelines. A client needs only one open deal in a pipeline: merge the newer into the older."""
    found = await other_open_deals(ask.session, ask.viewer, await access_deal(ask.session, ask.viewer, deal_id))
    people = await load_directory(ask.session)
    users = [people.users[owner] for owner in found.owners if owner is not None]
    return OtherDealsOut(deals=await deals_out(ask, found.rows), colleagues=[user.login for user in users])


@deal_merges.post(
    "/deals/{deal_id}/merge",
    needs=Permission.DEALS_EDIT,
    summary="Merge a deal into another open deal of the client",
    location=lambda merge: f"/deal-merges/{merge.merge_id}",
    conflicts=True,
)
async def add_deal_merge(ask: Ask, deal_id: int, body: NewDealMerge) -> DealMergeOut:
    """Calls, tasks, callbacks, notes, files and tags become the survivor's, and so do fields that it lacks. Both deals must be open, of
    one client, and yours to change. The merged deal counts neither as won nor as lost.
    """
    merge = await merge_deals(
        ask.session,
        ask.viewer,
        deal_id,
        body.into_deal_id,
        now=ask.now,
        chosen=chosen_values(body),
        seen=SeenVersions(body.version, body.into_version),
    )
    return await _merge(ask, merge)


@deal_merges.get("/deal-merges/{deal_merge_id}", needs=Permission.DEALS_READ, summary="One merge of deals")
async def read_deal_merge(ask: Ask, deal_merge_id: int) -> DealMergeOut:
    return await _merge(ask, await access_deal_merge(ask.session, ask.viewer, deal_merge_id))


@deal_merges.post(
    "/deal-merges/{deal_merge_id}/undo",
    needs=Permission.DEALS_EDIT,
    summary="Undo a merge of deals",
    status=200,
    conflicts=True,
)
async def undo(ask: Ask, deal_merge_id: int) -> DealMergeOut:
    """Values that were changed since stay and are named in `left`. Permitted to whoever merged, whose the merged deal was, and their managers."""
    return await _merge(ask, await undo_deal_merge(ask.session, ask.viewer, deal_merge_id, now=ask.now))


async def _merge(ask: Ask, merge: DealMerge) -> DealMergeOut:
    logins = await logins_of(ask.session, [merge.by_id, merge.undone_by_id])
    left = [Left.load(each) for each in merge.left]
    if merge.undone_at is None:
        left = await changed_since(ask.session, merge, (await both_of(ask.session, merge))[1])
    return DealMergeOut(
        merge_id=merge.id or 0,
        deal_id=merge.from_id,
        into_deal_id=merge.into_id,
        by=logins.get(merge.by_id),
        at=merge.at,
        undone_at=merge.undone_at,
        undone_by=logins.get(merge.undone_by_id),
        left=[LeftOut(why=each.why, what=each.what, ids=list(each.ids)) for each in left],
    )
