"""What happens when a deal is closed: a won one continues in the next pipeline; for a lost one a task asks why."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import record
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.deals.automatic_moves import do_move_by_itself
from pbxcrm.deals.creation_actions import DealDraft, do_create_by_itself
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.deals.hooks import DealFollowed, StageEntry, deal_followed
from pbxcrm.deals.lost import LOST_WITH_THE_WIN, stands_by_itself, went_with_the_win
from pbxcrm.deals.models import CLOSED_KINDS, Carried, Deal, Pipeline, StageKind
from pbxcrm.deals.queries import stage_of_kind
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.actions import TaskDraft, do_create_task
from pbxcrm.tasks.models import TaskKind


async def follow_closing(session: AsyncSession, entry: StageEntry) -> None:
    """Handler of ``stage_entered``: create or take back the following deal, or ask why the deal is lost, unless we took it back."""
    if entry.left is not None and entry.left.kind == StageKind.WON and entry.stage.kind != StageKind.WON:
        await _take_back(session, entry)
    if entry.stage.kind not in CLOSED_KINDS:
        return
    pipeline = await session.get(Pipeline, entry.stage.pipeline_id)
    if pipeline is None:
        return
    if entry.stage.kind == StageKind.WON and pipeline.next_pipeline_id is not None:
        await _go_on(session, entry, pipeline, pipeline.next_pipeline_id)
    if entry.stage.kind == StageKind.LOST and pipeline.asks_why_lost and not went_with_the_win(entry.deal):
        await _ask_why_lost(session, entry)


async def _go_on(session: AsyncSession, entry: StageEntry, pipeline: Pipeline, next_id: int) -> None:
    """Create a deal in the next pipeline, once per won deal, unless the client has an open deal there."""
    won = entry.deal
    if await _follower(session, won) is not None:
        return
    stage = await stage_of_kind(session, next_id, StageKind.OPEN)
    if stage is None:
        return
    open_there = await _open_of_client(session, won, next_id)
    if open_there is not None:
        why = reason("deal.follows_already", title=open_there.title)
        record(session, entry.at, "deal.not_followed", "deal", won.id, actor=None, reason=why, other=open_there.id)
        return
    carries = set(pipeline.carries)
    owner = entry.people.active(won.responsible_id) if Carried.RESPONSIBLE in carries else None
    has_client = Carried.CLIENT in carries
    new = DealDraft(
        title=won.title,
        stage=stage,
        responsible_id=owner.id if owner is not None else None,
        reason=reason("deal.follows", title=won.title),
        currency=won.currency,
        contact_id=won.contact_id if has_client else None,
        company_id=won.company_id if has_client else None,
        client_number=won.client_number if has_client else None,
        number_since=(won.number_since or won.created_at) if has_client else None,
        values={key: getattr(won, key) for key in BY_KEY if key in carries},
        follows_id=won.id,
    )
    made = await do_create_by_itself(session, new, entry.at, entry.people)
    if Carried.NOTES in carries:
        await deal_followed(session, DealFollowed(won, made, entry.at))


async def _ask_why_lost(session: AsyncSession, entry: StageEntry) -> None:
    lost, people = entry.deal, entry.people
    asked = people.active(lost.responsible_id) or people.manager_of(lost.responsible_id)
    calendars = await load_calendars(session, people)
    new = TaskDraft(
        kind=TaskKind.TODO,
        title=reason("task.why_lost", title=lost.title),
        why=reason("task.why_lost_why", reason=lost.lost_reason),
        due_at=calendars.of_user(asked.id if asked is not None else None).next_morning(entry.at),
        assignee_id=asked.id if asked is not None else None,
        deal_id=lost.id,
        contact_id=lost.contact_id,
        about=f"why_lost:{lost.id}",
    )
    await do_create_task(session, new, entry.at, people)


async def _take_back(session: AsyncSession, entry: StageEntry) -> None:
    """The deal is no longer won: move the deal that followed it to lost, if nobody has changed that one."""
    follower = await _follower(session, entry.deal)
    if follower is None or follower.version != 1 or follower.closed_at is not None:
        return
    lost = await stage_of_kind(session, follower.pipeline_id, StageKind.LOST)
    if lost is not None:
        why = reason("deal.win_taken_back")
        await do_move_by_itself(
            session, follower, lost, entry.at, people=entry.people, why=why, lost_reason=LOST_WITH_THE_WIN
        )


async def _follower(session: AsyncSession, won: Deal) -> Deal | None:
    """The deal that followed ``won`` and was not taken back; None without one."""
    found = await session.exec(
        select(Deal).where(Deal.follows_id == won.id, stands_by_itself()).order_by(col(Deal.id).desc())
    )
    return found.first()


async def _open_of_client(session: AsyncSession, won: Deal, pipeline_id: int) -> Deal | None:
    if won.contact_id is not None:
        of_client = col(Deal.contact_id) == won.contact_id
    elif won.client_number:
        of_client = col(Deal.client_number) == won.client_number
    else:
        return None
    found = await session.exec(
        select(Deal).where(of_client, Deal.pipeline_id == pipeline_id, col(Deal.closed_at).is_(None), Deal.id != won.id)
    )
    return found.first()
