"""The optional proof of work: a small sum that costs a person nothing and a robot that sends thousands of forms a lot.

The task is ``MOMENT.RANDOM.SIGNATURE``; the answer is a number for which the SHA-256 of ``TASK:NUMBER`` begins with ``BITS`` zero bits.
The page's own script finds it while the person writes. Nothing is stored for a task; a used one is in the row of its request.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

BITS = 14  # 16,000 tries on average: some 0.1 s in a browser
LIFE = timedelta(hours=2)
EARLY = timedelta(minutes=5)  # the clocks of two web machines may differ


def make_task(secret: str, random: str, now: datetime) -> str:
    """A task that ends after ``LIFE``. ``random``: letters and digits that no other task has."""
    body = f"{int(now.timestamp())}.{random}"
    return f"{body}.{_signature(secret, body)}"


def used_by(secret: str, task: str, answer: str, now: datetime) -> str | None:
    """The random part of a task that is ours, is not over and has the right answer; None otherwise."""
    moment, _dot, rest = task.partition(".")
    random, _dot, signature = rest.partition(".")
    if not (moment.isascii() and moment.isdigit() and len(moment) < 12 and random and len(answer) < 20):
        return None
    if not hmac.compare_digest(signature.encode(), _signature(secret, f"{moment}.{random}").encode()):
        return None
    made = datetime.fromtimestamp(int(moment), UTC)
    if not now - LIFE <= made <= now + EARLY:
        return None
    digest = hashlib.sha256(f"{task}:{answer}".encode()).digest()
    return random[:32] if int.from_bytes(digest[:4], "big") >> (32 - BITS) == 0 else None


def address_hash(secret: str, address: str) -> str:
    """What is kept of a network address: the same for the same one, and of no use to anybody else."""
    return hmac.new(secret.encode(), address.encode(), hashlib.sha256).hexdigest()[:32]


def _signature(secret: str, body: str) -> str:
    return hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()[:32]
