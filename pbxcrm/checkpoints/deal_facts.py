"""The facts for the clocks of deals, read from their sources: moves, calls, tasks, the audit log and pauses."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import write_down
from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.facts import Direction
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.addressee_rules import goes_to_manager
from pbxcrm.checkpoints.context import Watched
from pbxcrm.checkpoints.models import Decision, Lamp, LampState, Pause, Subject, TriggerKind, WorkKind
from pbxcrm.checkpoints.rules import PlannedTask, Rest, Talk, Work
from pbxcrm.deals.fields import BY_KEY, MOMENTS, is_filled, was_filled
from pbxcrm.deals.models import Deal, Pipeline, StageMove, is_by_structure
from pbxcrm.deals.queries import load_funnel
from pbxcrm.people.directory import Directory
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.reasons import N_, Reason
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus

NEXT_ATTEMPT = "next_attempt_at"
#: The dates of a deal that a checkpoint may watch, with their English names for pages to translate.
DATES: dict[str, str] = {
    **{key: BY_KEY[key].name for key in MOMENTS},
    "next_task_at": N_("when the next task is due"),
    NEXT_ATTEMPT: N_("when the next attempt to reach the client is planned"),
    "stage_since": N_("when it came into the stage"),
    "created_at": N_("when the deal was made"),
}

#: Deal ids -> when the next attempt to reach the client is planned, for deals that have one.
AttemptsOf = Callable[[AsyncSession, Collection[int]], Awaitable[Mapping[int, datetime]]]
_attempts: list[AttemptsOf] = []


def register_attempts(attempts_of: AttemptsOf) -> None:
    """Register the function that reads planned attempts from the contexts above; ``pbxcrm.composition`` calls this."""
    _attempts[:] = [attempts_of]


@dataclass(frozen=True, slots=True)
class Filling:
    """When a field of a deal was filled: ``spans`` that are over, and since when it is (None: it is empty). ``works``: each filling."""

    spans: tuple[Rest, ...] = ()
    since: datetime | None = None
    works: tuple[Work, ...] = ()

    @property
    def standing(self) -> Work | None:
        """The filling that still stands. One that was emptied again was no work: otherwise two clicks would silence any deal."""
        return self.works[-1] if self.works and self.since == self.works[-1].at else None


@dataclass(slots=True)
class DealFacts:
    """The facts of one deal. ``move_id``: the move into its current stage, ``moved_by_id``: who made it.

    ``removed``: why it is in this stage, if the one before was removed from under it. ``moved``: its last move that was somebody's
    work, None if it never had one.

    ``given``: when a manager who was asked first gave the deal to somebody else. That starts the clock again, since nobody was asked
    before the manager, and nobody would be asked again.
    ``accepted``: the lamp of each checkpoint by which a manager last accepted the delay, and until when (by checkpoint).
    ``burning_dates``: the first burning lamp of each checkpoint on a written date (by checkpoint). It burns until there is work,
    also when its date is emptied or moved: otherwise the seller could put out the manager's lamp without any.
    """

    deal: Deal
    move_id: int
    moved_by_id: int | None = None
    removed: Reason | None = None
    moved: Work | None = None
    talks: list[Talk] = field(default_factory=list)
    planned: list[PlannedTask] = field(default_factory=list)
    filled: dict[str, Filling] = field(default_factory=dict)  # by the key of the field
    rests: tuple[Rest, ...] = ()
    next_task_at: datetime | None = None
    next_attempt_at: datetime | None = None
    given: dict[int, list[Work]] = field(default_factory=dict)  # by checkpoint
    accepted: dict[int, Lamp] = field(default_factory=dict)
    burning_dates: dict[int, Lamp] = field(default_factory=dict)

    @property
    def entered_at(self) -> datetime:
        """When the deal entered its current stage."""
        return self.deal.stage_since

    def works_for(self, watched: Watched) -> list[Work]:
        """What counts as work for this checkpoint, unsorted."""
        kinds, found = set(watched.checkpoint.work), []
        if WorkKind.TALKED in kinds:
            found += [
                Work(talk.at, WorkKind.TALKED, f"call:{talk.call_id}", talk.at, talk.by_id)
                for talk in self.talks
                if talk.seconds >= watched.checkpoint.talked_seconds
            ]
        if WorkKind.NEXT_TASK in kinds:
            plans = (plan.work(self.talks, watched.checkpoint.talked_seconds) for plan in self.planned)
            found += [work for work in plans if work is not None]
        if WorkKind.STAGE_MOVED in kinds and self.moved is not None and watched.checkpoint.trigger != TriggerKind.STAGE:
            found.append(self.moved)
        if WorkKind.FIELD_FILLED in kinds and not watched.only_asks_for_field:
            found += [work for work in (self.filling_of(watched).standing,) if work is not None]
        return found

    def filling_of(self, watched: Watched) -> Filling:
        """When the field was filled that this checkpoint asks for."""
        return self.filled.get(watched.checkpoint.field, Filling())

    def has_what_is_asked(self, watched: Watched) -> bool:
        """Whether the checkpoint asks for nothing but a field, and that is filled."""
        return watched.only_asks_for_field and self.filling_of(watched).since is not None

    def rests_for(self, watched: Watched) -> tuple[Rest, ...]:
        """When the clock of this checkpoint stands still: pauses, while next tasks were planned that turned out to be no work, and
        where nothing but a field is asked for, while it was filled.
        """
        if watched.only_asks_for_field:
            return (*self.rests, *self.filling_of(watched).spans)
        if WorkKind.NEXT_TASK not in watched.checkpoint.work:
            return self.rests
        plans = (plan.rest(self.talks, watched.checkpoint.talked_seconds) for plan in self.planned)
        return (*self.rests, *(rest for rest in plans if rest is not None))

    def date(self, name: str) -> datetime | None:
        """The value of one of ``DATES``; None if it is empty or unknown."""
        if name == "next_task_at":
            return self.next_task_at
        if name == NEXT_ATTEMPT:
            return self.next_attempt_at
        found: datetime | None = getattr(self.deal, name) if name in DATES else None
        return found


async def load_deal_facts(
    session: AsyncSession, deals: Sequence[Deal], watched: Iterable[Watched], people: Directory
) -> dict[int, DealFacts]:
    """The facts of each deal by id. Only the kinds of facts that these checkpoints use are read."""
    ids = [deal.id for deal in deals if deal.id is not None]
    facts = {deal.id: DealFacts(deal, 0) for deal in deals if deal.id is not None}
    await _add_moves(session, facts)
    watched = list(watched)
    asked = {kind for each in watched for kind in each.checkpoint.work}
    triggers = {each.checkpoint.trigger for each in watched}
    if WorkKind.NEXT_TASK in asked or TriggerKind.DATE in triggers:
        await _add_tasks(session, facts)
    asks_talks = any(plan.is_closed_early for each in facts.values() for plan in each.planned)
    if asks_talks or WorkKind.TALKED in asked or TriggerKind.SILENCE in triggers:
        await _add_talks(session, facts, people)
    if (
        keys := {each.checkpoint.field for each in watched if WorkKind.FIELD_FILLED in each.checkpoint.work}
        & BY_KEY.keys()
    ):
        await _add_filled(session, facts, keys)
    if any(each.watches_date(NEXT_ATTEMPT) for each in watched):
        for deal_id, planned_at in (await _attempts[0](session, list(facts))).items():
            facts[deal_id].next_attempt_at = planned_at
    if asks_managers := [each.id for each in watched if any(goes_to_manager(step.whom) for step in each.steps)]:
        await _add_decided(session, facts, asks_managers)
    if written := [each.id for each in watched if is_written_date(each)]:
        await _add_burning_dates(session, facts, written)
    for deal_id, rests in (await load_rests(session, ids)).items():
        facts[deal_id].rests = rests
    return facts


_MOVES = columns(
    col(StageMove.id),
    col(StageMove.deal_id),
    col(StageMove.from_stage_id),
    col(StageMove.at),
    col(StageMove.by_id),
    col(StageMove.reason),
)


async def _add_moves(session: AsyncSession, facts: dict[int, DealFacts]) -> None:
    """The last move of each deal. Where that was the removal of a stage, the last one before it is what somebody did."""
    of_these = col(StageMove.deal_id).in_(list(facts))
    latest = columns(func.max(col(StageMove.id))).where(of_these).group_by(col(StageMove.deal_id))
    removed: list[int] = []
    for move_id, deal_id, left_id, _at, by_id, why in await fetch(session, _MOVES.where(col(StageMove.id).in_(latest))):
        each = facts[deal_id]
        each.move_id, each.moved_by_id = move_id, by_id
        if is_by_structure(why):
            each.removed = Reason.load(why)
            removed.append(deal_id)
        elif left_id is not None:
            each.moved = _moved(move_id, each.deal.stage_since, by_id)
    if removed:
        before = _MOVES.where(col(StageMove.deal_id).in_(removed)).order_by(col(StageMove.id))
        for move_id, deal_id, left_id, at, by_id, why in await fetch(session, before):
            if left_id is not None and not is_by_structure(why):
                facts[deal_id].moved = _moved(move_id, at, by_id)


def _moved(move_id: int, at: datetime, by_id: int | None) -> Work:
    return Work(at, WorkKind.STAGE_MOVED, f"move:{move_id}", at, by_id)


async def load_rests(session: AsyncSession, deal_ids: Collection[int]) -> dict[int, tuple[Rest, ...]]:
    """The pauses of deals, by deal id, without those that wait for a manager's approval."""
    rows = await session.exec(
        select(Pause).where(col(Pause.deal_id).in_(deal_ids), ~col(Pause.waits_for_approval)).order_by(col(Pause.id))
    )
    found: dict[int, tuple[Rest, ...]] = {}
    for row in rows.all():
        found[row.deal_id] = (*found.get(row.deal_id, ()), Rest(row.from_at, row.until_at))
    return found


_TALKS = columns(
    col(Call.id),
    col(Call.deal_id),
    col(Call.contact_id),
    col(Call.client_number),
    col(Call.ended_at),
    col(Call.talk_seconds),
    col(Call.made_by),
    col(Call.answered_by),
    col(Call.direction),
).where(col(Call.talk_seconds) > 0, col(Call.direction) != Direction.INTERNAL.value, col(Call.merged_into_id).is_(None))


async def _add_talks(session: AsyncSession, facts: dict[int, DealFacts], people: Directory) -> None:
    """Conversations of the deal, of its contact with any number, and of its number."""
    by_contact: dict[int, list[DealFacts]] = {}
    by_number: dict[str, list[DealFacts]] = {}
    for each in facts.values():
        if each.deal.contact_id is not None:
            by_contact.setdefault(each.deal.contact_id, []).append(each)
        if each.deal.client_number:
            by_number.setdefault(each.deal.client_number, []).append(each)
    since = min(each.deal.created_at for each in facts.values())
    for condition in (
        col(Call.deal_id).in_(list(facts)),
        col(Call.contact_id).in_(list(by_contact)),
        col(Call.client_number).in_(list(by_number)),
    ):
        rows = await fetch(session, _TALKS.where(condition, col(Call.ended_at) >= since))
        for call_id, deal_id, contact_id, number, ended_at, seconds, made_by, answered_by, direction in rows:
            user = people.user_of(made_by if direction == Direction.OUTBOUND else answered_by)
            talk = Talk(ended_at, seconds, call_id, user.id if user else None)
            whose = {id(each): each for each in by_contact.get(contact_id, ())}
            whose |= {id(each): each for each in by_number.get(number or "", ())}
            if deal_id in facts:
                whose[id(facts[deal_id])] = facts[deal_id]
            for each in whose.values():
                if ended_at >= each.deal.created_at and all(known.call_id != call_id for known in each.talks):
                    each.talks.append(talk)


async def _add_tasks(session: AsyncSession, facts: dict[int, DealFacts]) -> None:
    """Next tasks that people have set. ``rules.PlannedTask`` says when one counts as work."""
    pipelines = (await load_funnel(session)).pipelines
    rows = await session.exec(
        select(Task).where(
            col(Task.deal_id).in_(list(facts)),
            col(Task.created_by_id).is_not(None),
            col(Task.kind).in_([TaskKind.TODO.value, TaskKind.ASSIGNMENT.value]),
        )
    )
    for task in rows.all():
        each = facts[task.deal_id or 0]
        each.planned.append(
            PlannedTask(
                task.id or 0,
                task.created_at,
                planned_until(pipelines[each.deal.pipeline_id], task),
                task.created_by_id,
                task.done_at,
                task.status == TaskStatus.CANCELLED,
            )
        )
        if task.status == TaskStatus.OPEN and (each.next_task_at is None or task.due_at < each.next_task_at):
            each.next_task_at = task.due_at


def planned_until(pipeline: Pipeline, task: Task) -> datetime:
    """Until when a next task stops the clocks of its deal: until the first time for which it was planned, or an earlier one since, and
    not for longer than the pipeline allows. Postponing it changes nothing.
    """
    latest = task.created_at + timedelta(days=pipeline.longest_plan_days)
    return min(task.first_due_at or task.due_at, task.due_at, latest)


def _lamps_of(deal_ids: Iterable[int], checkpoint_ids: list[int], state: LampState) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Lamp.subject) == Subject.DEAL.value,
        col(Lamp.deal_id).in_(list(deal_ids)),
        col(Lamp.checkpoint_id).in_(checkpoint_ids),
        col(Lamp.state) == state.value,
    )


async def _add_decided(session: AsyncSession, facts: dict[int, DealFacts], checkpoint_ids: list[int]) -> None:
    """What managers have decided. Delays that were accepted before they had an end are not among it."""
    rows = await session.exec(
        select(Lamp)
        .where(*_lamps_of(facts, checkpoint_ids, LampState.OUT), Lamp.decision != Decision.NONE.value)
        .order_by(col(Lamp.out_at), col(Lamp.id))
    )
    for lamp in rows.all():
        if lamp.out_at is None or lamp.deal_id is None:
            continue
        if lamp.decision == Decision.ACCEPTED and lamp.look_again_at is not None:
            facts[lamp.deal_id].accepted[lamp.checkpoint_id] = lamp
        elif lamp.decision == Decision.REASSIGNED and lamp.step == 0:
            given = Work(lamp.out_at, WorkKind.STAGE_MOVED, f"given:{lamp.id}", lamp.out_at, lamp.out_by_id)
            facts[lamp.deal_id].given.setdefault(lamp.checkpoint_id, []).append(given)


def is_written_date(watched: Watched) -> bool:
    """Whether the checkpoint watches a date that people write into the deal."""
    return watched.checkpoint.trigger == TriggerKind.DATE and watched.checkpoint.field in MOMENTS


async def _add_burning_dates(session: AsyncSession, facts: dict[int, DealFacts], checkpoint_ids: list[int]) -> None:
    rows = await session.exec(
        select(Lamp).where(*_lamps_of(facts, checkpoint_ids, LampState.BURNING)).order_by(col(Lamp.step).desc())
    )
    for lamp in rows.all():
        if lamp.deal_id is not None:
            facts[lamp.deal_id].burning_dates[lamp.checkpoint_id] = lamp


async def _add_filled(session: AsyncSession, facts: dict[int, DealFacts], keys: Collection[str]) -> None:
    await write_down(session)  # the change that is told just now is one of them
    rows = await session.exec(
        select(AuditEntry)
        .where(
            AuditEntry.entity == "deal",
            col(AuditEntry.entity_id).in_([str(deal_id) for deal_id in facts]),
            AuditEntry.action == "deal.edited",
        )
        .order_by(col(AuditEntry.id))
    )
    changes: dict[tuple[int, str], list[AuditEntry]] = {}
    for row in rows.all():
        for key in keys & (row.data.get("changed") or {}).keys():
            changes.setdefault((int(row.entity_id), key), []).append(row)
    for deal_id, each in facts.items():
        for key in keys:
            each.filled[key] = _filling(each.deal, key, changes.get((deal_id, key), ()))


def _filling(deal: Deal, key: str, changes: Sequence[AuditEntry]) -> Filling:
    spans: list[Rest] = []
    works: list[Work] = []
    since: datetime | None = None
    for number, row in enumerate(changes):
        values = row.data["changed"][key]
        before, after = was_filled(key, values.get("before")), was_filled(key, values.get("after"))
        if number == 0 and before:
            since = deal.created_at
        if after and not before:
            since = row.at
            works.append(Work(row.at, WorkKind.FIELD_FILLED, f"audit:{row.id}", row.at, row.actor_id))
        elif before and not after:
            if since is not None:
                spans.append(Rest(since, row.at))
            since = None
    if not is_filled(getattr(deal, key)):  # what the deal has is the truth, whatever was written down
        since = None
    elif since is None:
        since = deal.created_at
    return Filling(tuple(spans), since, tuple(works))
