"""Limits in front of the application: for one connection, for one address, and for all connections together.

uvicorn reads a head of any size for any time and accepts every connection. Here a head has a maximum size and a deadline,
a body has a minimum speed, the number of connections is limited per address and in all, and a client must read its
answer in time. If there is no room for one more connection, the oldest idle one is closed; a connection with a request
under way is never closed for an idle one. A refusal is answered (400, 408, 413, 431, 503), or the connection is closed
if nothing was asked. One log line in ten seconds says how often.
"""

import asyncio
import resource
from collections import Counter
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, ClassVar

import httptools
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pbxcrm.shared.settings import Settings
from web.app import MAX_BODY

log = structlog.get_logger()

GRACE_SECONDS = 1  # for requests under way when a stop is asked for
KEEP_ALIVE_SECONDS = 15
FILES_FOR_OURSELVES = 200  # open files kept free for the process itself: database, Redis, templates, sound
MOST_FILES = 65_536
PIECE = 16 * 1024  # bytes of a head parsed at once; what exceeds the limit is never parsed
PIPELINED = 20  # requests sent ahead of their answers
LINGER_SECONDS, LINGER_BYTES = 2.0, 1024 * 1024  # so that a client that is still sending can read why it was refused
BODY_TICK = 5.0
SAY_EVERY = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one connection, in bytes, lines and seconds."""

    head_bytes: int = 64 * 1024
    head_lines: int = 100
    head_seconds: float = 10.0  # from the opening of a connection, or from the first byte of a further request
    body_bytes: int = MAX_BODY
    body_grace: float = 15.0  # seconds
    body_rate: int = 500  # bytes a second after that
    taking_seconds: float = 60.0  # for a client that does not read its answer
    connections: int = 10_000
    per_address: int = 1_000
    exempt: frozenset[str] = frozenset()  # our own proxies: all users connect through them


class Doorman:
    """The connections of one process: closes idle ones to make room, and logs how often somebody was refused."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.connected: Counter[str] = Counter()
        self.total = 0
        # Ordered, oldest first. Connections that never sent a request are closed before those that rest between two requests.
        self.silent: dict[str, dict[Guarded, None]] = {}
        self.resting: dict[Guarded, None] = {}
        self._said: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()

    def let_in(self, guest: "Guarded") -> bool:
        """Whether the connection may stay, after an idle one was closed where needed."""
        address, limits = guest.address, self.limits
        if (
            self.connected[address] >= limits.per_address
            and address not in limits.exempt
            and not self._make_room(self._oldest_silent(address), "address_full")
        ):
            return False
        if self.total >= limits.connections and not self._make_room(self._oldest_of_all(), "full"):
            return False
        self.connected[address] += 1
        self.total += 1
        return True

    def leave(self, guest: "Guarded") -> None:
        """A connection is closed."""
        self.asks(guest)
        self.total -= 1
        self.connected[guest.address] -= 1
        if not self.connected[guest.address]:
            del self.connected[guest.address]

    def waits(self, guest: "Guarded", *, has_asked: bool) -> None:
        """The connection has no request under way. ``has_asked``: whether it ever sent one."""
        if has_asked:
            self.resting[guest] = None
        else:
            self.silent.setdefault(guest.address, {})[guest] = None

    def asks(self, guest: "Guarded") -> None:
        """The connection has sent a whole head: it is not idle any more."""
        self.resting.pop(guest, None)
        mine = self.silent.get(guest.address)
        if mine is not None:
            mine.pop(guest, None)
            if not mine:
                del self.silent[guest.address]

    def refused(self, why: str, address: str) -> None:
        """Count a refusal and log it, at most once in ten seconds for each reason."""
        now = asyncio.get_running_loop().time()
        self._unsaid[why] += 1
        if now - self._said.get(why, -SAY_EVERY) >= SAY_EVERY:
            self._said[why] = now
            log.warning("web.refused", why=why, times=self._unsaid.pop(why), address=address, connections=self.total)

    def _oldest_silent(self, address: str) -> "Guarded | None":
        return next(iter(self.silent.get(address, ())), None) or next(
            (guest for guest in self.resting if guest.address == address), None
        )

    def _oldest_of_all(self) -> "Guarded | None":
        """The oldest idle connection of the address with most of them, so that one address cannot push out the others."""
        most = max(self.silent, key=lambda address: len(self.silent[address]), default=None)
        return next(iter(self.silent[most])) if most is not None else next(iter(self.resting), None)

    def _make_room(self, victim: "Guarded | None", why: str) -> bool:
        if victim is None:
            return False
        self.refused(why, victim.address)
        victim.put_out()
        return True


class Guarded(HttpToolsProtocol):
    """One connection. ``protocol_of`` makes a subclass with its ``doorman``."""

    doorman: ClassVar[Doorman]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Ask the doorman for a place, and start the clock of the first request."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.limits = self.doorman.limits
        self._in_head, self._head_bytes, self._head_lines = True, 0, 0
        self._refused = self._gone = False
        self._too_many_lines = self._too_large = False
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._body_bytes, self._body_since, self._discarded = 0, 0.0, 0
        self._inside = self.doorman.let_in(self)
        if not self._inside:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "no_room")
            return
        self.doorman.waits(self, has_asked=False)
        self._set_timer(self.limits.head_seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._gone = True
        self._leave()
        self._cancel_timers()
        super().connection_lost(exc)

    def put_out(self) -> None:
        """Close this connection to make room for another."""
        self._leave()
        self._cancel_timers()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count head and body before the parser sees them."""
        if self._refused:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        left = data
        while left and not self._over():
            if self._in_head:
                room = self.limits.head_bytes - self._head_bytes
                if room <= 0:
                    self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_bytes")
                    return
                piece = left[: min(room, PIECE)]
                self._head_bytes += len(piece)
            else:
                piece = left
            left = left[len(piece) :]
            self._feed(piece)
        if not self._over() and self._in_head and self._head_bytes and self._timer is None:
            self._set_timer(self.limits.head_seconds, self._head_is_late)

    def _over(self) -> bool:
        """Whether this connection reads no more data. The callbacks of the parser can change it."""
        return self._refused or self._gone

    def _feed(self, piece: bytes) -> None:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            pass  # protocol upgrades are not supported: the request is answered as an ordinary one
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST, "no_http")
            return
        if self._too_many_lines:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_lines")
        elif self._too_large:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_bytes")
        elif len(self.pipeline) > PIPELINED:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, "pipelined")

    # Callbacks of the parser.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head_lines = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the lines of the head and look at the announced length."""
        self._head_lines += 1
        if self._head_lines > self.limits.head_lines:
            self._too_many_lines = True
            return
        if name.lower() == b"content-length" and value.isdigit():
            self._too_large = self._too_large or len(value) > 18 or int(value) > self.limits.body_bytes
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete: the clock of the body starts."""
        self._in_head, self._head_bytes = False, 0
        self.doorman.asks(self)
        if self._too_many_lines or self._too_large:
            return
        self._body_bytes, self._body_since = 0, self.loop.time()
        self._set_timer(BODY_TICK, self._look_at_body)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count a piece of the body, also of a chunked one."""
        self._body_bytes += len(body)
        self._too_large = self._too_large or self._body_bytes > self.limits.body_bytes  # sent in chunks
        if not self._too_large and not self._too_many_lines:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete; the head of the next one may follow."""
        self._in_head, self._head_bytes = True, 0  # the next one
        self._cancel_timer()
        if not self._too_large and not self._too_many_lines:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is sent: the connection is idle until the next request."""
        super().on_response_complete()
        if self._inside and not self.pipeline and not self.transport.is_closing():
            self.doorman.waits(self, has_asked=True)

    # Deadlines.

    def pause_writing(self) -> None:
        """The client does not read its answer: start the deadline."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.limits.taking_seconds, self._takes_nothing)

    def resume_writing(self) -> None:
        """The client reads again: stop the deadline."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _head_is_late(self) -> None:
        self._timer = None
        if not self._head_bytes:  # nothing was asked, so there is no answer: browsers open connections in advance
            self.doorman.refused("silent", self.address)
            self.put_out()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "head_seconds")

    def _look_at_body(self) -> None:
        self._timer = None
        if self.flow.read_paused:  # the application is slow, not the client
            self._body_since += BODY_TICK
        after_grace = self.loop.time() - self._body_since - self.limits.body_grace
        if after_grace > 0 and self._body_bytes < after_grace * self.limits.body_rate:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "body_rate")
        else:
            self._set_timer(BODY_TICK, self._look_at_body)

    def _takes_nothing(self) -> None:
        self._stalled = None
        self.doorman.refused("takes_nothing", self.address)
        self.put_out()

    def _set_timer(self, seconds: float, then: Any) -> None:
        self._cancel_timer()
        self._timer = self.loop.call_later(seconds, then)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cancel_timers(self) -> None:
        self._cancel_timer()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _leave(self) -> None:
        if self._inside:
            self._inside = False
            self.doorman.leave(self)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._refused = True
        self._cancel_timers()
        self._unset_keepalive_if_required()
        self.doorman.refused(why, self.address)
        cycle = self.cycle
        under_way = cycle is not None and not cycle.response_complete  # type: ignore[redundant-expr]  # None at first
        if under_way:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.transport.is_closing():
            return
        if under_way and cycle.response_started:
            self.transport.abort()  # the client would read a second answer as a part of the first
            return
        said = f"{status.phrase}.\n".encode()
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: text/plain\r\nContent-Length: {len(said)}\r\n"
            "Connection: close\r\nX-Content-Type-Options: nosniff\r\n\r\n"
        )
        self.transport.write(head.encode() + said)
        # Closing while the client still sends would reset the connection before it has read the answer.
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


def protocol_of(limits: Limits) -> type[Guarded]:
    """The protocol class of one server, with these limits and one doorman."""
    return type("GuardedConnection", (Guarded,), {"doorman": Doorman(limits)})


def raise_open_files() -> int:
    """Raise the limit of open files as far as allowed. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft


def limits_of(settings: Settings) -> Limits:
    """The limits of this process on this machine."""
    limits = Limits()
    room = max(16, min(limits.connections, raise_open_files() - FILES_FOR_OURSELVES))
    return replace(
        limits,
        connections=room,
        per_address=min(settings.connections_per_address, max(8, room * 9 // 10)),
        exempt=frozenset(settings.trusted_proxies),
    )


def server_of(app: ASGIApp, settings: Settings, limits: Limits | None = None) -> uvicorn.Server:
    """A uvicorn server for ``app`` with these limits. The caller passes the sockets."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=protocol_of(limits or limits_of(settings)),
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            lifespan="on",
        )
    )
