"""A made-up Asterisk Manager Interface over real TCP, which can be as nasty as a test wants."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

Action = dict[str, str]
#: Makes the bytes of an answer from an action; None for no answer at all.
Responder = Callable[[Action], bytes | None]

BANNER = b"Asterisk Call Manager/11.0.0\r\n"


def message(**headers: str) -> bytes:
    """A message as Asterisk writes it."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n"


def success(action: Action, **headers: str) -> bytes:
    return message(Response="Success", ActionID=action["ActionID"], **headers)


def error(action: Action, text: str) -> bytes:
    return message(Response="Error", ActionID=action["ActionID"], Message=text)


def listing(item: str, complete: str, rows: list[dict[str, str]]) -> Responder:
    """Answers with a list: one event a row, and one that ends it."""

    def respond(action: Action) -> bytes:
        mark = {"ActionID": action["ActionID"]}
        start = success(action, EventList="start", Message=f"{item} will follow")
        events = b"".join(message(Event=item, **mark, **row) for row in rows)
        return start + events + message(Event=complete, **mark, EventList="Complete", ListItems=str(len(rows)))

    return respond


class FakeAmiServer:
    """Listens on 127.0.0.1. ``responders`` (by action, lower case) may be replaced; ``actions`` is all that was asked.

    ``mute`` answers nothing more, as a half-open link does. ``banner`` may be anything.
    """

    def __init__(self, user: str = "pbxcrm", secret: str = "s3cret") -> None:
        self.user, self.secret = user, secret
        self.banner = BANNER
        self.mute = False
        self.port = 0
        self.actions: list[Action] = []
        self.logins = 0
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.responders: dict[str, Responder] = {
            "login": self._login,
            "ping": lambda action: success(action, Ping="Pong"),
            "corestatus": lambda action: success(
                action, CoreStartupDate="2026-03-01", CoreStartupTime="08:00:00", CoreCurrentCalls="0"
            ),
            "coresettings": lambda action: success(action, AMIversion="11.0.0", AsteriskVersion="22.10.1"),
            "coreshowchannels": listing("CoreShowChannel", "CoreShowChannelsComplete", []),
            "bridgelist": listing("BridgeListItem", "BridgeListComplete", []),
            "bridgeinfo": listing("BridgeInfoChannel", "BridgeInfoComplete", []),
            "queuestatus": listing("QueueEntry", "QueueStatusComplete", []),
        }
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"ami://{self.user}:{self.secret}@127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after ``stop`` on the same port again."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.drop()
            await self._server.wait_closed()
            self._server = None

    def drop(self) -> None:
        """Break all links without a word."""
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    async def send(self, data: bytes) -> None:
        """Send bytes to all who are logged in or not."""
        for writer in list(self.writers):
            writer.write(data)
            await writer.drain()

    def names(self) -> list[str]:
        return [action["Action"] for action in self.actions]

    async def asked(self, name: str, times: int = 1) -> Action:
        """Wait until an action was asked for so many times; the latest of them."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.names().count(name) >= times)
        return [action for action in self.actions if action["Action"] == name][-1]

    async def connected(self, times: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.connections >= times)

    def _login(self, action: Action) -> bytes:
        if (action.get("Username"), action.get("Secret")) != (self.user, self.secret):
            return error(action, "Authentication failed")
        self.logins += 1
        return success(action, Message="Authentication accepted") + message(Event="FullyBooted", Status="Fully Booted")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.connections += 1
        async with self._changed:
            self._changed.notify_all()
        try:
            writer.write(self.banner)
            while True:
                raw = await reader.readuntil(b"\r\n\r\n")
                action = dict(line.split(": ", 1) for line in raw.decode().split("\r\n") if ": " in line)
                self.actions.append(action)
                if not self.mute:
                    responder = self.responders.get(action["Action"].lower(), success)
                    if (answer := responder(action)) is not None:
                        writer.write(answer)
                async with self._changed:
                    self._changed.notify_all()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            pass
        finally:
            if writer in self.writers:
                self.writers.remove(writer)
            writer.close()
