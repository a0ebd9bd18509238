"""Pure rules for callbacks: the owner, the order of the queue, the next attempt, the clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.rules import Clock
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.rules import ABOUT_FORGOTTEN

# Urgency in working minutes of waiting: a repeated call counts as a quarter of an hour, and each tenfold of the deal's amount above
# a hundred as ten minutes. So a long wait outweighs both.
REPEAT_MINUTES = 15.0
WORTH_MINUTES = 10.0
WORTH_FLOOR = Decimal(100)


#: The reasons why a callback ends with the last attempt of its schedule.
ATTEMPTS_OVER = frozenset({"attempts.moved", "attempts.stays"})


def was_not_reached(episode: Episode) -> bool:
    """Whether it ended with the last attempt of its schedule: nobody dismissed it, and we have never talked to the client."""
    return episode.status == EpisodeStatus.DISMISSED and episode.closed_reason.get("code") in ATTEMPTS_OVER


def was_dismissed(episode: Episode) -> bool:
    """Whether somebody closed it for a reason, so that reports on missed clients leave it out."""
    return episode.status == EpisodeStatus.DISMISSED and not was_not_reached(episode)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible owner of a callback. ``code`` is the rule that proposed them (``owner.last_talked``). ``instead_of``: the name of
    whoever it proposed, for whom they stand in.
    """

    code: str
    user_id: int
    name: str
    on_shift: bool
    line: str = ""
    instead_of: str = ""

    @property
    def stands_in(self) -> tuple[Reason, ...]:
        """Why it is not whom the rule proposed; empty if it is."""
        return (reason("owner.deputy", who=self.instead_of, deputy=self.name),) if self.instead_of else ()


def choose_owner(candidates: Sequence[Candidate]) -> tuple[int | None, Reason]:
    """The first candidate who is on shift, and the reason, including who was skipped (C5).

    If nobody is on shift, the first candidate gets it and sees it at the top of the list in the morning.
    """
    if not candidates:
        return None, reason("owner.nobody")
    chosen = next((c for c in candidates if c.on_shift), None)
    if chosen is None:
        first = candidates[0]
        return first.user_id, reason("owner.nobody_on_shift", _named(first), *first.stands_in, who=first.name)
    passed = [
        reason("owner.off_shift", who=c.name)
        for c in candidates[: candidates.index(chosen)]
        if c.user_id != chosen.user_id
    ]
    why = (*chosen.stands_in, *passed)
    return chosen.user_id, Reason(chosen.code, {"who": chosen.instead_of or chosen.name, "line": chosen.line}, why)


def _named(candidate: Candidate) -> Reason:
    return reason(candidate.code, who=candidate.instead_of or candidate.name, line=candidate.line)


#: Reasons that tell whose phones rang, and what they are where none did.
NOBODY_RANG = {
    "missed.abandoned_ringing": "missed.before_ringing",
    "missed.abandoned_in_queue": "missed.queue_rang_nobody",
    "missed.timeout": "missed.rang_nobody",
}


def reason_of_miss(code: str | None, rang: Sequence[str], queue: str | None) -> Reason:
    """Why nobody answered, as a Reason. ``code`` is a MissedReason or ``voicemail``."""
    known = {
        "abandoned_ringing",
        "abandoned_in_queue",
        "abandoned_in_ivr",
        "timeout",
        "busy",
        "no_agents",
        "unreachable",
        "closed_hours",
        "short",
        "voicemail",
    }
    said = f"missed.{code if code in known else 'unknown'}"
    if not rang and said in NOBODY_RANG:
        return reason(NOBODY_RANG[said], queue=queue or "")
    return reason(said, rang=", ".join(rang), queue=queue or "")


def client_keys(number: str | None, contact_ids: Sequence[int], line: str) -> list[str]:
    """Every possible ``client_key`` of a client's open episode; the first one is for a new episode."""
    keys = [f"contact:{contact_id}" for contact_id in contact_ids]
    if number:
        keys.append(f"number:{number}")
    return keys or [cut(f"anonymous:{line}", Episode.client_key)]


def urgency(waited: float, missed: int, worth: Decimal | None) -> float:
    """The urgency of a callback; higher is more urgent. ``waited``: working minutes. ``worth``: the amount of the open deal."""
    value = 0.0
    if worth is not None and worth > WORTH_FLOOR:
        value = WORTH_MINUTES * float((worth / WORTH_FLOOR).log10())
    return waited + REPEAT_MINUTES * (missed - 1) + value


def queue_place(now: datetime, planned: datetime | None, urgent: float, episode_id: int) -> tuple[int, float, int]:
    """The sort key of the queue: the most urgent first, then attempts planned for later, the earliest first.

    Equal ones are sorted by id.
    """
    if planned is not None and planned > now:
        return (1, planned.timestamp(), episode_id)
    return (0, -urgent, episode_id)


def next_attempt(failed: int, at: datetime, retry_minutes: Sequence[int], working: WorkingTime) -> datetime:
    """When to try again after failed attempt number ``failed`` (from 1), in working time (C2).

    After the last of ``retry_minutes``, and for a 0 among them, it is the next working morning.
    """
    if 1 <= failed <= len(retry_minutes) and retry_minutes[failed - 1]:
        return working.add_minutes(at, retry_minutes[failed - 1])
    return working.next_morning(at)


def retry_title(failed: int, retry_minutes: Sequence[int], client: str) -> Reason:
    """The title of the callback task after failed attempt number ``failed``: "Call back in 2 hours"."""
    if not 1 <= failed <= len(retry_minutes) or not retry_minutes[failed - 1]:
        return reason("task.retry_morning", client=client)
    minutes = retry_minutes[failed - 1]
    if minutes == 60:
        return reason("task.retry_hour", client=client)
    if minutes % 60 == 0:
        return reason("task.retry_hours", client=client, hours=minutes // 60)
    return reason("task.retry_minutes", client=client, minutes=minutes)


def is_claimed(claimed_by: int | None, claimed_at: datetime | None, now: datetime, claim_minutes: int) -> bool:
    """Whether the claim is valid: it expires ``claim_minutes`` after ``claimed_at``."""
    return claimed_by is not None and claimed_at is not None and now < claimed_at + timedelta(minutes=claim_minutes)


def wait_tone(waited: float, norm: int, *, planned: bool) -> str:
    """``red`` over the norm, ``amber`` from three quarters of it on, else empty; always empty for a planned attempt."""
    if planned:
        return ""
    if waited > norm:
        return "red"
    return "amber" if waited >= norm * 0.75 else ""


def clock_of_callback(context: EngineContext, episode: Episode) -> Clock | None:
    """The clock of a callback: from the missed call, the planned attempt or the new owner, in the owner's working time.

    None if it is closed, has no norm, or a manager has accepted the delay and the client has not called again.
    """
    watched = context.watching.of_callbacks
    minutes = watched.minutes if watched is not None else None
    if minutes is None or episode.status != EpisodeStatus.OPEN or episode.norm_from is None:
        return None
    entry = f"c{episode.id}:{round(episode.norm_from.timestamp() * 1_000_000)}"
    working = context.calendars.of_user(episode.owner_id)
    return Clock(entry, episode.norm_from, minutes, working.add_minutes, episode.owner_id)


def about_episode(episode_id: int | None) -> str:
    """What the manager's task about the last attempt of a callback is about (``Task.about``)."""
    return f"last-attempt:{episode_id}"


def about_forgotten(about: str) -> str:
    """The same for a deal that nothing watches after the last attempt: its task does not end with the callback."""
    return f"{ABOUT_FORGOTTEN}{about}"
