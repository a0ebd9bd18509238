"""One act on many deals, as a background job in batches.

Each deal goes through the same function as a single act, so access, versions and gates hold for each. A deal that is refused is
named with its reason, and the others are done. What was changed is kept in ``BulkChange`` for the undo, which is a job, too: it
restores what nobody has changed since.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import keep_unheard
from pbxcrm.deals import actions
from pbxcrm.deals.gate_rules import GateRefused
from pbxcrm.deals.models import BulkChange, Deal, Stage, StageKind
from pbxcrm.deals.queries import latest_move, stage_of_kind
from pbxcrm.deals.tag_actions import add_tag, check_tag, remove_tag
from pbxcrm.people.directory import load_directory
from pbxcrm.people.queries import access_worker, viewer_of
from pbxcrm.shared.background_jobs import BackgroundJob, Batch, JobState, begin_undo, can_undo, start
from pbxcrm.shared.errors import Conflict, Incomplete, Invalid, NotAllowed, PbxcrmError
from pbxcrm.shared.lengths import check_text
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.savepoints import savepoint
from pbxcrm.tasks.actions import create_task, do_close_task
from pbxcrm.tasks.models import Task, TaskStatus
from pbxcrm.tasks.rules import check_title

BULK = "deals.bulk"
MOST = 10_000  # deals of one act
BATCH = 40  # deals of one transaction, so that other writers do not wait long
AT_ONCE = 8  # so few are done, and taken back, while the person waits


class Act(StrEnum):
    """What is done to each of the deals."""

    MOVE = "move"
    ASSIGN = "assign"
    TAG = "tag"
    TASK = "task"
    LOSE = "lose"
    DISTRIBUTE = "distribute"  # by the rules of a context above (``register_distribution``)


@dataclass(frozen=True, slots=True)
class BulkAct:
    """An act with what it needs: ``stage_id`` for a move, ``user_id`` for an assignment, ``text`` for a tag, the title of a task or
    the reason why the deals are lost, ``due_at`` for a task. ``unheard``: rules of automation do not hear it, nor its undo.
    """

    act: Act
    stage_id: int | None = None
    user_id: int | None = None
    text: str = ""
    due_at: datetime | None = None
    unheard: bool = False

    def stored(self) -> dict[str, Any]:
        """The act as JSON, for ``load``."""
        return {**asdict(self), "act": self.act.value, "due_at": self.due_at.isoformat() if self.due_at else None}

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """Read the result of ``stored()``."""
        due_at = datetime.fromisoformat(stored["due_at"]) if stored["due_at"] else None
        return cls(
            Act(stored["act"]),
            stored["stage_id"],
            stored["user_id"],
            stored["text"],
            due_at,
            stored.get("unheard", False),
        )


#: A deal with the version that the person saw. None: whatever version it has.
Chosen = tuple[int, int | None]


async def start_bulk(
    session: AsyncSession, viewer: Viewer, asked: BulkAct, chosen: Sequence[Chosen], now: datetime
) -> BackgroundJob:
    """Do ``asked`` to the ``chosen`` deals: a few of them now, more as a background job.

    Raises NotAllowed, NotFound and Invalid if the act itself is impossible; a deal that refuses it is in ``refused`` of the job.
    """
    check(viewer, Permission.DEALS_EDIT)
    chosen = list(dict(chosen).items())
    if not chosen:
        raise Invalid("chosen", "deals.none_chosen", "Choose at least one deal.")
    if len(chosen) > MOST:
        raise Invalid("chosen", "deals.too_many", "At most {most} deals at once: narrow the filter.", most=MOST)
    asked = replace(await _checked(session, viewer, asked), unheard=asked.unheard)
    payload = {"act": asked.stored(), "chosen": chosen}
    job = await start(session, BULK, payload, now, total=len(chosen), owner_id=viewer.user_id)
    if len(chosen) <= AT_ONCE and await bulk_batch(session, job, now):
        job.state, job.finished_at = JobState.DONE.value, now
    return job


async def _checked(session: AsyncSession, viewer: Viewer, asked: BulkAct) -> BulkAct:
    """``asked`` with only what its act needs; also an id that it does not need must be one that the viewer may name."""
    stage = await session.get(Stage, asked.stage_id) if asked.stage_id is not None else None
    if (asked.stage_id is not None or asked.act is Act.MOVE) and (stage is None or stage.archived_at is not None):
        raise Invalid("stage_id", "deals.no_stage", "There is no such stage any more.")
    if asked.user_id is not None:
        await access_worker(session, viewer, asked.user_id, field="responsible_id")
    match asked.act:
        case Act.MOVE:
            return BulkAct(Act.MOVE, stage_id=asked.stage_id, text=asked.text)
        case Act.ASSIGN:
            if asked.user_id is None:
                raise Invalid("responsible_id", "deals.whom", "Choose a person.")
            return BulkAct(Act.ASSIGN, user_id=asked.user_id)
        case Act.TAG:
            return BulkAct(Act.TAG, text=check_tag(asked.text))
        case Act.TASK:
            if asked.due_at is None:
                raise Invalid("due_at", "tasks.due", "Say until when it is to be done.")
            return BulkAct(Act.TASK, text=check_title(asked.text), due_at=asked.due_at)
        case Act.LOSE:
            why = check_text(asked.text, Deal.lost_reason, "lost_reason", "deals.why_lost", "Say why they are lost.")
            return BulkAct(Act.LOSE, text=why)
        case Act.DISTRIBUTE:
            return BulkAct(Act.DISTRIBUTE)


async def bulk_batch(session: AsyncSession, job: BackgroundJob, now: datetime) -> bool:
    """Do the act to the next deals, as the person who started the job and with the rights that they have now."""
    viewer, asked = await _owner(session, job), BulkAct.load(job.payload["act"])
    keep_unheard(session, asked.unheard)
    chosen: list[Chosen] = job.payload["chosen"][job.done : job.done + BATCH]
    refused = []
    for deal_id, version in chosen:
        try:
            async with savepoint(session):
                before = await _DOING[asked.act](session, viewer, asked, deal_id, version, now)
                if before:
                    session.add(BulkChange(job_id=job.id or 0, deal_id=deal_id, before=before))
        except PbxcrmError as error:
            refused.append(_refusal(deal_id, error))
    job.refused = [*job.refused, *refused]
    job.done += len(chosen)
    return job.done >= len(job.payload["chosen"])


async def undo_bulk(session: AsyncSession, job: BackgroundJob, now: datetime) -> None:
    """Take the act back: of a few deals now, of more as a background job. Raises Conflict for a job that cannot be taken back."""
    if not can_undo(job):
        raise Conflict("jobs.no_undo", "This cannot be taken back.")
    begin_undo(job)
    if job.total <= AT_ONCE and await undo_batch(session, job, now):
        job.state, job.finished_at = JobState.UNDONE.value, now


async def undo_batch(session: AsyncSession, job: BackgroundJob, now: datetime) -> bool:
    """Restore the next deals, unless somebody has changed since what the job had changed."""
    viewer, asked = await _owner(session, job), BulkAct.load(job.payload["act"])
    keep_unheard(session, asked.unheard)
    query = select(BulkChange).where(BulkChange.job_id == job.id, col(BulkChange.deal_id) > job.cursor.get("after", 0))
    changes = (await session.exec(query.order_by(col(BulkChange.deal_id)).limit(BATCH))).all()
    refused = []
    for change in changes:
        deal_id = change.deal_id
        try:
            async with savepoint(session):
                await _UNDOING[asked.act](session, viewer, asked, deal_id, change.before, now)
                change.is_undone = True
        except PbxcrmError as error:
            refused.append(_refusal(deal_id, error))
        job.cursor = {"after": deal_id}
    job.result = {**job.result, "not_undone": [*job.result.get("not_undone", []), *refused]}
    return len(changes) < BATCH


async def _owner(session: AsyncSession, job: BackgroundJob) -> Viewer:
    user = (await load_directory(session)).active(job.owner_id)
    if user is None:
        raise NotAllowed("access.gone", "Whoever started this has left.")
    return await viewer_of(session, user)


def _refusal(deal_id: int, error: PbxcrmError) -> dict[str, Any]:
    """Why a deal was left as it was, as JSON: what it lacks, or the one reason."""
    if isinstance(error, Incomplete):
        missing = [{"kind": each.kind, "key": each.key, "message": each.message} for each in error.missing]
    else:
        missing = [{"kind": "refused", "key": error.code, "message": str(error)}]
    why = [each.stored() for each in error.reasons] if isinstance(error, GateRefused) else []
    said = {"code": error.code, "message": error.message, "params": error.params}
    return {"id": deal_id, "missing": missing, "why": why, **said}


Doing = Callable[[AsyncSession, Viewer, BulkAct, int, int | None, datetime], Awaitable[dict[str, Any]]]
Undoing = Callable[[AsyncSession, Viewer, BulkAct, int, Mapping[str, Any], datetime], Awaitable[None]]


async def _move(
    session: AsyncSession, viewer: Viewer, asked: BulkAct, deal_id: int, version: int | None, now: datetime
) -> dict[str, Any]:
    stage_id = asked.stage_id
    if asked.act is Act.LOSE:
        deal = await actions.access_deal_for_change(session, viewer, deal_id, version)
        lost = await stage_of_kind(session, deal.pipeline_id, StageKind.LOST)
        if lost is None:
            raise Conflict("deals.no_lost_stage", "This pipeline has no stage for lost deals.")
        stage_id = lost.id
    before = await latest_move(session, deal_id)
    await actions.move_deal(session, viewer, deal_id, stage_id or 0, version=version, now=now, lost_reason=asked.text)
    move = await latest_move(session, deal_id)
    return {"move": move.id} if move is not None and move is not before else {}


async def _move_back(
    session: AsyncSession, viewer: Viewer, _asked: BulkAct, deal_id: int, before: Mapping[str, Any], now: datetime
) -> None:
    deal = await actions.access_deal_for_change(session, viewer, deal_id, None)
    move = await latest_move(session, deal_id)
    if move is None or move.id != before["move"]:
        raise _changed_since()
    await actions.do_move_back(session, deal, move, now, actor=viewer, people=await load_directory(session))


async def _assign(
    session: AsyncSession, viewer: Viewer, asked: BulkAct, deal_id: int, version: int | None, now: datetime
) -> dict[str, Any]:
    deal = await actions.access_deal_for_change(session, viewer, deal_id, version)
    before = deal.responsible_id
    await actions.edit_deal(session, viewer, deal_id, version=None, now=now, responsible_id=asked.user_id)
    return {"responsible_id": before} if before != asked.user_id else {}


async def _assign_back(
    session: AsyncSession, viewer: Viewer, asked: BulkAct, deal_id: int, before: Mapping[str, Any], now: datetime
) -> None:
    await give_back(session, viewer, deal_id, asked.user_id, before["responsible_id"], now)


async def give_back(
    session: AsyncSession, viewer: Viewer, deal_id: int, from_id: int | None, to_id: int | None, now: datetime
) -> None:
    """Undo of an assignment: the deal of ``from_id`` is ``to_id``'s again. Raises Conflict if somebody else has it, or that one has left."""
    deal = await actions.access_deal_for_change(session, viewer, deal_id, None)
    if deal.responsible_id != from_id:
        raise _changed_since()
    people = await load_directory(session)
    back = people.active(to_id)
    if back is None and to_id is not None:
        raise Conflict("deals.left", "Whose it was has left.")
    why = reason("owner.by_hand", by=viewer.name, who=back.name if back is not None else "—")
    await actions.do_assign_deal(session, deal, to_id, now, actor=viewer, people=people, why=why)


async def _tag(
    session: AsyncSession, viewer: Viewer, asked: BulkAct, deal_id: int, _version: int | None, now: datetime
) -> dict[str, Any]:
    added = await add_tag(session, viewer, deal_id, asked.text, now)
    return {"tag_id": added} if added is not None else {}


async def _untag(
    session: AsyncSession, viewer: Viewer, _asked: BulkAct, deal_id: int, before: Mapping[str, Any], now: datetime
) -> None:
    if not await remove_tag(session, viewer, deal_id, before["tag_id"], now):
        raise _changed_since()


async def _plan(
    session: AsyncSession, viewer: Viewer, asked: BulkAct, deal_id: int, _version: int | None, now: datetime
) -> dict[str, Any]:
    deal = await actions.access_deal_for_change(session, viewer, deal_id, None)
    task = await create_task(
        session,
        viewer,
        title=asked.text,
        due_at=asked.due_at or now,
        assignee_id=deal.responsible_id or viewer.user_id,
        deal_id=deal_id,
        now=now,
    )
    return {"task_id": task.id}


async def _cancel(
    session: AsyncSession, viewer: Viewer, _asked: BulkAct, deal_id: int, before: Mapping[str, Any], now: datetime
) -> None:
    await actions.access_deal_for_change(session, viewer, deal_id, None)
    task = await session.get(Task, before["task_id"], with_for_update=True, populate_existing=True)
    if task is None or task.status != TaskStatus.OPEN:
        raise _changed_since()
    people, why = await load_directory(session), reason("deals.bulk_undone", by=viewer.name)
    await do_close_task(session, task, now, people, result=why, actor=viewer, cancelled=True)


def _changed_since() -> Conflict:
    return Conflict("deals.changed_since", "Somebody has changed it since.")


def register_distribution(doing: Doing, undoing: Undoing) -> None:
    """Register how a deal is given by rules and taken back; ``pbxcrm.composition`` calls this."""
    _DOING[Act.DISTRIBUTE], _UNDOING[Act.DISTRIBUTE] = doing, undoing


_DOING: dict[Act, Doing] = {
    Act.MOVE: _move,
    Act.LOSE: _move,
    Act.ASSIGN: _assign,
    Act.TAG: _tag,
    Act.TASK: _plan,
}
_UNDOING: dict[Act, Undoing] = {
    Act.MOVE: _move_back,
    Act.LOSE: _move_back,
    Act.ASSIGN: _assign_back,
    Act.TAG: _untag,
    Act.TASK: _cancel,
}
WORK: dict[str, Batch] = {BULK: bulk_batch}
UNDO: dict[str, Batch] = {BULK: undo_batch}
