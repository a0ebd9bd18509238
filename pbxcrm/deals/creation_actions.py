"""Creating deals: no other module does. A new deal enters its stage through the same gate as one that is moved there."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.contacts.queries import access_company, access_contact, only_contact_of_number
from pbxcrm.contacts.rules import check_number
from pbxcrm.deals.actions import do_fill_in, get_kept_stage, say_deal_changed
from pbxcrm.deals.colleagues_clients import do_say_with, owner_of_client
from pbxcrm.deals.fields import Value, apply_values
from pbxcrm.deals.gate_queries import check_may_enter
from pbxcrm.deals.gate_rules import GateRefused
from pbxcrm.deals.hooks import SecondDeal, StageEntry, stage_entered
from pbxcrm.deals.models import Deal, Stage, StageKind, StageMove
from pbxcrm.deals.queries import default_pipeline, stage_of_kind
from pbxcrm.deals.rules import check_title, is_closing
from pbxcrm.deals.second_deal_actions import do_say_second
from pbxcrm.deals.second_deal_queries import Meant, check_first_deal
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.rules import Entered
from pbxcrm.fields.value_actions import do_compute_values, do_set_values
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.queries import access_worker
from pbxcrm.shared.core_sql import add_rows
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_create_task
from pbxcrm.tasks.models import TaskKind

#: Adds to a new deal what its stage asks for, before the gate is asked: values, the next task.
Completing = Callable[[Deal], Awaitable[object]]
#: Stages where the deals of calls begin. A call always has its deal, so such a stage keeps a new deal that lacks something.
_OF_CALLS = (StageKind.UNSORTED, StageKind.DIDNT_REACH)


@dataclass(frozen=True, slots=True)
class Completed:
    """What the gate of its stage asked for, of a deal that a person creates. ``answers``: fields by key, as in ``move_deal``; ``plan`` creates
    the next task.
    """

    answers: Mapping[str, Entered] = field(default_factory=dict)
    plan: Completing | None = None
    lost_reason: str = ""


@dataclass(frozen=True, slots=True)
class DealDraft:
    """The values of a new deal. ``reason`` says why it was created and why this person is responsible."""

    title: str
    stage: Stage
    responsible_id: int | None
    reason: Reason
    currency: str
    contact_id: int | None = None
    company_id: int | None = None
    client_number: str | None = None
    number_since: datetime | None = None
    values: Mapping[str, Value] = field(default_factory=dict)  # other fields by key (deals/fields.py)
    made_by_call_id: int | None = None
    follows_id: int | None = None


async def do_create_deal(
    session: AsyncSession,
    new: DealDraft,
    at: datetime,
    *,
    actor: Viewer | None,
    people: Directory,
    completing: Completing | None = None,
    lost_reason: str = "",
) -> Deal:
    """Insert the deal with its first stage move, audit entry and hint. The caller must have checked access.

    Raises GateRefused with everything that the stage requires and the deal lacks after ``completing``; the transaction must then be
    rolled back. What the product creates by itself uses ``do_create_by_itself``, which is never refused.
    """
    deal = await _insert(session, _built(new, at, new.stage), at, actor, new.reason)
    if completing is not None:
        await completing(deal)
    await check_may_enter(session, deal, new.stage, lost_reason)
    await _enter(session, deal, new, new.stage, at, actor, people)
    return deal


async def do_create_by_itself(
    session: AsyncSession,
    new: DealDraft,
    at: datetime,
    people: Directory,
    completing: Completing | None = None,
    *,
    second: Meant = None,
) -> Deal:
    """Create a deal that nobody is asked about. ``completing`` fills in more of it before the gate is asked. ``second``: True where the
    client's open deals were looked for before.

    When the gate of its stage refuses it, it begins where its pipeline begins: in Unsorted, else in the first open stage. Then the
    responsible person gets a task that says what is missing.
    """
    stage, refused, deal = new.stage, None, _built(new, at, new.stage)
    if completing is not None:
        await completing(await _insert(session, deal, at, None, new.reason))
    try:
        await check_may_enter(session, deal, stage)
    except GateRefused as error:
        stage, refused = await _first_stage(session, new.stage), error
        deal.stage_id, deal.closed_at = stage.id or 0, at if is_closing(stage) else None
    if completing is None:
        await _insert(session, deal, at, None, new.reason)
    await _enter(session, deal, new, stage, at, None, people)
    if second is None:
        await do_say_second(session, SecondDeal(deal, at, people))
    if refused is not None:
        code = "gate.incomplete" if stage.id == new.stage.id else "gate.not_begun"
        asking = TaskDraft(
            kind=TaskKind.TODO,
            title=reason("task.gate_new", stage=new.stage.name),
            why=reason(code, *refused.reasons, stage=new.stage.name, first=stage.name),
            due_at=at,
            assignee_id=deal.responsible_id,
            deal_id=deal.id,
            contact_id=deal.contact_id,
            about=f"gate:{deal.id}",
        )
        await do_create_task(session, asking, at, people)
    return deal


async def _first_stage(session: AsyncSession, asked: Stage) -> Stage:
    """Where a deal begins that the gate of ``asked`` refused."""
    if asked.kind in _OF_CALLS:
        return asked
    for kind in (StageKind.UNSORTED, StageKind.OPEN):
        found = await stage_of_kind(session, asked.pipeline_id, kind)
        if found is not None:
            return found
    return asked


def _built(new: DealDraft, at: datetime, stage: Stage) -> Deal:
    deal = Deal(
        title=cut(new.title, Deal.title),
        pipeline_id=stage.pipeline_id,
        stage_id=stage.id or 0,
        responsible_id=new.responsible_id,
        contact_id=new.contact_id,
        company_id=new.company_id,
        client_number=new.client_number,
        number_since=new.number_since,
        currency=new.currency,
        made_by_call_id=new.made_by_call_id,
        follows_id=new.follows_id,
        created_at=at,
        stage_since=at,
        closed_at=at if is_closing(stage) else None,
        reason=new.reason.stored(),
    )
    apply_values(deal, new.values)
    return deal


async def _insert(session: AsyncSession, deal: Deal, at: datetime, actor: Viewer | None, why: Reason) -> Deal:
    await add_rows(session, deal)
    await do_compute_values(session, FieldEntity.DEAL, deal)
    record(session, at, "deal.created", "deal", deal.id, actor=actor, reason=why)
    return deal


async def _enter(
    session: AsyncSession,
    deal: Deal,
    new: DealDraft,
    stage: Stage,
    at: datetime,
    actor: Viewer | None,
    people: Directory,
) -> None:
    assert deal.id is not None
    assert deal.stage_id
    move = StageMove(
        deal_id=deal.id,
        to_stage_id=deal.stage_id,
        by_id=actor.user_id if actor else None,
        at=at,
        reason=new.reason.stored(),
    )
    await add_rows(session, move)
    say_deal_changed(session, deal, at, people)
    await stage_entered(session, StageEntry(deal, stage, move, None, at, actor, people))


async def create_deal(
    session: AsyncSession,
    viewer: Viewer,
    *,
    title: str,
    now: datetime,
    currency: str,
    region: str,
    values: Mapping[str, Value] = MappingProxyType({}),
    pipeline_id: int | None = None,
    stage_id: int | None = None,
    responsible_id: int | None = None,
    contact_id: int | None = None,
    company_id: int | None = None,
    client_number: str | None = None,
    custom: Mapping[str, Entered] = MappingProxyType({}),
    completed: Completed | None = None,
    for_nobody: bool = False,
    second: Meant = False,
) -> Deal:
    """Create a deal by hand, in the given stage or else the first open one. The viewer is responsible unless somebody is given;
    ``for_nobody``: nobody is yet, and the caller gives it by the rules of distribution in the same transaction.

    ``values`` are its fields besides the title, by key (``deals/fields.py``), ``custom`` its custom fields as entered. ``client_number`` is as typed in ``region``; calls from
    that number find the deal by it. ``completed`` is what the gate asked for. ``second``: beside an open deal of the
    client in the pipeline. Raises GateRefused, Invalid, NotFound, NotAllowed; Invalid with ``SECOND_DEAL`` at ``contact_id`` or ``client_number``.
    """
    check(viewer, Permission.DEALS_EDIT)
    title = check_title(title)
    typed = (client_number or "").strip()
    number = check_number(typed, region, "client_number") if typed else None
    stage = await stage_of_new(session, pipeline_id, stage_id)
    if contact_id is None and number is not None:
        contact_id = await only_contact_of_number(session, viewer, number)
    contact, anothers = None, None
    if contact_id is not None:
        contact = await access_contact(session, viewer, contact_id)
        contact_id, anothers = contact.id, await owner_of_client(session, viewer, contact)
        company_id = company_id if company_id is not None else contact.company_id
    if company_id is not None:
        company_id = (await access_company(session, viewer, company_id)).id
    wanted = None if for_nobody else responsible_id if responsible_id is not None else viewer.user_id
    owner = await access_worker(session, viewer, wanted, field="responsible_id") if wanted is not None else None
    if second is False:
        await check_first_deal(session, viewer, stage.pipeline_id, contact_id, number)
    people = await load_directory(session)
    why = reason("owner.by_hand", by=viewer.name, who=owner.name if owner is not None else "—")
    new = DealDraft(title, stage, wanted, why, currency, contact_id, company_id, number, values=values)

    completed = completed or Completed()

    async def complete(made: Deal) -> None:
        if changed := await do_set_values(session, viewer, FieldEntity.DEAL, made, custom, region=region):
            record(session, now, "deal.edited", "deal", made.id, actor=viewer, changed=changed)
        await do_fill_in(session, viewer, made, completed.answers, now, region, True)
        if completed.plan is not None:
            await completed.plan(made)

    deal = await do_create_deal(
        session, new, now, actor=viewer, people=people, completing=complete, lost_reason=completed.lost_reason
    )
    if contact is not None:
        await do_say_with(session, viewer, deal, contact, anothers, now, people)
    if second is None:
        await do_say_second(session, SecondDeal(deal, now, people))
    return deal


async def stage_of_new(session: AsyncSession, pipeline_id: int | None = None, stage_id: int | None = None) -> Stage:
    """The stage where a deal begins that a person creates: the given one, else the first open one. Raises Invalid, NotFound."""
    if stage_id is not None:
        stage = await get_kept_stage(session, stage_id)
        if stage is None or stage.archived_at is not None or is_closing(stage):
            raise Invalid("stage_id", "deals.no_stage", "There is no such stage any more.")
        if pipeline_id is not None and pipeline_id != stage.pipeline_id:
            raise Invalid("pipeline_id", "deals.other_pipeline", "The stage belongs to another pipeline.")
        return stage
    if pipeline_id is None:
        pipeline = await default_pipeline(session)
        if pipeline is None or pipeline.id is None:
            raise NotFound("deals.no_pipeline", "There is no pipeline yet. Ask an administrator.")
        pipeline_id = pipeline.id
    for kind in (StageKind.OPEN, StageKind.UNSORTED):
        found = await stage_of_kind(session, pipeline_id, kind)
        if found is not None:
            return found
    raise Invalid("pipeline_id", "deals.no_stage", "There is no such stage any more.")
