"""A plain manager (AMI) connection for tests: keeps every byte as the socket delivered it, and waits for events."""

import asyncio
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

Event = dict[str, str]


class ManagerTap:
    """``async with ManagerTap(port, user, secret) as tap``: logged in, listening; ``tap.raw`` is what came."""

    def __init__(self, port: int, user: str, secret: str) -> None:
        self.port = port
        self.login = {"Action": "Login", "Username": user, "Secret": secret, "ActionID": "tap-login"}
        self.raw = bytearray()
        self.closed = asyncio.Event()  # by the other side
        self._came = asyncio.Condition()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def connect(self) -> None:
        """Log in (again: then what came before is forgotten) and wait until the PBX is fully booted."""
        self._hang_up()
        self.raw.clear()
        self.closed.clear()
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._reading = asyncio.create_task(self._read(reader))
        self.send(self.login)
        await self.event("FullyBooted")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            async with self._came:
                self.raw += data
                self._came.notify_all()
        self.closed.set()

    def send(self, headers: dict[str, str]) -> None:
        if self._writer is None:
            raise RuntimeError("not connected")
        self._writer.write("".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n")

    def messages(self) -> Iterator[Event]:
        """Everything that came so far, complete messages only. A repeated header keeps its last value."""
        _, _, rest = bytes(self.raw).partition(b"\r\n")
        for block in rest.split(b"\r\n\r\n")[:-1]:
            lines = block.decode(errors="replace").split("\r\n")
            yield {name: value for name, _, value in (line.partition(": ") for line in lines)}

    def events(self, name: str, **wanted: str) -> list[Event]:
        """Events of that name whose headers have the wanted values."""
        named = (m for m in self.messages() if m.get("Event") == name)
        return [m for m in named if all(m.get(header) == value for header, value in wanted.items())]

    async def event(self, name: str, *, count: int = 1, patience: float = 30, **wanted: str) -> Event:
        """The ``count``-th such event since the connection was made, waited for."""
        await self.condition(lambda: len(self.events(name, **wanted)) >= count, patience)
        return self.events(name, **wanted)[count - 1]

    async def condition(self, holds: Callable[[], bool], patience: float = 30) -> None:
        """Wait until something is true of what came; looked at again whenever more comes."""
        async with asyncio.timeout(patience), self._came:
            await self._came.wait_for(holds)

    async def act(self, action: str, **headers: str) -> Event:
        """Send an action and return the response. Keyword ``Channel_`` is header ``Channel``."""
        identity = f"tap-{action}-{len(self.raw)}"
        self.send({"Action": action, "ActionID": identity, **{n.rstrip("_"): v for n, v in headers.items()}})
        await self.condition(lambda: self._response(identity) is not None)
        response = self._response(identity)
        if response is None or response["Response"] == "Error":
            raise AssertionError(f"{action}: {response}")
        return response

    def _response(self, identity: str) -> Event | None:
        return next((m for m in self.messages() if "Response" in m and m.get("ActionID") == identity), None)

    def open_channels(self) -> set[str]:
        """Uniqueids of channels that began while we listened and have not hung up."""
        begun = {e["Uniqueid"] for e in self.events("Newchannel")}
        return begun - {e["Uniqueid"] for e in self.events("Hangup")}

    async def settled(self, patience: float = 30) -> None:
        """Wait until every channel has hung up and the stream has been quiet for 0.3 s (the CDRs come last)."""
        await self.condition(lambda: bool(self.events("Newchannel")) and not self.open_channels(), patience)
        size = -1
        while size != len(self.raw):
            size = len(self.raw)
            await asyncio.sleep(0.3)  # quiet is the condition
