"""The pure rule for the clock of a checkpoint for a deal."""

from datetime import datetime

from pbxcrm.checkpoints.config import Watched
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.facts import DealFacts
from pbxcrm.checkpoints.models import TriggerKind, WorkKind
from pbxcrm.checkpoints.rules import Base, Work, base_of, due_of
from pbxcrm.checkpoints.settling import Clock


def clock_of(watched: Watched, facts: DealFacts, context: EngineContext) -> Clock | None:
    """The clock of the checkpoint for the deal. None if it does not watch the deal now: the deal is closed, in another stage, has no
    such date, or there was work after the date.
    """
    deal, checkpoint, minutes = facts.deal, watched.checkpoint, watched.minutes
    if minutes is None or watched not in context.watching.of_deal(deal):
        return None
    working = context.working_of(deal.responsible_id)

    def due(since: datetime, wanted: float) -> datetime:
        return due_of(working, since, wanted, facts.rests)

    if checkpoint.trigger == TriggerKind.DATE:
        date = facts.date(checkpoint.field)
        if date is None:
            return None
        base = Base(working.add_minutes(date, checkpoint.offset_minutes) if checkpoint.offset_minutes else date, "")
        if any(work.at > base.at for work in facts.works_for(watched)):
            return None
        entry = f"d{deal.id}:{int(date.timestamp())}"
    elif checkpoint.trigger == TriggerKind.SILENCE:
        base = base_of(deal.created_at, _contacts(watched, facts))
        entry = f"s{deal.id}:{base.key}"
    else:
        base = base_of(facts.entered_at, facts.works_for(watched))
        entry = f"m{facts.move_id}:{base.key}"
    since = max(base.at, checkpoint.begins_at) if checkpoint.begins_at is not None else base.at
    return Clock(entry, since, minutes, due, deal.responsible_id)


def _contacts(watched: Watched, facts: DealFacts) -> list[Work]:
    """What ends the silence: a conversation, and everything else that counts as work."""
    least = watched.checkpoint.talked_seconds
    talks = [
        Work(talk.at, WorkKind.TALKED, f"call:{talk.call_id}", talk.at, talk.by_id)
        for talk in facts.talks
        if talk.seconds >= least
    ]
    return talks + [work for work in facts.works_for(watched) if work.kind is not WorkKind.TALKED]


def last_work(watched: Watched, facts: DealFacts) -> Work | None:
    """The latest work that counts, which explains why a lamp is out; None without one."""
    works = _contacts(watched, facts) if watched.checkpoint.trigger == TriggerKind.SILENCE else facts.works_for(watched)
    return max((work for work in works if work.at >= facts.deal.created_at), key=lambda work: work.at, default=None)
