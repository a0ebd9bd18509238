"""Pure decisions about missed calls: whose callback it is, and what to say of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pbxcrm.reasons import Reason, reason


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who may own a callback. ``code`` is the rule that named them (``owner.last_talked``)."""

    code: str
    user_id: int
    name: str
    on_shift: bool
    line: str = ""


def choose_owner(candidates: Sequence[Candidate]) -> tuple[int | None, Reason]:
    """The first candidate in order who is on shift, and why (C5).

    Where nobody is on shift the first of the order has it: it will lie on top of their list in the morning. Who was passed
    over is part of the reason.
    """
    if not candidates:
        return None, reason("owner.nobody")
    chosen = next((c for c in candidates if c.on_shift), None)
    if chosen is None:
        first = candidates[0]
        return first.user_id, reason("owner.nobody_on_shift", _named(first), who=first.name)
    passed = [
        reason("owner.off_shift", who=c.name)
        for c in candidates[: candidates.index(chosen)]
        if c.user_id != chosen.user_id
    ]
    return chosen.user_id, Reason(chosen.code, {"who": chosen.name, "line": chosen.line}, tuple(passed))


def _named(candidate: Candidate) -> Reason:
    return reason(candidate.code, who=candidate.name, line=candidate.line)


def missed_reason(code: str | None, rang: Sequence[str], queue: str | None) -> Reason:
    """Why nobody answered, in a sentence. ``code`` is a MissedReason or ``voicemail``."""
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
    return reason(f"missed.{code if code in known else 'unknown'}", rang=", ".join(rang) or "—", queue=queue or "")


def client_keys(number: str | None, contact_ids: Sequence[int], line: str) -> list[str]:
    """Every name a client's open episode may have, the one for a new episode first."""
    keys = [f"contact:{contact_id}" for contact_id in contact_ids]
    if number:
        keys.append(f"number:{number}")
    return keys or [f"anonymous:{line}"[:100]]
