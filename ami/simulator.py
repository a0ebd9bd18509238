"""A simulated PBX for the demo and for benchmarks: an AMI server that plays recorded calls without end.

It answers the actions of our listener, rings sample extensions, lets a person call out, transfer and hang up, and sends
each event on time at up to 100 calls per second. ``python -m ami.simulator --help`` runs it alone.
"""

import argparse
import asyncio
import heapq
import random
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import time
from types import TracebackType
from typing import Self

from ami.messages import Framer, Message, parse
from ami.simulated_calls import SimulatedCall, event, schedule
from ami.stories import Cast, Crowd, RecordedCall, Serial, StoryCaller, choose_phones, load
from ami.waiting import wait_at_most

#: How often each story is played: a small office where most clients are helped and some are not.
PROGRAMME = {
    "ring_group_answered": 6,
    "utf8_name": 4,
    "queue_answered": 4,
    "queue_local_members_answered": 2,
    "ivr_then_answered": 2,
    "blind_transfer": 1,
    "attended_transfer": 1,
    "pickup": 1,
    "outbound_answered": 4,
    "outbound_unanswered": 2,
    "internal_answered": 1,
    "ring_group_abandoned": 3,
    "queue_abandoned": 2,
    "ivr_abandoned": 1,
    "anonymous_missed": 1,
}
_VERSION = "22.10.1-simulated"
#: What it does, spelled as Asterisk's ListCommands does.
_COMMANDS = dict.fromkeys(
    (
        *("Login", "Logoff", "Ping", "ListCommands", "CoreStatus", "CoreSettings", "CoreShowChannels"),
        *("BridgeList", "BridgeInfo", "QueueStatus", "Originate", "BlindTransfer", "Hangup"),
    ),
    "simulated",
)
_SLOW = 3 << 20  # bytes a client has not read yet; beyond this Asterisk disconnects the client, and so do we


class Simulator:
    """The simulated PBX. Use it with ``async with``; ``url`` is the address to connect to.

    ``extensions`` are the phones of the sample people. Pauses made by people are up to ``stretch`` times longer than recorded;
    everything is ``speed`` times faster. ``known`` are clients who call among the made-up ones. The same ``seed`` gives the same calls.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        extensions: Sequence[str] = ("101", "102", "103", "104"),
        seed: int | None = None,
        stretch: float = 4.0,
        speed: float = 1.0,
        user: str = "demo",
        secret: str | None = None,
        known: Sequence[StoryCaller] = (),
        clock: Callable[[], float] = time,
    ) -> None:
        self.host, self.port = host, port
        self.user, self.secret = user, secret or secrets.token_urlsafe(12)
        self.played = 0
        self._extensions = extensions
        self._stretch, self._speed = stretch, speed
        self._clock = clock
        self._dice = random.Random(seed)  # noqa: S311  # a demo, not a secret
        self._crowd = Crowd(self._dice, known=known)
        self._stories = {name: load(name) for name in PROGRAMME}
        self._click = load("click_to_call_answered")
        self._click_silent = load("click_to_call_seller_silent")
        self._transfer = load("blind_transfer")
        self._serial = Serial()
        self._queue: list[tuple[float, int, SimulatedCall]] = []
        self._going_on: dict[int, SimulatedCall] = {}
        self._new = asyncio.Event()
        self._listeners: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.StreamWriter] = set()
        self._booted_at = clock()
        self._server: asyncio.Server | None = None
        self._player: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where to connect, as ``PBXCRM_AMI_URL`` wants it."""
        return f"ami://{self.user}:{self.secret}@{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._player = asyncio.create_task(self._play())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._player is not None
        self._player.cancel()
        await asyncio.gather(self._player, return_exceptions=True)
        self._server.close()
        for writer in list(self._connections):
            writer.transport.abort()
        await self._server.wait_closed()

    # calls

    @property
    def going_on(self) -> int:
        """The number of calls in progress."""
        return len(self._going_on)

    async def run(self, rate_per_minute: float) -> None:
        """Start random calls, ``rate_per_minute`` on average, until cancelled."""
        due = self._clock()
        while True:
            due += self._dice.expovariate(rate_per_minute / 60)
            if (wait := due - self._clock()) > 0:
                await asyncio.sleep(wait)
            self.begin()

    def begin(self, name: str | None = None, client: StoryCaller | None = None) -> str:
        """Begin a call from the story ``name``, or from a random one; returns the client's number."""
        name = name or self._dice.choices(list(PROGRAMME), list(PROGRAMME.values()))[0]
        client = client or self._crowd.somebody()
        self._start(self._stories[name], client, choose_phones(self._dice, self._extensions))
        return client.number

    def _start(
        self, story: RecordedCall, client: StoryCaller, phones: dict[str, str], call_id: str | None = None
    ) -> None:
        now = self._clock()
        cast = Cast(client, phones, self._serial, now, call_id)
        due = self._pace([line.offset for line in story.lines])
        call = SimulatedCall(cast, list(story.lines), [now + seconds for seconds in due], client.number, now)
        self._going_on[id(call)] = call
        self.played += 1
        self._plan(call)

    def _pace(self, offsets: list[float]) -> list[float]:
        return schedule(offsets, self._dice, self._stretch, self._speed)

    def _plan(self, call: SimulatedCall) -> None:
        heapq.heappush(self._queue, (call.due[0], self._serial.next(), call))
        self._new.set()

    async def _play(self) -> None:
        """Send every line when it is due."""
        while True:
            self._new.clear()
            wait = self._queue[0][0] - self._clock() if self._queue else None
            if wait is None or wait > 0:
                await wait_at_most(self._new, wait)
            self._say(b"".join(self._due_now()))
            await asyncio.sleep(0)

    def _due_now(self) -> list[bytes]:
        said = []
        while self._queue and self._queue[0][0] <= self._clock():
            due, _, call = heapq.heappop(self._queue)
            if not call.due or call.due[0] != due:
                continue  # somebody hung up or transferred the call meanwhile
            while call.due and call.due[0] <= self._clock():
                raw = call.cast.speak(call.lines.pop(0), call.due.pop(0))
                call.hear(raw)
                said.append(raw)
            if call.due:
                heapq.heappush(self._queue, (call.due[0], self._serial.next(), call))
            else:
                self._going_on.pop(id(call), None)
        return said

    def _say(self, data: bytes) -> None:
        if not data:
            return
        for writer in list(self._listeners):
            if writer.transport.get_write_buffer_size() > _SLOW:
                writer.transport.abort()
            else:
                writer.write(data)

    # the manager interface

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = Framer()
        self._connections.add(writer)
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        try:
            while data := await reader.read(65536):
                for raw in framer.feed(data):
                    self._answer(parse(raw), writer)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self._connections.discard(writer)
            self._listeners.discard(writer)
            writer.close()

    def _answer(self, action: Message, writer: asyncio.StreamWriter) -> None:
        name = action.get("Action", "").lower()
        mark = {"ActionID": action["ActionID"]} if "ActionID" in action else {}
        if name == "login":
            if (action.get("Username"), action.get("Secret")) != (self.user, self.secret):
                writer.write(_response("Error", mark, Message="Authentication failed"))
                return
            writer.write(_response("Success", mark, Message="Authentication accepted"))
            writer.write(event("FullyBooted", self._clock(), {"Status": "Fully Booted"}))
            self._listeners.add(writer)
        elif writer not in self._listeners:
            writer.write(_response("Error", mark, Message="Permission denied"))
        elif (do := getattr(self, f"_do_{name}", None)) is not None:
            do(action, mark, writer)
        else:
            writer.write(_response("Error", mark, Message="Invalid/unknown command"))

    def _do_ping(self, _: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(_response("Success", mark, Ping="Pong", Timestamp=f"{self._clock():.6f}"))

    def _do_listcommands(self, _: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(_response("Success", mark, **_COMMANDS))

    def _do_logoff(self, _: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(_response("Goodbye", mark, Message="Thanks for all the fish."))
        writer.close()

    def _do_corestatus(self, _: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        booted = datetime.fromtimestamp(self._booted_at, UTC)
        writer.write(
            _response(
                "Success",
                mark,
                CoreStartupDate=f"{booted:%Y-%m-%d}",
                CoreStartupTime=f"{booted:%H:%M:%S}",
                CoreCurrentCalls=str(len(self._going_on)),
            )
        )

    def _do_coresettings(self, _: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        writer.write(_response("Success", mark, AMIversion="11.0.0", AsteriskVersion=_VERSION))

    def _do_coreshowchannels(self, _: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        rows = []
        for call in self._going_on.values():
            bridge_of = {member: bridge for bridge, members in call.bridges.items() for member in members}
            lasted = datetime.fromtimestamp(self._clock() - call.began, UTC)
            for unique_id, channel in call.channels.items():
                more = {"BridgeId": bridge_of.get(unique_id, ""), "Duration": f"{lasted:%H:%M:%S}"}
                rows.append({**channel, **more})
        self._list(writer, mark, "CoreShowChannel", "CoreShowChannelsComplete", rows)

    def _do_bridgelist(self, _: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        ids = [bridge for call in self._going_on.values() for bridge in call.bridges]
        kind = {"BridgeType": "basic", "BridgeTechnology": "simple_bridge"}
        rows = [{"BridgeUniqueid": bridge, **kind} for bridge in ids]
        self._list(writer, mark, "BridgeListItem", "BridgeListComplete", rows)

    def _do_bridgeinfo(self, action: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        for call in self._going_on.values():
            if (members := call.bridges.get(action.get("BridgeUniqueid", ""))) is not None:
                rows = [call.channels[member] for member in members]
                self._list(writer, mark, "BridgeInfoChannel", "BridgeInfoComplete", rows)
                return
        writer.write(_response("Error", mark, Message="Bridge not found"))

    def _do_queuestatus(self, _: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        self._list(writer, mark, "QueueEntry", "QueueStatusComplete", [])

    def _list(self, writer: asyncio.StreamWriter, mark: Message, item: str, last: str, rows: list[Message]) -> None:
        now = self._clock()
        writer.write(_response("Success", mark, EventList="start", Message=f"{item} will follow"))
        writer.write(b"".join(event(item, now, mark, row) for row in rows))
        writer.write(event(last, now, mark, {"EventList": "Complete", "ListItems": str(len(rows))}))

    def _do_originate(self, action: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        """Ring the requested extension, then the number. With a number that ends in 00 the seller does not pick up."""
        number = action.get("Exten", "")
        extension = action.get("Channel", "").partition("/")[2].partition("@")[0]
        if not number or extension not in self._extensions:
            writer.write(_response("Error", mark, Message="Extension does not exist."))
            return
        writer.write(_response("Success", mark, Message="Originate successfully queued"))
        story = self._click_silent if number.endswith("00") else self._click
        self._start(story, StoryCaller(number, number), {"101": extension}, action.get("ChannelId"))

    def _do_hangup(self, action: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        found = self._find(action.get("Channel", ""))
        if found is None:
            writer.write(_response("Error", mark, Message="No such channel"))
            return
        call, _ = found
        writer.write(_response("Success", mark, Message="Channel Hungup"))
        self._going_on.pop(id(call), None)
        self._say(b"".join(call.end(self._clock())))

    def _do_blindtransfer(self, action: Message, mark: Message, writer: asyncio.StreamWriter) -> None:
        target = action.get("Exten", "")
        found = self._find(action.get("Channel", ""))
        if found is None or target not in self._extensions:
            writer.write(_response("Error", mark, Message="No such channel or extension"))
            return
        call, giver = found
        phone = giver["Channel"].partition("/")[2].rpartition("-")[0]
        number = StoryCaller(call.client_number, call.client_number)
        cast = Cast(number, {"101": phone, "103": target}, self._serial, self._clock())
        if not call.transfer(self._transfer, giver, cast, self._clock(), self._pace):
            writer.write(_response("Error", mark, Message="Nobody to transfer"))
            return
        writer.write(_response("Success", mark, Message="Transfer succeeded"))
        self._plan(call)

    def _find(self, channel: str) -> tuple[SimulatedCall, Message] | None:
        for call in self._going_on.values():
            if (found := call.find(channel)) is not None:
                return call, found
        return None


def _response(kind: str, mark: Message, **headers: str) -> bytes:
    return "".join(f"{k}: {v}\r\n" for k, v in {"Response": kind, **mark, **headers}.items()).encode() + b"\r\n"


async def simulate(
    rate_per_minute: float,
    host: str = "127.0.0.1",
    port: int = 5038,
    seed: int | None = None,
    *,
    secret: str | None = None,
    extensions: Sequence[str] = ("101", "102", "103", "104"),
    known: Sequence[StoryCaller] = (),
    ready: Callable[[str], None] | None = None,
) -> None:
    """Run a simulated PBX until cancelled; ``ready`` is called with its address, which holds the secret."""
    async with Simulator(
        host=host, port=port, seed=seed, secret=secret, extensions=extensions, known=known
    ) as simulator:
        if ready is not None:
            ready(simulator.url)
        await simulator.run(rate_per_minute)


def main() -> None:
    """Run the simulated PBX from a shell and print its address."""
    parser = argparse.ArgumentParser(description="A simulated PBX that plays recorded calls.")
    parser.add_argument("--rate", type=float, default=0.1, help="new calls per second")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5038)
    parser.add_argument("--seed", type=int)
    asked = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(simulate(asked.rate * 60, asked.host, asked.port, asked.seed, ready=print))


if __name__ == "__main__":
    main()
