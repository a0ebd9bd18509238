"""Recorded calls that can be replayed with other people, numbers, phones and times.

The recordings in ``demo_calls`` were made on a real Asterisk 22 and stripped (``strip``) to the events the
tracker needs, so the simulated PBX sends what a real one sends, in the same order and with the same timing.
"""

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from ami.messages import Framer, is_wanted, parse

_DROPPED = re.compile(r"Privilege|.*Language|.*AccountCode|EventTV|ActionID")
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
#: What differs in each replay of a call: bridges, click-to-call ids, Uniqueids, channel suffixes, clients, names, phones.
_CHANGING = re.compile(
    rf"(?P<bridge>{_UUID})|(?P<click>\bclick-\d+\b)|(?P<unique>\b\d{{10}}\.\d+\b)|(?<=-)(?P<suffix>[0-9a-f]{{8}})\b"
    r"|(?P<number>\+380\d{9}\b)|(?P<name>\bOlena\b|Олена Шевченко|\bCRM\b)|(?<![\d+.])(?P<phone>10[1-4])(?!\d)"
)
_DID = re.compile(r"[1-3]\d0")  # what the client dialled in the recordings: 100, 110, 200, 210, 310

_PREFIXES = ("50", "63", "66", "67", "68", "73", "93", "95", "96", "97", "98", "99")
_FIRST = (
    "Олена",
    "Іван",
    "Марія",
    "Тарас",
    "Наталія",
    "Богдан",
    "Юлія",
    "Андрій",
    "Ірина",
    "Сергій",
    "Оксана",
    "Михайло",
)
_LAST = (
    "Шевченко",
    "Коваленко",
    "Бондаренко",
    "Ткаченко",
    "Кравченко",
    "Мельник",
    "Поліщук",
    "Гнатюк",
    "Савчук",
    "Лисенко",
)


@dataclass(frozen=True, slots=True)
class StoryCaller:
    """A caller from outside. ``name`` is the caller name from the operator, often only the number."""

    number: str
    name: str


@dataclass(frozen=True, slots=True)
class StoryEvent:
    """One event of a story: seconds after the call's beginning, and its text split at the parts that change."""

    offset: float
    pieces: tuple[tuple[str, str], ...]  # (kind, text); kind "" for text that does not change


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A recorded call."""

    name: str
    lines: tuple[StoryEvent, ...]

    @property
    def seconds(self) -> float:
        """How long the recording lasts."""
        return self.lines[-1].offset


def strip(stream: bytes) -> bytes:
    """The recording without the events and headers that the tracker does not need."""
    kept = []
    for raw in Framer().feed(stream):
        if is_wanted(raw):
            headers = parse(raw).items()
            kept.append("".join(f"{k}: {v}\r\n" for k, v in headers if not _DROPPED.fullmatch(k)) + "\r\n")
    return "".join(kept).encode()


def load(name: str) -> RecordedCall:
    """Load a story shipped with the product. Raises FileNotFoundError for an unknown name."""
    return make_story(name, (files("ami") / "demo_calls" / f"{name}.ami").read_bytes())


def make_story(name: str, stream: bytes) -> RecordedCall:
    """Make a story from a stripped recording."""
    messages = [parse(raw) for raw in Framer().feed(stream)]
    begin = float(messages[0]["Timestamp"])
    return RecordedCall(name, tuple(StoryEvent(float(m["Timestamp"]) - begin, tuple(_cut(m))) for m in messages))


def _cut(message: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for header, value in message.items():
        yield "", f"{header}: "
        if header == "Timestamp":
            yield "time", ""
        elif header == "Exten" and _DID.fullmatch(value):
            yield "did", value
        else:
            at = 0
            for found in _CHANGING.finditer(value):
                yield "", value[at : found.start()]
                yield found.lastgroup or "", found.group()
                at = found.end()
            yield "", value[at:]
        yield "", "\r\n"
    yield "", "\r\n"


class Cast:
    """The people and phones in one replay of a story, and the ids that Asterisk gives channels and bridges.

    All casts of a PBX share one ``serial``, so that no Uniqueid or channel name is used twice.
    """

    def __init__(
        self, client: StoryCaller, phones: Mapping[str, str], serial: "Serial", begin: float, call_id: str | None = None
    ) -> None:
        self._client = client
        self._phones = phones
        self._serial = serial
        self._epoch = int(begin)
        self._call_id = call_id
        self._given: dict[tuple[str, str], str] = {}
        self._instead: list[tuple[bytes, bytes]] = []

    def replace(self, invented: str, real: str) -> None:
        """From now on replace an invented name or id with one that already exists."""
        self._instead.append((invented.encode(), real.encode()))

    def speak(self, line: StoryEvent, now: float) -> bytes:
        """The bytes of one event, stamped ``now`` (seconds since 1970)."""
        said = "".join(
            text if not kind else f"{now:.6f}" if kind == "time" else self._name(kind, text)
            for kind, text in line.pieces
        ).encode()
        for invented, real in self._instead:
            said = said.replace(invented, real)
        return said

    def _name(self, kind: str, text: str) -> str:
        known = self._given.get((kind, text))
        if known is None:
            known = self._given[kind, text] = self._invent(kind, text)
        return known

    def _invent(self, kind: str, text: str) -> str:
        match kind:
            case "phone":
                return self._phones.get(text, text)
            case "number":
                return self._client.number
            case "name":
                return self._client.name
            case "did":
                return f"380443330{text}"
            case "suffix":
                return f"{self._serial.next():08x}"
            case "bridge":
                return f"00000000-0000-4000-8000-{self._serial.next():012x}"
            case "click" if self._call_id:
                return self._call_id
            case _:
                return f"{self._epoch}.{self._serial.next()}"


class Serial:
    """A counter that starts at 0."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """The next number; unique in one run of the simulator."""
        self._last += 1
        return self._last


class Crowd:
    """The clients who call: new ones, and ones who have called before or are ``known`` from the beginning."""

    def __init__(self, dice: random.Random, again: float = 0.35, known: Iterable[StoryCaller] = ()) -> None:
        self._dice = dice
        self._again = again
        self._known: list[StoryCaller] = list(known)

    def somebody(self) -> StoryCaller:
        """A random client: with probability ``again`` a known one, else a new one."""
        dice = self._dice
        if self._known and dice.random() < self._again:
            return dice.choice(self._known)
        number = f"+380{dice.choice(_PREFIXES)}{dice.randrange(10**7):07d}"
        name = f"{dice.choice(_FIRST)} {dice.choice(_LAST)}" if dice.random() < 0.6 else number
        client = StoryCaller(number, name)
        self._known = [*self._known[-200:], client]
        return client


def choose_phones(dice: random.Random, phones: Sequence[str]) -> dict[str, str]:
    """Map each phone of the recordings to a different random one of ``phones``."""
    recorded = ["101", "102", "103", "104"]
    chosen = dice.sample(list(phones), k=min(len(phones), len(recorded)))
    return dict(zip(recorded, chosen, strict=False))
