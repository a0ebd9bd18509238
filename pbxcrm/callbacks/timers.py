"""What happens when deadlines of callbacks are due: lighting their lamps, which the sweep has claimed, and the expiry of a claim."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.actions import CLAIM, do_free, know_lamps, say_episode_changed, settle_held
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.queries import load_context
from pbxcrm.callbacks.rules import clock_of_callback, is_claimed
from pbxcrm.calls.rules import NO_NUMBER
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.lamps import DueLampState, hold_open, light_claimed
from pbxcrm.checkpoints.lighting import LampEnding, LampSubject
from pbxcrm.checkpoints.models import CheckpointStep, Lamp, LampState, StepKind, Subject
from pbxcrm.contacts.models import Contact
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.timers import Handler, Timer
from pbxcrm.tasks.actions import do_change_task
from pbxcrm.tasks.models import Task


async def light_callbacks(session: AsyncSession, context: EngineContext, claimed: Sequence[Lamp], now: datetime) -> int:
    """Light those of ``claimed`` that are due by the current facts. Returns how many lit.

    It locks no callbacks: a transaction that has locked one may wait for the claimed lamps.
    """
    episodes = await load_by_id(session, Episode, (lamp.callback_id for lamp in claimed))
    contacts = await load_by_id(session, Contact, (episode.contact_id for episode in episodes.values()))
    rows = await session.exec(
        select(Lamp).where(
            col(Lamp.callback_id).in_(list(episodes)),
            Lamp.state == LampState.BURNING.value,
            col(Lamp.id).not_in([lamp.id for lamp in claimed]),
        )
    )
    burning: dict[int | None, list[Lamp]] = {}
    for lamp in rows.all():
        burning.setdefault(lamp.callback_id, []).append(lamp)

    def standing_of(lamp: Lamp) -> DueLampState | None:
        episode, watched = episodes.get(lamp.callback_id), context.watching.by_id.get(lamp.checkpoint_id)
        if episode is None or watched is None:
            return None
        context.check_hours(episode.owner_id, of_team=False)
        contact = contacts.get(episode.contact_id)
        subject = _subject(context, episode, contact.name if contact is not None else "")
        return DueLampState(watched, clock_of_callback(context, episode), subject, burning.get(episode.id, ()))

    lit = await light_claimed(session, context, claimed, standing_of, now)
    for lamp in lit:
        know_lamps(session, episodes[lamp.callback_id], [*burning.get(lamp.callback_id, ()), lamp])
        await say_episode_changed(session, episodes[lamp.callback_id], now, context.people)
    return len(lit)


def _subject(context: EngineContext, episode: Episode, name: str) -> LampSubject:
    """The callback as a ``LampSubject`` for lighting."""
    client = name or (format_for_people(episode.client_number) if episode.client_number else NO_NUMBER)
    owner = context.people.active(episode.owner_id)
    stored = Reason.load(episode.reason)
    missed = (stored,) if stored is not None else ()

    def why(lamp: Lamp, behind: Sequence[Reason]) -> Reason:
        because = (*missed, *behind)
        if lamp.step == 0:
            code = "lamp.planned" if episode.next_attempt_at is not None else "lamp.callback"
            return Reason(code, {"norm": str(lamp.minutes)}, because)
        if owner is None:
            return Reason("escalation.nobody", {"minutes": str(lamp.minutes)}, because)
        return Reason("escalation.callback", {"minutes": str(lamp.minutes), "who": owner.name}, because)

    def title(step: CheckpointStep, *, for_worker: bool) -> Reason:
        if step.text:
            return reason("task.lamp_said", text=step.text, title=client)
        if step.what != StepKind.CONTROL or for_worker:
            return reason("task.lamp_callback", client=client)
        if owner is None:
            return reason("task.escalated_nobody", client=client)
        return reason("task.escalated", client=client, who=owner.name)

    return LampSubject(
        kind=Subject.CALLBACK,
        id=episode.id or 0,
        name=client,
        owner_id=episode.owner_id,
        deal_id=episode.deal_id,
        contact_id=episode.contact_id,
        stage_id=None,
        why=why,
        title=title,
        working=context.calendars.of_user(episode.owner_id),
        call_id=episode.last_call_id,
        part_of_id=episode.task_id,
    )


async def claim_ended(session: AsyncSession, row: Timer, now: datetime) -> None:
    """Timer handler: release a claim that has expired without a result, and notify the pages."""
    found = await session.exec(
        select(Episode)
        .where(Episode.id == int(row.payload["episode"]), Episode.status == EpisodeStatus.OPEN.value)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    episode = found.first()
    if episode is None or episode.claimed_by_id is None:
        return
    context = await load_context(session)
    if is_claimed(episode.claimed_by_id, episode.claimed_at, now, context.options.claim_minutes):
        return
    before = await do_free(session, episode)
    episode.version += 1
    await say_episode_changed(session, episode, now, context.people, before)


async def recompute_callbacks(session: AsyncSession, now: datetime, begin_at: datetime | None) -> None:
    """Recompute the lamps of every open callback, because working hours, a leave or the checkpoint changed.

    Lamps that have lit stay lit; one whose new due time is in the past lights at the next sweep, or is counted from ``begin_at``. No lamp
    lights twice.
    """
    context = await load_context(session)
    found = await session.exec(
        select(Episode).where(Episode.status == EpisodeStatus.OPEN.value).order_by(col(Episode.id)).with_for_update()
    )
    episodes = found.all()
    held: dict[int | None, list[Lamp]] = {}
    for lamp in await hold_open(session, Lamp.subject == Subject.CALLBACK.value):
        held.setdefault(lamp.callback_id, []).append(lamp)
    tasks = await load_by_id(session, Task, (episode.task_id for episode in episodes))
    for episode in episodes:
        lamps = held.get(episode.id, [])
        outcome = LampEnding(reason("lamp.out_rules"))
        await settle_held(session, episode, lamps, context, now, outcome, begin_at=begin_at)
        clock, task = clock_of_callback(context, episode), tasks.get(episode.task_id)
        burns = any(lamp.state == LampState.BURNING for lamp in lamps)
        if clock is None or task is None or burns or episode.next_attempt_at is not None:
            continue
        why = reason("task.norm_changed", norm=context.norm)
        armed = [lamp.due_at for lamp in lamps if lamp.state == LampState.ARMED]
        due_at = armed[0] if armed else clock.due(clock.since, clock.minutes[0])
        await do_change_task(session, task, now, context.people, actor=None, why=why, due_at=due_at)


HANDLERS: dict[str, Handler] = {CLAIM: claim_ended}
