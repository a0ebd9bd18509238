"""The calls as the PBX's own record (CEL) has them, channel by channel, read without any code of the product."""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Protocol, Self

_EVENT, _TIME, _CHANNEL, _APPLICATION, _UNIQUE_ID, _EXTRA = 0, 1, 9, 10, 14, 19  # columns
_TELEPHONES = ("PJSIP/", "SIP/", "Local/")  # other channels are of programs and in no call
_LEAST = 0.05  # seconds; a phone that hangs up may be put into a bridge for a fraction of a millisecond
_GREETING = (
    1.0,
    5.0,
)  # seconds; who hangs up in a mailbox between these may have left a message, or only heard the greeting
_ONE_MOMENT = 0.02  # seconds between phones of which one may ring before the other, whichever was called first
#: Stories in which a phone is put through only to be asked something; that is no conversation.
ASKED_ONLY = {"followme_not_confirmed", "followme_confirmed", "followed_to_the_mobile"}


class CallToCompare(Protocol):
    """A call as the product tells it: a row of the database, or what its tracker says."""

    @property
    def linkedid(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def talked(self) -> Sequence[str]: ...
    @property
    def channel_ids(self) -> Sequence[str]: ...


@dataclass
class Record:
    """``names``: each channel's name by its Uniqueid. ``together``: seconds for which pairs of channels were in a bridge.

    ``in_greeting``: channels that hung up in a mailbox within ``_GREETING``: perhaps they left a message, and no row tells.
    ``spies``: channels through which somebody hears another talk (Snoop). ``ended``: channels whose end the PBX recorded; a PBX that is killed records none. ``born``: when each channel began.
    """

    names: dict[str, str] = field(default_factory=dict)
    spies: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    born: dict[str, float] = field(default_factory=dict)
    in_greeting: set[str] = field(default_factory=set)
    together: dict[frozenset[str], float] = field(default_factory=dict)  # endless when the PBX was killed meanwhile

    @classmethod
    def read(cls, path: Path) -> Self:
        record = cls()
        inside: dict[str, dict[str, float]] = defaultdict(dict)  # by bridge: when each channel came
        mailbox: dict[
            str, tuple[float, str]
        ] = {}  # by channel: when it came into a mailbox, and (then) when that ended
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.reader(file):
                if len(row) <= _EXTRA:
                    continue
                event, channel, at = row[_EVENT], row[_UNIQUE_ID], row[_TIME]
                if event == "CHAN_START" and row[_CHANNEL].startswith(_TELEPHONES):
                    record.names[channel] = row[_CHANNEL]
                    record.born[channel] = float(at)
                elif event == "CHAN_START" and row[_CHANNEL].startswith("Snoop/"):
                    record.spies.add(channel)
                elif row[_APPLICATION] == "VoiceMail" and event == "APP_START":
                    mailbox[channel] = float(at), ""
                elif row[_APPLICATION] == "VoiceMail" and event == "APP_END" and channel in mailbox:
                    mailbox[channel] = mailbox[channel][0], at
                elif event == "HANGUP" and channel in mailbox:
                    came, left = mailbox[channel]
                    if (
                        left == at and _GREETING[0] <= float(at) - came < _GREETING[1]
                    ):  # else the dialplan went on in between
                        record.in_greeting.add(channel)
                elif event == "CHAN_END":
                    record.ended.add(channel)
                elif event == "BRIDGE_ENTER":
                    bridge = inside[json.loads(row[_EXTRA])["bridge_id"]]
                    bridge[channel] = float(at)
                elif event == "BRIDGE_EXIT":
                    bridge = inside[json.loads(row[_EXTRA])["bridge_id"]]
                    came = bridge.pop(channel, float(at))  # what is put into a bridge by a merge of two has no row
                    for other, other_came in bridge.items():
                        record._note(channel, other, float(at) - max(came, other_came))
        for bridge in inside.values():
            for one, other in combinations(bridge, 2):
                record._note(one, other, math.inf)
        return record

    def _note(self, one: str, other: str, seconds: float) -> None:
        pair = frozenset({one, other})
        self.together[pair] = self.together.get(pair, 0.0) + seconds

    def lacks_the_end_of(self, channels: Iterable[str]) -> bool:
        """Whether the PBX was killed before it recorded that these channels hung up: their last moment is in no row."""
        return not (self.names.keys() & set(channels)) <= self.ended

    def rang_in_one_order(self, one: Sequence[str], other: Sequence[str], channels: Iterable[str]) -> bool:
        """Whether two lists of phones that rang differ at most by the order of those that were called in one moment.

        The rows of such phones stand in the order in which their channels were made, which is not that in which they rang.
        """
        if sorted(one) != sorted(other):
            return False
        began: dict[str, float] = {}
        for channel in self.names.keys() & set(channels):
            technology, _, rest = self.names[channel].partition("/")
            if technology != "Local":
                phone = rest.rpartition("-")[0]
                began[phone] = min(began.get(phone, math.inf), self.born[channel])
        swapped = [(a, b) for a, b in combinations(one, 2) if other.index(a) > other.index(b)]
        return all(abs(began.get(a, 0.0) - began.get(b, math.inf)) <= _ONE_MOMENT for a, b in swapped)

    def differences(self, rows: Iterable[CallToCompare], channels: Set[str], *, asked_only: bool = False) -> list[str]:
        """What the ``rows`` tell otherwise about these channels. ``asked_only``: being in a bridge need not be a conversation."""
        known, rows = self.names.keys() & channels, list(rows)
        calls = {channel: [row for row in rows if channel in row.channel_ids] for channel in known}
        found = [f"{self.names[channel]} ({channel}) is in no call" for channel in known if not calls[channel]]
        pairs = [pair for pair in self.together if pair <= known]
        for pair in pairs:
            one, other = sorted(pair)
            if not any(row in calls[other] for row in calls[one]):
                found.append(f"{self.names[one]} and {self.names[other]} talked, and are in no call together")
        if not asked_only:
            for row in rows:
                heard = known & set(row.channel_ids)
                mine = [pair for pair in self.together if pair <= heard | self.spies and self.together[pair] >= _LEAST]
                found += self._unlike_talk(row, {channel for pair in mine for channel in pair} - self.spies)
        return [f"{what} (CEL)" for what in sorted(found)]

    def _unlike_talk(self, row: CallToCompare, talked: set[str]) -> list[str]:
        if bool(talked) != (row.outcome == "answered"):
            return [f"{row.linkedid} is {row.outcome}, and {len(talked)} of its channels were in a bridge"]
        ends = (self.names[channel].partition("/") for channel in talked)
        phones = {rest.rpartition("-")[0] for technology, _, rest in ends if technology != "Local"}
        silent = {phone for phone in phones if phone.isdecimal()} - set(row.talked)
        return [f"{row.linkedid}: {', '.join(sorted(silent))} talked, but only {row.talked} are told"] if silent else []
