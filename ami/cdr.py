"""Asterisk's call detail records (cdr_csv), the second best source for a call that nobody heard.

A CDR's ``ANSWERED`` proves little: a menu, a queue's music and a leg that was never connected also count as "answered".
It proves a talk only when one record holds the caller's own channel and a phone's channel. When only Local channels link
them (FollowMe, queues with Local members), a talk looks the same as a confirmation that was not given: unknown.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from ami.cel import parse_time, tail, utc_shift, whole_quarters
from ami.messages import Message


@dataclass(frozen=True, slots=True)
class CallDetailRecord:
    """One call detail record; times are aware UTC."""

    source: str
    destination: str
    context: str
    channel: str
    dest_channel: str
    app: str
    app_data: str
    start: datetime
    answer: datetime | None
    end: datetime
    duration: timedelta
    disposition: str
    unique_id: str
    linked_id: str

    @property
    def is_talk(self) -> bool:
        """Whether the record proves that two real channels talked."""
        return self.disposition == "ANSWERED" and bool(self.dest_channel) and not self.is_local

    @property
    def is_local(self) -> bool:
        """Whether one side of the record is a Local channel, which is not a telephone."""
        return self.channel.startswith("Local/") or self.dest_channel.startswith("Local/")


def read(path: Path, most: int = 32 << 20) -> list[CallDetailRecord]:
    """The records in the last ``most`` bytes of a cdr_csv file written with ``loguniqueid=yes``. Raises OSError.

    Columns: accountcode, src, dst, dcontext, clid, channel, dstchannel, lastapp, lastdata, start, answer, end, duration,
    billsec, disposition, amaflags, uniqueid, userfield and with ``newcdrcolumns=yes`` peeraccount, linkedid, sequence.
    """
    return list(_in_utc([record for line in csv.reader(tail(path, most)) if (record := _parse(line))]))


def _in_utc(records: Sequence[CallDetailRecord]) -> Iterator[CallDetailRecord]:
    """The records in UTC, even when the local clock changed for summer time in between.

    The first record of a channel gives the clock's offset: its start is the epoch in its Uniqueid. A later record may start at
    any time, so it takes the offset at the end of the record before. ``duration`` shows whether the clock changed meanwhile.
    """
    births = [utc_shift(record.start, record.unique_id) for record in records]
    shift = next((birth for birth in births if birth is not None), timedelta(0))
    for record, birth in zip(records, births, strict=True):
        change = whole_quarters(record.duration - (record.end - record.start))
        before = shift - change if birth is None else birth
        shift = before + change
        start, end, answer = record.start + before, record.end + shift, record.answer
        if answer is not None:
            answer += before if start <= answer + before <= end else shift
        yield replace(record, start=start, answer=answer, end=end)


def _parse(line: Sequence[str]) -> CallDetailRecord | None:
    if len(line) < 17 or not line[16]:
        return None
    start, end = parse_time(line[9]), parse_time(line[11])
    if start is None or end is None:
        return None
    duration = timedelta(seconds=int(line[12])) if line[12].isdecimal() else end - start
    return CallDetailRecord(
        source=line[1],
        destination=line[2],
        context=line[3],
        channel=line[5],
        dest_channel=line[6],
        app=line[7],
        app_data=line[8],
        start=start,
        answer=parse_time(line[10]),
        end=end,
        duration=duration,
        disposition=line[14],
        unique_id=line[16],
        linked_id=line[19] if len(line) > 19 and line[19] else line[16],
    )


def calls(records: Iterable[CallDetailRecord]) -> list[list[CallDetailRecord]]:
    """The records grouped by call (Linkedid), in the order of the first record of each."""
    groups: dict[str, list[CallDetailRecord]] = {}
    for record in records:
        groups.setdefault(record.linked_id, []).append(record)
    return list(groups.values())


def is_certain(call: Sequence[CallDetailRecord]) -> bool:
    """Whether the records prove how the call ended: somebody talked, or no answered record is of a Local channel."""
    return any(r.is_talk for r in call) or not any(r.disposition == "ANSWERED" and r.is_local for r in call)


def messages(call: Sequence[CallDetailRecord]) -> Iterator[tuple[datetime, Message]]:
    """The AMI events that follow from a call's records. Dialled channels get an invented Uniqueid."""
    said: list[tuple[datetime, Message]] = []
    ended: dict[str, tuple[datetime, Message]] = {}
    for number, record in enumerate(call):
        caller = _channel(record.channel, record.unique_id, record)
        caller |= {"CallerIDNum": record.source, "Exten": record.destination}
        if record.unique_id not in ended:
            said.append((record.start, {"Event": "Newchannel", **caller, "ChannelStateDesc": "Ring"}))
            if record.app == "Queue":
                queue = record.app_data.partition(",")[0]
                said.append((record.start, {"Event": "QueueCallerJoin", **caller, "Queue": queue}))
        ended[record.unique_id] = (max(record.end, ended.get(record.unique_id, (record.end,))[0]), caller)
        if record.answer and not record.dest_channel:
            said.append((record.answer, {"Event": "Newstate", **caller, "ChannelStateDesc": "Up"}))  # by the PBX itself
        if record.dest_channel:
            said += _leg(record, caller, _channel(record.dest_channel, f"{record.unique_id}-cdr{number}", record))
    said += [(at, {"Event": "Hangup", **caller}) for at, caller in ended.values()]
    return iter(sorted(said, key=lambda pair: pair[0]))


def _leg(record: CallDetailRecord, caller: Message, phone: Message) -> Iterator[tuple[datetime, Message]]:
    dest = {f"Dest{key}": value for key, value in phone.items()}
    yield record.start, {"Event": "Newchannel", **phone, "ChannelStateDesc": "Down"}
    yield record.start, {"Event": "DialBegin", **caller, **dest}
    if record.disposition in {"ANSWERED", "NO ANSWER"}:
        yield record.start, {"Event": "Newstate", **phone, "ChannelStateDesc": "Ringing"}
    bridge = {"BridgeUniqueid": f"cdr-{phone['Uniqueid']}", "BridgeTechnology": "simple_bridge"}
    if record.is_talk:
        answer = record.answer or record.start
        yield answer, {"Event": "DialEnd", **caller, **dest, "DialStatus": "ANSWER"}
        for channel in (phone, caller):
            yield answer, {"Event": "BridgeEnter", **channel, **bridge}
        for channel in (phone, caller):
            yield record.end, {"Event": "BridgeLeave", **channel, **bridge}
    elif record.disposition != "NO ANSWER":  # then the times show who gave up: caller or phone
        status = "BUSY" if record.disposition == "BUSY" else "CHANUNAVAIL"
        yield record.end, {"Event": "DialEnd", **caller, **dest, "DialStatus": status}
    yield record.end, {"Event": "Hangup", **phone}


def _channel(name: str, unique_id: str, record: CallDetailRecord) -> Message:
    return {"Channel": name, "Uniqueid": unique_id, "Linkedid": record.linked_id, "Context": record.context}
