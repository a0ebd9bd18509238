"""Live updates: one event stream per browser, one Redis subscription per process, fan-out in between.

A browser gets hints (a topic and a reference) that its person may hear, never data: it asks for the page again through
the ordinary, access-checked path. Only what must appear at once is pushed as finished HTML by a *pusher*, made for each
person with their own rights and in the language of the page that listens. The events of the stream:

    event: hello  data: {"last": 812}                      the stream begins; events up to 812 have been said before
    event: hint   data: [{"id": 813, "topic": "deal", "ref": "12"}, …]
    event: push   data: {"region": "dock", "number": 7, "outline": "…", "parts": {"call-12": "…"}}   what changed (``web.regions``);
                        {"region": "dock", "html": "…"} for a page from before an upgrade, which does not ask for parts
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
from web.regions import RegionHtml, SentRegion

log = structlog.get_logger()

PING_SECONDS = 15  # seconds without an answer after which Redis counts as away
WAITING_AT_MOST = 256  # messages a reader may be behind
RETRY_SECONDS = (0.1, 0.5)  # between two tries; one connection per process, so Redis is found soon after its return
ROUND = 10  # people whose pushed HTML is rendered in one round
GATHER_SECONDS, GATHER_STEPS = (
    0.05,
    10,
)  # pushes that are not urgent are gathered for this long; a ringing phone is pushed at once
ABOUT_WHO_ASKS = frozenset({"session", "people"})  # topics after which role, team or login may have changed

HINT_SECONDS = 0.15  # hints are gathered for this long, so that a page asks again once for all of them


@dataclass(slots=True, eq=False)
class RenderRequest:
    """A person whose region must be rendered. ``about``: the references that changed; "" stands for everything.

    ``drawn`` is a cache of the pusher for this person, kept while they listen.
    """

    person: Viewer
    drawn: dict[Any, Any]
    about: set[str]


#: Renders a region for several people and yields (request, HTML) for each. It runs outside of any request.
Pusher = Callable[[Sequence[RenderRequest]], AsyncIterator[tuple[RenderRequest, RegionHtml]]]
Reader = tuple[int, str]  # user id and language: the tabs of one person may use two languages


@dataclass(frozen=True, slots=True)
class Hint:
    """What changed: a topic and a reference, never the new content."""

    id: int
    topic: str
    ref: str
    users: frozenset[int]
    roles: frozenset[str]
    urgent: bool = False  # pushed before earlier hints that are not urgent

    @classmethod
    def parse_all(cls, data: bytes | str) -> "list[Hint]":
        """The hints of one Redis message (``pbxcrm.shared.events.publish``). Raises ValueError if it is no list of hints."""
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


Message = tuple[str, Any]  # name of the event and its data; for "hint" a list of hints


class Ear:
    """One open stream. ``deaf`` is set when it was too slow and has missed events. ``by_parts``: its page puts parts together."""

    def __init__(self, listener: Viewer, *, by_parts: bool = True) -> None:
        self.viewer = listener  # ``language`` is that of the page
        self.deaf = False
        self._by_parts = by_parts
        self._state: Message | None = None  # the latest state that is not sent yet
        self._regions: dict[str, RegionHtml] = {}  # the latest HTML of each region that is not sent yet
        self._sent: dict[str, SentRegion] = {}
        self._hints: dict[tuple[str, str], dict[str, Any]] = {}  # topic and reference -> the latest
        self._hints_due = False
        self._something = asyncio.Event()

    def tell_state(self, live: str) -> None:
        """Queue whether this process hears events (ok | offline). It replaces an unsent one."""
        self._state = "state", {"live": live}
        self._something.set()

    def push(self, region: str, html: RegionHtml) -> None:
        """Queue the HTML of a region. It replaces an unsent one; what is sent is the difference to the last one sent."""
        self._regions[region] = html
        self._something.set()

    def hint(self, hint: "Hint") -> None:
        """Queue a hint, to be sent a moment later together with others."""
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
        if self._hints:  # else they were sent together with a push
            self._hints_due = True
            self._something.set()

    async def next(self, seconds: float) -> list[Message]:
        """The next events, as soon as there are any; empty if there were none within ``seconds``.

        Waiting hints are sent together with a push: one write for both.
        """
        if not self._something.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.01, seconds)):
                    await self._something.wait()
        self._something.clear()
        messages = [self._state] if self._state else []
        messages += self._changes()
        self._state = None
        if self._hints and (self._hints_due or messages):
            messages.append(("hint", list(self._hints.values())))
            self._hints, self._hints_due = {}, False
        return messages

    def _changes(self) -> Iterator[Message]:
        """A push for each region that differs from what was sent."""
        regions, self._regions = self._regions, {}
        for region, html in regions.items():
            if not self._by_parts:
                yield "push", {"region": region, "html": html.whole()}
            elif changes := self._sent.setdefault(region, SentRegion()).changes(html):
                yield "push", {"region": region, **changes}


def _reader(person: Viewer) -> Reader:
    return person.user_id, person.language


def _people_of(ears: Iterable[Ear]) -> list[Viewer]:
    """The person behind these streams, once for each language."""
    return list({_reader(ear.viewer): ear.viewer for ear in ears}.values())


class Hub:
    """Subscribes to Redis once per process and passes to each stream what its person may hear."""

    def __init__(self, redis: Redis, *, channel: str = CHANNEL) -> None:
        self.redis = redis
        self.channel = channel
        self.online = False
        self.last_id = 0
        self.pushers: dict[str, tuple[str, Pusher]] = {}  # topic -> (region of the page, its pusher)
        self._ears: dict[int, set[Ear]] = {}
        self._of_role: dict[
            str, set[int]
        ] = {}  # user ids of listeners by role, so that a hint need not look at every stream
        # Region -> the people it must be rendered for: the urgent ones, and the others.
        self._wanted: dict[str, tuple[dict[Reader, RenderRequest], dict[Reader, RenderRequest]]] = {}
        self._drawn: dict[tuple[Reader, str], dict[Any, Any]] = {}  # (reader, region) -> cache of the pusher
        self._rendering: dict[str, asyncio.Task[None]] = {}

    def add_pusher(self, topic: str, region: str, pusher: Pusher) -> None:
        """For each hint of ``topic``, render ``region`` for its audience and push the HTML instead of the hint."""
        self.pushers[topic] = (region, pusher)

    @contextmanager
    def listening(self, listener: Viewer, *, by_parts: bool = True) -> Iterator[Ear]:
        """An open stream of this person, until the block ends."""
        ear = Ear(listener, by_parts=by_parts)
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
        """Update the person of a stream: their role or team may have changed since it began."""
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
        """The number of open streams in this process."""
        return sum(len(ears) for ears in self._ears.values())

    async def run(self) -> None:
        """Listen until cancelled. If Redis is away, try again with growing pauses."""
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
                except Exception:  # a supervisor: an error of ours must not stop the subscription for good
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
                # If Redis does not answer a ping within one heartbeat, the connection is dead although nobody closed it.
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
                ear.tell_state("ok" if online else "offline")
        if online:
            for user_id in self._ears:  # pushes may have been missed meanwhile
                self.push_to(user_id)

    def deliver(self, hint: Hint) -> None:
        """Pass a hint to every open stream of its audience. It costs nothing for people without a stream."""
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
        """Render every pushed region for one person now, for a stream that has just begun."""
        for person in _people_of(self._ears.get(user_id, ())):
            for region, pusher in dict(self.pushers.values()).items():
                self._push(person, region, pusher, "")

    def _push(self, person: Viewer, region: str, pusher: Pusher, about: str, *, urgent: bool = False) -> None:
        """Queue one rendering for all streams of a person in one language; urgent ones come first."""
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
        """Render in small rounds, so that a phone that begins to ring does not wait for many cards that disappear."""
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
        """Wait a moment for more people, because half the cost of a round is fixed. A ringing phone ends the wait."""
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
                        ear.push(region, html)
                await asyncio.sleep(0)  # let it be sent before the next one is rendered
        except (
            Exception
        ) as error:  # a supervisor: one broken card must not stop the stream; the page can still be reloaded
            log.exception("live.push_failed", region=region, users=list(left))
            if len(asked) == 1 or isinstance(error, SQLAlchemyError):
                return
            for each in left.values():
                await self._render(region, pusher, [each])
