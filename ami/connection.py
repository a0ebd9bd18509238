"""The link to Asterisk's Manager Interface: the one module that knows panoramisk.

panoramisk 1.4 formats actions, numbers them and collects their answers. This module replaces what it does wrong: bytes are
framed before they are decoded, callbacks only put messages on a queue, a dead link is noticed and dropped, a refused login
is final, and nothing is ever sent twice.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager
from panoramisk.message import Message as Answer

from ami.errors import ActionRefused, ActionTimeout, AmiError, LinkDown, LoginRefused, UnsafeValue
from ami.messages import Framer, Message, is_wanted, parse
from ami.url import AmiUrl
from ami.waiting import wait_at_most
from pbxcrm.pbx.state import PbxState

#: When a message came, and its raw bytes.
Frame = tuple[datetime, bytes]
#: Called with the state of the link: state, code of ``pbxcrm.pbx.report_sentences``, params.
Tell = Callable[[PbxState, str, dict[str, str]], None]

_GOING = "shutting down"  # how Asterisk answers everything while it ends or restarts
_BANNER = b"Asterisk Call Manager/"
#: Every action we use. Otherwise panoramisk would repeat an unanswered action after a reconnect, minutes late.
_NEVER_REPEATED = (
    *("login", "logoff", "ping", "originate", "blindtransfer", "atxfer", "hangup"),
    *("corestatus", "coresettings", "coreshowchannels", "bridgelist", "bridgeinfo", "queuestatus", "status", "getvar"),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts and limits of a link, in seconds; ``backlog`` is in bytes."""

    connect: float = 5.0
    answer: float = 5.0  # for the login and for each action
    ping_after: float = 5.0  # of silence
    ping_answer: float = 5.0  # after this the link is dropped
    retry_first: float = 0.5
    retry_most: float = 10.0
    settled_after: float = 10.0  # a link that lived this long makes the next retry quick again
    backlog: int = 64 << 20  # received but not yet taken by the listener


def check_value(field: str, value: str, *, commas: bool = False) -> str:
    """Return ``value`` if it may be sent, else raise UnsafeValue: with CR, LF or NUL a value could inject an AMI action.

    ``commas`` allows commas in Variable: in Getvar it is one name, possibly a function with arguments.
    """
    if any(letter in value for letter in "\r\n\0"):
        raise UnsafeValue(f"{field} holds a line break or NUL", field=field)
    if field.lower() == "variable" and "," in value and not commas:
        raise UnsafeValue("Variable holds a comma, which would set a second variable", field=field)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnsafeValue(f"{field} is not text", field=field) from None
    return value


class _Protocol(AMIProtocol):  # type: ignore[misc]  # panoramisk has no types
    """Passes the bytes and events of the transport to its link, which frames them."""

    def __init__(self, link: "Link") -> None:
        self.link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.link.opened(self)

    def data_received(self, data: bytes) -> None:
        self.link.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.link.lost(exc)


class _Manager(Manager):  # type: ignore[misc]  # panoramisk has no types
    """The panoramisk manager of one link: it neither reconnects nor pings by itself."""

    def connection_made(self, f: "asyncio.Future[Any]") -> None:
        if f.cancelled() or f.exception():
            return  # the one that awaits the connection gets the error
        super().connection_made(f)
        self.pinger.cancel()


class Link:
    """One logged-in connection. It is used once; after it breaks, a new one is made."""

    def __init__(self, url: AmiUrl, timing: Timing, clock: Callable[[], datetime]) -> None:
        self.url = url
        self.timing = timing
        self.broken: asyncio.Future[AmiError] = asyncio.get_running_loop().create_future()  # why it ended
        self.last_heard = 0.0  # loop time
        self.last_event_at: datetime | None = None
        self.last_contact_at: datetime | None = None  # an event or an answer, such as that to a ping
        self._clock = clock
        self._framer = Framer()
        self._frames: list[Frame] = []
        self._backlog = 0
        self._arrived = asyncio.Event()
        self._protocol: _Protocol | None = None
        self._head = b""
        self._banner_seen = False
        self._stopping = False  # the PBX said goodbye
        self._manager = _Manager(
            host=url.host,
            port=url.port,
            ssl=url.tls,
            protocol_factory=lambda: _Protocol(self),
            forgetable_actions=_NEVER_REPEATED,
            loop=asyncio.get_running_loop(),
        )

    async def open(self) -> None:
        """Connect and log in. A PBX that is about to end refuses everything, which says nothing of our secret.

        Raises LinkDown (code ``unreachable``, ``not_asterisk``, ``login_silent``), LoginRefused.
        """
        try:
            async with asyncio.timeout(self.timing.connect):
                await self._manager.connect()
        except OSError as error:  # TimeoutError is one
            raise _down("unreachable", error.strerror or str(error) or "no answer") from error
        login = {"Action": "Login", "Username": self.url.user, "Secret": self.url.secret, "Events": "on"}
        try:
            await self.send(login)
        except ActionRefused as error:
            if _GOING in error.params.get("why", ""):
                raise _down("unreachable", error.params["why"]) from error
            raise LoginRefused("the PBX refuses the login", user=self.url.user, **error.params) from None
        except ActionTimeout as error:
            raise _down("login_silent", "no answer to the login") from error

    # called by the protocol

    def opened(self, protocol: _Protocol) -> None:
        """The transport is connected; the banner and the login come next."""
        self._protocol = protocol
        self.last_heard = asyncio.get_running_loop().time()

    def received(self, data: bytes) -> None:
        """Frame the bytes, resolve answers to actions, queue wanted events. Never raises: that would drop the connection."""
        self.last_heard = asyncio.get_running_loop().time()
        if not self._banner_seen:
            self._head += data
            self._banner_seen = len(self._head) >= len(_BANNER)
            if not _BANNER.startswith(self._head[: len(_BANNER)]):
                self.give_up(_down("not_asterisk", "not an Asterisk Manager Interface"))
                return
            data = self._head if self._banner_seen else b""
        now = self.last_contact_at = self._clock()
        protocol = self._protocol
        assert protocol is not None
        for raw in self._framer.feed(data):
            if protocol.responses and b"ActionID:" in raw and self._answer(raw, protocol):
                continue
            if is_wanted(raw):
                self._stopping |= raw.startswith(b"Event: Shutdown\r")
                self._frames.append((now, raw))
                self._backlog += len(raw)
        if self._frames:
            self.last_event_at = now
            self._arrived.set()
        if self._backlog > self.timing.backlog:
            self.give_up(_down("overrun", "the listener did not take the events"))

    @staticmethod
    def _answer(raw: bytes, protocol: _Protocol) -> bool:
        """Pass an answer to panoramisk; False when no action waits for it."""
        message = parse(raw)
        if message.get("ActionID") not in protocol.responses:
            return False
        protocol.handle_message(Answer(message))
        return True

    def lost(self, error: Exception | None) -> None:
        """The connection is lost; everyone who waits for an answer gets ``LinkDown``."""
        code = "pbx_stopped" if self._stopping else "link_lost"
        self.give_up(_down(code, str(error) if error else "the PBX closed it"))

    # used by the listener

    def give_up(self, why: AmiError) -> None:
        """Abort the connection, without waiting for the other side; the first reason counts."""
        if not self.broken.done():
            self.broken.set_result(why)
        self._arrived.set()
        if self._protocol is not None and not self._protocol.transport.is_closing():
            self._protocol.transport.abort()

    async def frames(self) -> AsyncIterator[list[Frame]]:
        """Yield batches of the wanted messages received so far; end when the link is broken and everything was taken."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if self._frames:
                frames, self._frames = self._frames, []
                self._backlog = 0
                yield frames
            if self.broken.done() and not self._frames:
                return
            if self._frames:
                self._arrived.set()

    async def send(self, action: Mapping[str, str], *, as_list: bool = False) -> list[Message]:
        """Send an action and wait for its answer: one message, or with ``as_list`` also the events of the list.

        Originate is always sent with ``Async: true``. Raises UnsafeValue, LinkDown, ActionRefused, ActionTimeout.
        Nothing is sent twice: after ActionTimeout or LinkDown nobody knows whether the PBX did the action.
        """
        for field, value in action.items():
            check_value(field, value, commas=action["Action"] == "Getvar")
        if self.broken.done():
            raise self.broken.result()
        if self._protocol is None:
            raise LinkDown("the PBX is not connected", code="link_down")
        headers = dict(action)
        if headers["Action"].lower() == "originate":
            headers["Async"] = "true"
        answer: asyncio.Future[Any] = self._protocol.send(headers, as_list=None if as_list else False)
        either: set[asyncio.Future[Any]] = {answer, self.broken}
        await asyncio.wait(either, timeout=self.timing.answer, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            for key in [key for key, value in self._protocol.responses.items() if value.future is answer]:
                del self._protocol.responses[key]
            if self.broken.done():
                raise self.broken.result()
            raise ActionTimeout("the PBX did not answer in time", seconds=f"{self.timing.answer:g}")
        result = answer.result()
        messages = [_plain(message) for message in (result if isinstance(result, list) else [result])]
        if messages[0].get("Response") not in {"Success", "Goodbye", "Follows", "Pong"}:
            why = messages[0].get("Message", "no reason given").rstrip(".")  # it becomes a part of a sentence
            raise ActionRefused("the PBX refused", why=why, action=action["Action"])
        return messages

    async def watch(self) -> None:
        """Ping a silent PBX and drop a dead link; returns when the link is broken.

        A half-open link (the PBX lost power, a firewall dropped its state) looks alive to TCP for hours.
        """
        loop = asyncio.get_running_loop()
        while not self.broken.done():
            quiet = loop.time() - self.last_heard
            if quiet < self.timing.ping_after:
                await asyncio.wait({self.broken}, timeout=self.timing.ping_after - quiet)
                continue
            before = self.last_heard
            ping = asyncio.ensure_future(self.send({"Action": "Ping"}))
            either: set[asyncio.Future[Any]] = {ping, self.broken}
            await asyncio.wait(either, timeout=self.timing.ping_answer, return_when=asyncio.FIRST_COMPLETED)
            ping.cancel()
            await asyncio.gather(ping, return_exceptions=True)
            if self.last_heard == before and not self.broken.done():
                seconds = f"{loop.time() - before:.0f}"
                self.give_up(LinkDown("the PBX does not answer", code="silent", why="silent", seconds=seconds))

    def close(self) -> None:
        """Close the connection; nothing is sent afterwards."""
        self.give_up(LinkDown("closed by us"))


class AmiConnection:
    """Connects to a PBX again and again, with growing pauses, until ``close`` is called or the login is refused.

    ``tell`` is called on every change of state; ``dice`` randomises the pauses so that many listeners do not retry together.
    """

    def __init__(
        self,
        url: AmiUrl,
        tell: Tell,
        clock: Callable[[], datetime],
        *,
        timing: Timing | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self.url = url
        self.timing = timing or Timing()
        self.link: Link | None = None  # the one that is logged in now, if any
        self._contact_before: datetime | None = None
        self._tell = tell
        self._clock = clock
        self._dice = dice or random.Random()  # noqa: S311  # only spreads retries
        self._closed = asyncio.Event()

    @property
    def last_contact_at(self) -> datetime | None:
        """When a PBX that had accepted our login last said anything, by our clock; None if it never did."""
        return self._contact_before if self.link is None else self.link.last_contact_at

    async def links(self) -> AsyncIterator[Link]:
        """Yield logged-in links, one after another; each is closed when the caller asks for the next.

        Raises LoginRefused at once: a retry with a wrong secret would only fill the PBX's security log.
        """
        failures = 0
        place = {"host": self.url.host, "port": str(self.url.port)}
        loop = asyncio.get_running_loop()
        while not self._closed.is_set():
            self._tell(PbxState.CONNECTING, "connecting", place)
            link = Link(self.url, self.timing, self._clock)
            started = loop.time()
            try:
                await link.open()
                self.link = link
                watch = asyncio.create_task(link.watch())
                try:
                    yield link
                finally:
                    self.link, self._contact_before = None, link.last_contact_at
                    link.close()
                    await watch
                failure = link.broken.result()
            except LoginRefused as error:
                self._tell(PbxState.REFUSED, "login_refused", {**place, **error.params})
                raise
            except LinkDown as error:
                failure = error
            finally:
                link.close()
            if self._closed.is_set():
                return
            failures = 1 if loop.time() - started > self.timing.settled_after else failures + 1
            pause = min(self.timing.retry_most, self.timing.retry_first * 2 ** min(failures - 1, 16))
            pause *= self._dice.uniform(0.5, 1.0)
            code = failure.params.get("code", failure.code)
            state = PbxState.SILENT if code in {"silent", "login_silent"} else PbxState.UNREACHABLE
            self._tell(state, code, {**place, "why": str(failure), **failure.params, "retry_seconds": f"{pause:.1f}"})
            await wait_at_most(self._closed, pause)

    async def send(self, action: Mapping[str, str], *, as_list: bool = False) -> list[Message]:
        """``Link.send`` on the current link. Raises LinkDown when there is none: actions are not queued for later."""
        if self.link is None:
            raise LinkDown("the PBX is not connected", code="link_down")
        return await self.link.send(action, as_list=as_list)

    def close(self) -> None:
        """Stop connecting and close the current link."""
        self._closed.set()
        if self.link is not None:
            self.link.close()


def _down(code: str, why: str) -> LinkDown:
    return LinkDown(why, code=code, why=why)


def _plain(message: Any) -> Message:  # a panoramisk message, which has no types
    return {key: value for key, value in message.items() if key != "content"}
