"""Live updates: one stream per browser, one Redis subscription per process, fan-out in between.

A browser hears hints (a topic and a reference) that its person may hear, never data: it asks for the page again through
the ordinary, access-checked path. Only what must be on the screen at once is pushed as finished HTML by a *pusher*, made
for each person by their own rights and in the language of the page that listens. What the stream says:

    event: hello  data: {"last": 812}                      the stream begins; events up to 812 have been said before
    event: hint   data: [{"id": 813, "topic": "deal", "ref": "12"}, …]
    event: push   data: {"region": "dock", "html": "…"}
    event: state  data: {"live": "offline"}                Redis is away: nothing will be heard until "ok"
    event: bye    data: {"why": "old" | "slow" | "session"} the stream ends; "session": log in again

Slow readers are dropped, a stream lives ten minutes at most and is opened again, and no database session is held.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from pbxcrm.access import Viewer
from pbxcrm.shared.events import CHANNEL

log = structlog.get_logger()

PING_SECONDS = 15  # Redis that has not answered for this long is away
WAITING_AT_MOST = 256  # messages a reader may be behind
RETRY_SECONDS = (0.1, 0.5)  # one connection per process: Redis that is back is found at once
ROUND = 10  # people whose pushed HTML is made at once
GATHER_SECONDS, GATHER_STEPS = 0.05, 10  # what is not urgent waits this long for others; a ringing phone does not
ABOUT_WHO_ASKS = frozenset({"session", "people"})  # topics after which role, team or login may be others

HINT_SECONDS = 0.15  # how long a hint waits for others, so that pages ask again once for all of them


@dataclass(slots=True, eq=False)
class RenderRequest:
    """Somebody whose region is to be rendered, ``about`` these references; "" among them stands for everything.

    ``drawn`` is the pusher's own, for what it need not make again; kept for as long as this person listens.
    """

    person: Viewer
    drawn: dict[Any, Any]
    about: set[str]


#: Makes a region's HTML for some people, one after the other: what was asked and the HTML. Runs outside of any request.
Pusher = Callable[[Sequence[RenderRequest]], AsyncIterator[tuple[RenderRequest, str]]]
Reader = tuple[int, str]  # user id and language: tabs of one person may be in two


@dataclass(frozen=True, slots=True)
class Hint:
    """One event of the stream: what changed, never what it says now."""

    id: int
    topic: str
    ref: str
    users: frozenset[int]
    roles: frozenset[str]
    urgent: bool = False  # put on screens before what was said earlier

    @classmethod
    def parse_all(cls, data: bytes | str) -> "list[Hint]":
        """What one message says (``pbxcrm.shared.events.publish``). Raises ValueError where it is not a list of hints."""
        said: Any = json.loads(data)
        try:
            return [
                cls(
                    int(found["id"]),
                    str(found["topic"]),
                    str(found.get("ref", "")),
                    frozenset(int(user) for user in found.get("users") or ()),
                    frozenset(str(role) for role in found.get("roles") or ()),
                    bool(found.get("urgent")),
                )
                for found in said
            ]
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError("not hints") from error


Message = tuple[str, Any]  # name of the event, its data; a hint's is a list of hints


class Ear:
    """One open stream. ``deaf`` is set when it was too slow and has missed something."""

    def __init__(self, listener: Viewer) -> None:
        self.viewer = listener  # ``language`` is that of the page
        self.deaf = False
        self._at_once: dict[str, Message] = {}  # the latest push of each region, the latest state
        self._hints: dict[tuple[str, str], dict[str, Any]] = {}  # topic and reference -> the latest
        self._hints_due = False
        self._something = asyncio.Event()

    def say(self, name: str, data: dict[str, Any]) -> None:
        """At once; what was to be said of the same region before is not worth saying any more."""
        self._at_once.pop(key := f"{name} {data.get('region', '')}", None)
        self._at_once[key] = (name, data)
        self._something.set()

    def hint(self, hint: "Hint") -> None:
        """Say the hint a moment later, together with others."""
        if not self._hints:
            asyncio.get_running_loop().call_later(HINT_SECONDS, self._ripen)
        self._hints[hint.topic, hint.ref] = {"id": hint.id, "topic": hint.topic, "ref": hint.ref}
        if hint.topic in ABOUT_WHO_ASKS:
            self._ripen()
        if len(self._hints) > WAITING_AT_MOST:
            self._hints.clear()
            self.deaf = True
            self._something.set()

    def _ripen(self) -> None:
        if self._hints:  # else they went with what was pushed
            self._hints_due = True
            self._something.set()

    async def next(self, seconds: float) -> list[Message]:
        """What there is to say now, or as soon as there is something; empty when there was nothing in time.

        Hints that wait for others go with whatever is pushed: it takes as long to say two things as one.
        """
        if not self._something.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.01, seconds)):
                    await self._something.wait()
        self._something.clear()
        messages, self._at_once = list(self._at_once.values()), {}
        if self._hints and (self._hints_due or messages):
            messages.append(("hint", list(self._hints.values())))
            self._hints, self._hints_due = {}, False
        return messages


def _reader(person: Viewer) -> Reader:
    return person.user_id, person.language


def _people_of(ears: Iterable[Ear]) -> list[Viewer]:
    """Who listens at these streams of one person: once for each language."""
    return list({_reader(ear.viewer): ear.viewer for ear in ears}.values())


class Hub:
    """Hears Redis once for this process and says to each stream what its person may hear."""

    def __init__(self, redis: Redis, *, channel: str = CHANNEL) -> None:
        self.redis = redis
        self.channel = channel
        self.online = False
        self.last_id = 0
        self.pushers: dict[str, tuple[str, Pusher]] = {}  # topic -> (region of the page, who renders it)
        self._ears: dict[int, set[Ear]] = {}
        self._of_role: dict[str, set[int]] = {}  # who listens, by role: a hint must not look at every stream
        # Region -> for whom it is to be rendered: urgently, and when there is time.
        self._wanted: dict[str, tuple[dict[Reader, RenderRequest], dict[Reader, RenderRequest]]] = {}
        self._drawn: dict[tuple[Reader, str], dict[Any, Any]] = {}  # of reader and region: what the pusher keeps
        self._rendering: dict[str, asyncio.Task[None]] = {}

    def add_pusher(self, topic: str, region: str, pusher: Pusher) -> None:
        """On each hint of ``topic`` render ``region`` for everybody it is for, and put it on their screens instead of the hint."""
        self.pushers[topic] = (region, pusher)

    @contextmanager
    def listening(self, listener: Viewer) -> Iterator[Ear]:
        """An open stream of this person, for as long as the block lasts."""
        ear = Ear(listener)
        self._ears.setdefault(listener.user_id, set()).add(ear)
        self._sort_in(listener)
        try:
            yield ear
        finally:
            self._ears[listener.user_id].discard(ear)
            if not self._ears[listener.user_id]:
                del self._ears[listener.user_id]
                self._sort_out(listener.user_id)
            if _reader(listener) not in {_reader(other.viewer) for other in self._ears.get(listener.user_id, ())}:
                for region, _ in self.pushers.values():
                    self._drawn.pop((_reader(listener), region), None)

    def now_is(self, ear: Ear, listener: Viewer) -> None:
        """Who listens at ``ear`` may have another role or team than when the stream began."""
        ear.viewer = listener
        self._sort_in(listener)

    def _sort_in(self, listener: Viewer) -> None:
        self._sort_out(listener.user_id)
        self._of_role.setdefault(listener.role.value, set()).add(listener.user_id)

    def _sort_out(self, user_id: int) -> None:
        for people in self._of_role.values():
            people.discard(user_id)

    @property
    def open_streams(self) -> int:
        """How many there are in this process."""
        return sum(len(ears) for ears in self._ears.values())

    async def run(self) -> None:
        """Listen until cancelled; a Redis that goes away is awaited with growing patience."""
        wait = RETRY_SECONDS[0]
        try:
            while True:
                try:
                    async for hints in self._heard():
                        wait = RETRY_SECONDS[0]
                        for hint in hints:
                            self.deliver(hint)
                except (RedisError, OSError) as error:
                    if self.online:
                        log.warning("live.redis_away", error=str(error))
                    self._set_online(online=False)
                except Exception:  # a supervisor: a fault of ours must not leave this process deaf for good
                    log.exception("live.failed")
                    self._set_online(online=False)
                await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 (jitter, not a secret)
                wait = min(wait * 2, RETRY_SECONDS[1])
        finally:
            for task in self._rendering.values():
                task.cancel()

    async def _heard(self) -> AsyncIterator[list[Hint]]:
        async with self.redis.pubsub() as pubsub:
            await pubsub.subscribe(self.channel)
            while True:
                # Redis answers a ping within a heartbeat, or the link is dead although nobody closed it.
                message = await pubsub.get_message(timeout=PING_SECONDS)
                if message is None:
                    await asyncio.wait_for(pubsub.ping(), PING_SECONDS)
                elif message["type"] == "subscribe":
                    self._set_online(online=True)
                elif message["type"] == "message":
                    try:
                        yield Hint.parse_all(message["data"])
                    except ValueError:
                        log.warning("live.garbage", data=repr(message["data"])[:200])

    def _set_online(self, *, online: bool) -> None:
        if online == self.online:
            return
        self.online = online
        for ears in self._ears.values():
            for ear in ears:
                ear.say("state", {"live": "ok" if online else "offline"})
        if online:
            for user_id in self._ears:  # what was to be pushed meanwhile nobody has heard
                self.push_to(user_id)

    def deliver(self, hint: Hint) -> None:
        """Say a hint to every open stream it is for; costs nothing for people who have none."""
        self.last_id = max(self.last_id, hint.id)
        people = {user_id for user_id in hint.users if user_id in self._ears}.union(
            *(self._of_role.get(role, ()) for role in hint.roles)
        )
        pushed = self.pushers.get(hint.topic)
        for ears in [self._ears[user_id] for user_id in people]:
            if pushed is not None:
                for person in _people_of(ears):
                    self._push(person, *pushed, hint.ref, urgent=hint.urgent)
                continue
            for ear in ears:
                ear.hint(hint)

    def push_to(self, user_id: int) -> None:
        """Render every pushed region for one person now: what a stream that has just begun needs."""
        for person in _people_of(self._ears.get(user_id, ())):
            for region, pusher in dict(self.pushers.values()).items():
                self._push(person, region, pusher, "")

    def _push(self, person: Viewer, region: str, pusher: Pusher, about: str, *, urgent: bool = False) -> None:
        """Render once for all of a person's streams in one language, together with others who wait, the urgent before the rest."""
        urgently, sometime = self._wanted.setdefault(region, ({}, {}))
        reader = _reader(person)
        asked = urgently.get(reader) or (sometime.pop(reader, None) if urgent else sometime.get(reader))
        if asked is None:
            asked = RenderRequest(person, self._drawn.setdefault((reader, region), {}), set())
        asked.person = person
        asked.about.add(about)
        if urgent:
            urgently[reader] = asked
        elif reader not in urgently:
            sometime[reader] = asked
        if region not in self._rendering:
            self._rendering[region] = asyncio.create_task(self._render_all(region, pusher))

    async def _render_all(self, region: str, pusher: Pusher) -> None:
        """Round by round: so few at once that a phone that begins to ring does not wait for many cards that go away."""
        urgently, sometime = self._wanted[region]
        try:
            while urgently or sometime:
                if not urgently and len(sometime) < ROUND:
                    await self._gather(urgently)
                chosen = [*islice(urgently, ROUND), *islice(sometime, ROUND)][:ROUND]
                await self._render(
                    region, pusher, [urgently.pop(id_) if id_ in urgently else sometime.pop(id_) for id_ in chosen]
                )
        finally:
            del self._rendering[region]

    async def _gather(self, urgently: dict[Reader, RenderRequest]) -> None:
        """Wait for others: half of what a round costs is the same for one and for ten. Whoever's phone rings ends it."""
        for _ in range(GATHER_STEPS):
            await asyncio.sleep(GATHER_SECONDS / GATHER_STEPS)
            if urgently:
                return

    async def _render(self, region: str, pusher: Pusher, asked: Sequence[RenderRequest]) -> None:
        left = {_reader(each.person): each for each in asked}
        try:
            async for each, html in pusher(asked):
                reader = _reader(each.person)
                del left[reader]
                for ear in self._ears.get(reader[0], ()):
                    if _reader(ear.viewer) == reader:
                        ear.say("push", {"region": region, "html": html})
                await asyncio.sleep(0)  # it is on its way before the next is made
        except (
            Exception
        ) as error:  # a supervisor: one broken card must not silence the stream; the page still has the truth
            log.exception("live.push_failed", region=region, users=list(left))
            if len(asked) == 1 or isinstance(error, SQLAlchemyError):
                return
            for each in left.values():
                await self._render(region, pusher, [each])
