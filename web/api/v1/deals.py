"""Deals: the list, one deal, creating, changing and moving one."""

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.deals import actions
from pbxcrm.deals.bulk_jobs import MOST, Act, BulkAct, start_bulk
from pbxcrm.deals.creation_actions import Completed, create_deal
from pbxcrm.deals.fields import values_of
from pbxcrm.deals.filter_queries import filter_reader
from pbxcrm.deals.filter_rules import LONGEST_CONDITION
from pbxcrm.deals.models import Deal, StageKind, Tag
from pbxcrm.deals.queries import DealRow, access_deal, access_deal_row, as_rows, list_deals
from pbxcrm.deals.tag_actions import MOST_TAGS, set_tags
from pbxcrm.distribution.actions import distribute_new
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Invalid
from pbxcrm.tasks.models import Task
from web.api import checked_cursors
from web.api.custom_values import FilteredQuery, Values, ValuesOut, values_out
from web.api.deal_fields import Use, sent_values, with_deal_fields, with_shared_texts
from web.api.fields import (
    CURRENCY,
    NO_NUL,
    AmountText,
    ApiAnswer,
    ApiRequest,
    Id,
    IdText,
    Login,
    Moment,
    Number,
    OptionalWhy,
    Version,
    When,
    Word,
    needed_text,
    optional_text,
)
from web.api.people import user_id_of
from web.api.resource import Ask, Page, Resource
from web.api.v1.lamps import JobOut, job_out

deals = Resource("deals", "Deals: the cards on the board.")


@with_deal_fields(Use.ANSWER)
class DealOut(ApiAnswer):
    """A deal."""

    id: int
    pipeline: str
    pipeline_id: int
    stage: str
    stage_id: int
    stage_kind: StageKind
    responsible: str | None = Field(description="A login.")
    contact_id: int | None
    company_id: int | None
    client_number: str | None
    currency: str
    lost_reason: str
    created_at: Moment
    stage_since: Moment
    closed_at: Moment | None
    next_task_id: int | None
    lamp: Literal["none", "first", "second"]
    fields: ValuesOut
    tags: list[str]
    reason: str = Field(description="Why the deal exists and why it has this owner, in English.")
    version: int = Field(description="Grows with each change.")


@with_shared_texts
class DealQuery(FilteredQuery):
    """Which deals; all conditions must hold."""

    status: Literal["open", "won", "lost"] | None = None
    responsible: Word | None = Field(None, description="A login.")
    stage: Word | None = Field(None, description="A stage's name or id.")
    stage_kind: Literal["unsorted", "didnt_reach", "open", "won", "lost"] | None = None
    pipeline: Word | None = Field(None, description="A pipeline's name or id.")
    contact_id: IdText | None = None
    company_id: IdText | None = None
    client_number: Number | None = None
    since: When | None = Field(None, description="Deals made at this time or later.")
    until: When | None = Field(None, description="Deals made before this time.")
    team: Word | None = Field(None, description="The name or id of the team of the responsible.")
    amount_min: AmountText | None = None
    amount_max: AmountText | None = None
    entered_since: When | None = Field(None, description="Deals that entered their stage at this time or later.")
    entered_until: When | None = Field(None, description="Deals that entered their stage before this time.")
    lamp: Literal["any", "first", "second", "none"] | None = None
    where: str | None = Field(
        None,
        max_length=LONGEST_CONDITION,
        pattern=NO_NUL,
        description='A whole condition in JSON: `{"any": [{"field": "amount", "op": ">=", "value": "1000"}, …]}`.',
    )
    no_task: Literal["true"] | None = Field(None, description="Open deals without an open task.")
    tag: Word | None = None
    q: Word | None = Field(None, description="A part of a title or of a client's name, or digits of a number.")

    def pairs(self) -> list[tuple[str, str]]:
        """All filters as in an address."""
        own = self.model_dump(mode="json", exclude_none=True, exclude={"limit", "cursor"})
        return [*((name, str(value)) for name, value in own.items()), *self.further]

    @classmethod
    def takes(cls, name: str) -> bool:
        """Whether this may be a further filter: every term by its name (``amount.min``, ``next_task.max``, ``field.KEY``)."""
        return "." in name


SECOND = (
    "Beside an open deal of the client in the pipeline: true, it is meant; false, it is refused (422, deals.second_open or a `missing` "
    "second_deal); left out, it is done, and whoever is responsible gets a task that says so."
)


@with_deal_fields(Use.NEW)
class NewDeal(ApiRequest):
    """A new deal, in the first open stage of its pipeline unless a stage is given."""

    currency: str | None = Field(None, pattern=CURRENCY)
    pipeline_id: Id | None = Field(None, description="Default: the default pipeline.")
    stage_id: Id | None = Field(None, description="Default: the first open stage.")
    responsible: Login | None = Field(None, description="A login; default: the person of the token.")
    distribute: bool = Field(
        False,
        description="Give it by the rules of distribution; `responsible` is then left out. 422 if no rule speaks.",
    )
    contact_id: Id | None = None
    company_id: Id | None = None
    client_number: Number | None = None
    lost_reason: OptionalWhy = Field("", description="Only for a stage that requires it.")
    second: bool | None = Field(None, description=SECOND)
    fields: Values = Field(default_factory=dict)


@with_deal_fields(Use.CHANGE)
class DealChange(ApiRequest):
    """Changes. A field that is left out stays unchanged."""

    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")
    stage_id: Id | None = Field(None, description="Moves the deal.")
    lost_reason: OptionalWhy = Field("", description="Required for a lost stage.")
    responsible: Login | None = None
    contact_id: Id | None = Field(None, description="null removes the client.")
    second: bool | None = Field(None, description=SECOND)
    fields: Values = Field(default_factory=dict)
    tags: list[Annotated[str, needed_text(Tag.name)]] | None = Field(
        None, max_length=MOST_TAGS, description="The deal has exactly these afterwards."
    )


class BulkBody(ApiRequest):
    """One act on many deals. Each act needs its own fields: `stage_id` (and `lost_reason`) for `move`, `responsible` for `assign`,
    `tag`, `title` and `due_at` for `task`, `lost_reason` for `lose`; `distribute` gives them by the rules of distribution.
    """

    ids: list[Id] = Field(min_length=1, max_length=MOST)
    act: Act
    stage_id: Id | None = None
    responsible: Login | None = None
    tag: Annotated[str, optional_text(Tag.name)] = ""
    title: Annotated[str, optional_text(Task.title)] = ""
    due_at: When | None = None
    lost_reason: OptionalWhy = ""
    unheard: bool = Field(False, description="Rules of automation do not hear it, nor its undo.")


@deals.get("/deals", needs=Permission.DEALS_READ, summary="Deals, newest first")
async def read_deals(ask: Ask, query: DealQuery) -> Page[DealOut]:
    # A program has no time zone of its own: days are those of UTC, as all times of the API.
    reader = await filter_reader(ask.session, ask.viewer, AskedAt(ask.now, ZoneInfo("UTC")), ask.settings.region)
    asked = reader.read(query.pairs())
    before = checked_cursors.read_id(query.cursor)
    rows = await list_deals(ask.session, ask.viewer, *asked.conditions(), before=before, limit=query.limit + 1)
    return Page[DealOut].of(await deals_out(ask, rows), query.limit, lambda deal: checked_cursors.next_of_id(deal.id))


@deals.get("/deals/{deal_id}", needs=Permission.DEALS_READ, summary="One deal")
async def read_deal(ask: Ask, deal_id: int) -> DealOut:
    return (await deals_out(ask, [await access_deal_row(ask.session, ask.viewer, deal_id)]))[0]


@deals.post("/deals", needs=Permission.DEALS_EDIT, summary="Create a deal", location=lambda deal: f"/deals/{deal.id}")
async def add_deal(ask: Ask, body: NewDeal) -> DealOut:
    """Refused with `missing` (422) if the stage requires what the deal lacks. For a file or a next task create it in an earlier stage,
    add them, and then move it.
    """
    if body.distribute and body.responsible is not None:
        raise Invalid("distribute", "deals.two_ways", "Either name a person, or give it by the rules.")
    values = sent_values(body)
    deal = await create_deal(
        ask.session,
        ask.viewer,
        title=str(values.pop("title")),
        now=ask.now,
        currency=body.currency or ask.settings.currency,
        region=ask.settings.region,
        values=values,
        pipeline_id=body.pipeline_id,
        stage_id=body.stage_id,
        responsible_id=await user_id_of(ask.session, body.responsible, "responsible"),
        for_nobody=body.distribute,
        contact_id=body.contact_id,
        company_id=body.company_id,
        client_number=body.client_number,
        custom=body.fields,
        completed=Completed(lost_reason=body.lost_reason),
        second=body.second,
    )
    if body.distribute:
        await ask.session.flush()
        await distribute_new(ask.session, ask.viewer, deal, ask.now, field="distribute")
    return await _changed(ask, deal)


@deals.post(
    "/deals/bulk",
    needs=Permission.DEALS_EDIT,
    summary="Do something to many deals",
    location=lambda job: f"/jobs/{job.id}",
)
async def change_deals(ask: Ask, body: BulkBody) -> JobOut:
    """Answers a background job: `GET /jobs/{id}` shows its progress and which deals were refused and why, `POST /jobs/{id}/undo` takes
    it back. Access and gates hold for each deal.
    """
    user_id = await user_id_of(ask.session, body.responsible, "responsible")
    text = {Act.TAG: body.tag, Act.TASK: body.title}.get(body.act, body.lost_reason)
    asked = BulkAct(body.act, body.stage_id, user_id, text, body.due_at, body.unheard)
    job = await start_bulk(ask.session, ask.viewer, asked, [(deal_id, None) for deal_id in body.ids], ask.now)
    return job_out(job)


@deals.patch("/deals/{deal_id}", needs=Permission.DEALS_EDIT, summary="Change or move a deal")
async def change_deal(ask: Ask, deal_id: int, body: DealChange) -> DealOut:
    """Moving into a lost stage needs `lost_reason`. Either all changes are made, or none."""
    sent, version = body.model_fields_set, body.version
    values, deal = sent_values(body), None
    if values or body.fields or "contact_id" in sent:
        deal = await actions.edit_deal(
            ask.session,
            ask.viewer,
            deal_id,
            version=version,
            now=ask.now,
            values=values,
            contact_id=body.contact_id,
            keep_contact="contact_id" not in sent,
            custom=body.fields,
            region=ask.settings.region,
            second=body.second,
        )
        version = None  # the row is locked until the transaction ends
    if body.tags is not None:
        await set_tags(ask.session, ask.viewer, deal_id, body.tags, ask.now, version=version)
        deal = await access_deal(ask.session, ask.viewer, deal_id)
        version = None
    if body.stage_id is not None:  # after the fields, because the gate may require them
        deal = await actions.move_deal(
            ask.session,
            ask.viewer,
            deal_id,
            body.stage_id,
            version=version,
            now=ask.now,
            lost_reason=body.lost_reason,
            second=body.second,
        )
        version = None
    if body.responsible is not None or deal is None:  # last: whoever gives a deal away may no longer see it
        deal = await actions.edit_deal(
            ask.session,
            ask.viewer,
            deal_id,
            version=version,
            now=ask.now,
            responsible_id=await user_id_of(ask.session, body.responsible, "responsible"),
        )
    return await _changed(ask, deal)


async def _changed(ask: Ask, deal: Deal) -> DealOut:
    """The deal after a change, even if the viewer may no longer see it."""
    await ask.session.flush()
    return (await deals_out(ask, await as_rows(ask.session, [deal])))[0]


async def deals_out(ask: Ask, rows: list[DealRow]) -> list[DealOut]:
    """Deals as answers of the API."""
    customs = await values_out(ask, FieldEntity.DEAL, [row.deal.custom for row in rows])
    return [_out(row, custom) for row, custom in zip(rows, customs, strict=True)]


def _out(row: DealRow, custom: dict[str, Any]) -> DealOut:
    deal = row.deal
    return DealOut(
        id=deal.id or 0,
        pipeline=row.pipeline.name,
        pipeline_id=deal.pipeline_id,
        stage=row.stage.name,
        stage_id=deal.stage_id,
        stage_kind=StageKind(row.stage.kind),
        responsible=row.responsible.login if row.responsible else None,
        contact_id=deal.contact_id,
        company_id=deal.company_id,
        client_number=deal.client_number,
        currency=deal.currency,
        lost_reason=deal.lost_reason,
        created_at=deal.created_at,
        stage_since=deal.stage_since,
        closed_at=deal.closed_at,
        next_task_id=row.next_task.id if row.next_task else None,
        lamp=row.lamp,
        fields=custom,
        tags=list(row.tags),
        reason=reasons.text(deal.reason),
        version=deal.version,
        **values_of(deal),
    )
