"""Translates CEL rows into the AMI events they stand for, so that one tracker reads both.

CEL records who was called, who was in which bridge, who hung up and in which application; that is nearly all that AMI
would have sent. The rest is inferred from later rows: whether a phone rang (it was not rejected at once), why a leg
ended (its caller was gone, or kept waiting), whether a message was left (the caller stayed in the voicemail longer than
its greeting).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ami.cel import Row
from ami.messages import Message

SHUTDOWN: Message = {"Event": "Shutdown"}
STARTED: Message = {"Event": "PbxcrmStarted"}  # the PBX has restarted; AMI itself sends that only at a login
HUNG_UP_BY = "PbxcrmHungUpBy"  # an event: who hung up a channel; nobody is named when the PBX itself stopped
#: The time of an event, and the event.
Told = tuple[datetime, Message]

_AT_ONCE = timedelta(milliseconds=500)  # too fast for a person to reject
_SAME_MOMENT = timedelta(seconds=1)
_IN_NO_TIME = timedelta(milliseconds=50)  # too short to say a word
_NEVER_WAITED = timedelta(milliseconds=50)  # a queue that accepts nobody is left at once
_GREETING = timedelta(seconds=5)  # a caller who hangs up sooner has only heard the greeting
_NEVER_RUNG = {"1", "3", "20", "27", "34", "38"}  # Q.850: unreachable
_REFUSED = {"17", "21", "23"}  # busy, rejected, forwarded: at once by the phone, later by a person
_CALLER_GAVE_UP = {"", "0", "127"}
_BY_CALLER = {*_CALLER_GAVE_UP, "16"}
_STATUS = {"17": "BUSY", "21": "NOANSWER", "26": "CANCEL"} | dict.fromkeys(_NEVER_RUNG, "CHANUNAVAIL")
_COUNTER = re.compile(r"(?:.*-)?(\d{9,11})\.(\d+)")


def messages(
    rows: Iterable[Row],
    known: Collection[int] | None = None,
    there: Mapping[str, Message] | None = None,
    restarted: bool = False,
    heard_until: datetime | None = None,
) -> Iterator[Told]:
    """The AMI events that rows stand for, in the order of the rows. Rows of several calls may be mixed.

    ``known``: the ``id()`` of the rows to translate (None: all); the others only show what followed. ``there``: the live
    channels by Uniqueid, as ``CoreShowChannel`` describes them. ``restarted``: the PBX was restarted before the file's end or
    right after it, and after ``heard_until``: an earlier restart in the file is another one.
    """
    translation = _Translation(list(rows), there or {}, heard_until)
    for row in translation.rows:
        if known is not None and id(row) not in known:
            continue
        if row.event == "CHAN_START":
            yield from translation.stop_before(row)
        for message in translation.of(row):
            yield row.at, message
    if restarted and not translation.was_started_anew:
        yield from translation.stop()


class _Translation:
    def __init__(self, rows: Sequence[Row], there: Mapping[str, Message], heard_until: datetime | None = None) -> None:
        self.rows = rows
        self._heard_until = heard_until
        self._there = there
        self._hangups = {row.unique_id: row for row in rows if row.event == "HANGUP"}
        self._forwards = [row for row in rows if row.event == "FORWARD"]
        self._answers: dict[str, Row] = {}
        self._originated: dict[str, Row] = {}
        for row in rows:
            if row.event == "ANSWER":
                self._answers.setdefault(row.unique_id, row)
            if row.app == "AppDial2" and row.unique_id == row.linked_id:
                self._originated.setdefault(row.unique_id, row)
        for row in rows:  # nobody has answered yet, but the snapshot shows an Originate
            shown = there.get(row.unique_id, {})
            if shown.get("Application") == "AppDial2" and row.unique_id == row.linked_id:
                number, name = shown.get("CallerIDNum", row.number), shown.get("CallerIDName", row.name)
                self._originated.setdefault(row.unique_id, replace(row, number=number, name=name))
        self._ids = {row.channel: row.unique_id for row in rows}  # names repeat only after a restart
        self._linkedids: dict[str, str] = {}  # the present Linkedid of each channel
        self._alive: dict[str, Row] = {}  # CHAN_START rows of live channels
        self._dialling: dict[str, Row] = {}  # channels that dial now, with their application row; the latest last
        self._dialled_by: dict[str, Row] = {}  # dialled channel → row of the dialling channel
        self._told: set[str] = set()  # legs whose DialEnd was sent
        self._waiting: dict[str, Row] = {}  # callers in a queue
        self._in_mailbox: dict[str, Row] = {}
        self._born_last = (0, -1)
        self.was_started_anew = False
        self._asked_to_hang_up: set[str] = set()
        self._last = rows[0] if rows else None
        self._indexes = {id(row): number for number, row in enumerate(rows)}

    def of(self, row: Row) -> Iterator[Message]:
        """The events of one row; rows must be passed in order."""
        self._last = row
        self._linkedids[row.unique_id] = row.linked_id
        if row.app == "FollowMe" and row.unique_id not in self._dialling and row.event != "APP_END":
            self._dials(row)  # FollowMe dials too, and old configurations do not log its start
        match row.event:
            case "CHAN_START":
                yield from self._born(row)
            case "APP_START":
                yield from self._application(row)
            case "APP_END":
                yield from self._application_left(row)
            case "ANSWER":
                yield from self._picked_up(row)
            case "BRIDGE_ENTER":
                yield from self._served(row)
                yield from self._gone_before(row)
                yield _bridge("BridgeEnter", row)
            case "BRIDGE_EXIT":
                yield _bridge("BridgeLeave", row)
            case "FORWARD":
                yield from self._forwarded(row)
            case "PICKUP":
                yield self._pickup(row)
            case "BLINDTRANSFER":
                yield self._blind(row)
            case "ATTENDEDTRANSFER":
                yield self._attended(row)
            case "HANGUP":
                yield from self._hung_up(row)
            case "CHAN_END":
                self._alive.pop(row.unique_id, None)
                self._dialling.pop(row.unique_id, None)
                over = self._hangups.get(row.unique_id)
                source = "" if over is None else over.extra.get("hangupsource", "")
                yield {"Event": "Hangup", **_channel(row), "Cause": self._cause(row.unique_id), "HangupSource": source}
                if source:  # told also if the Hangup itself was heard: AMI does not say who hung up
                    yield {"Event": HUNG_UP_BY, "Uniqueid": row.unique_id, "HangupSource": source}
            case _:
                pass

    def stop_before(self, row: Row) -> Iterator[Told]:
        """The stop of the PBX, if this birth shows a restart: Asterisk counts channels from 0 after each start.

        Channels without a hangup, or without a hangup source just before, were cut off.
        """
        found = _COUNTER.fullmatch(row.unique_id)
        if found is None:
            return
        born = (int(found[1]), int(found[2]))
        before, self._born_last = self._born_last, max(self._born_last, born)
        if before[1] >= 0 and born[0] >= before[0] and born[1] == 0 and before[1] > 0 and self._last is not None:
            yield from self.stop()
            if self._heard_until is None or row.at > self._heard_until:
                yield row.at, STARTED
                self.was_started_anew = True
            self._alive.clear()
            self._dialling.clear()
            self._waiting.clear()
            self._born_last = born

    def stop(self) -> Iterator[Told]:
        """The stop of the PBX after the last translated row, if channels were still alive or were cut off."""
        if self._last is None:
            return
        last = self._hangups.get(self._last.unique_id)
        if self._alive or (last is not None and not last.extra.get("hangupsource")):
            yield self._last.at, SHUTDOWN

    # --- births and applications ----------------------------------------------------------------------------------

    def _born(self, row: Row) -> Iterator[Message]:
        self._alive[row.unique_id] = row
        here = _channel(row)
        originated = self._originated.get(row.unique_id)
        if originated is not None:  # the PBX itself calls: click-to-call
            dest = {f"Dest{key}": value for key, value in _channel(originated).items()}
            yield {"Event": "Newchannel", **here, "ChannelStateDesc": "Down"}
            yield {"Event": "DialBegin", **dest}
            if not row.channel.startswith("Local/") and self._rings(row):
                yield {"Event": "Newstate", **here, "ChannelStateDesc": "Ringing"}
            return
        calls_us = row.unique_id == row.linked_id or row.channel.endswith(";2")
        yield {"Event": "Newchannel", **here, "ChannelStateDesc": "Ring" if calls_us else "Down"}
        source = None if calls_us else self._who_dials(row)
        if source is None:
            return
        self._dialled_by[row.unique_id] = source
        dest = {f"Dest{key}": value for key, value in here.items()}
        yield {"Event": "DialBegin", **_channel(source), **dest, "DialString": _dial_string(source, row)}
        if not row.channel.startswith("Local/") and self._rings(row):
            yield {"Event": "Newstate", **here, "ChannelStateDesc": "Ringing"}

    def _rings(self, row: Row) -> bool:
        """Whether a phone that is called now rings: not if later rows show it busy or unreachable at once."""
        if row.unique_id in self._answers:
            return True
        over = self._hangups.get(row.unique_id)
        if over is None:
            return self._there.get(row.unique_id, {}).get("ChannelStateDesc", "Ringing") in {"Ringing", "Up"}
        cause = over.extra.get("hangupcause", "")
        turned_away = (
            cause in _REFUSED or over.extra.get("hangupsource") == row.channel or self._forwards_on(row, over.at)
        )
        return cause not in _NEVER_RUNG and not (turned_away and over.at - row.at < _AT_ONCE)

    def _forwards_on(self, row: Row, until: datetime) -> bool:
        """Whether the phone forwarded its call at the moment its own leg ended."""
        source = self._dialled_by.get(row.unique_id)
        return source is not None and any(
            forward.unique_id == source.unique_id and row.at <= forward.at <= until + _IN_NO_TIME
            for forward in self._forwards
        )

    def _who_dials(self, row: Row) -> Row | None:
        """The row that dialled this new channel: in its call, the latest that names its endpoint, else a queue, else the latest."""
        endpoint = row.channel.rpartition("-")[0]
        here = [
            source
            for source in reversed(self._dialling.values())
            if self._linkedids[source.unique_id] == row.linked_id and source.unique_id != row.unique_id
        ]
        named = next((source for source in here if endpoint and endpoint in source.app_data), None)
        behind = next((source for source in here if _endpoint_of(endpoint) in _dialled_endpoints(source)), None)
        return (
            named
            or behind
            or next((source for source in here if source.app == "Queue"), None)
            or next(iter(here), None)
        )

    def _application(self, row: Row) -> Iterator[Message]:
        data = row.app_data.partition(",")[0]
        match row.app:
            case "Dial":
                self._dials(row)
                yield {"Event": "Newexten", **_channel(row), "Application": "Dial", "AppData": row.app_data}
            case "Queue":
                self._dials(row)
                yield {"Event": "Newexten", **_channel(row), "Application": "Queue", "AppData": row.app_data}
                if self._is_let_in(row):
                    self._waiting[row.unique_id] = row
                    yield {"Event": "QueueCallerJoin", **_channel(row), "Queue": data}
            case "VoiceMail":
                self._in_mailbox[row.unique_id] = row
            case "UserEvent":
                yield _user_event(row)
            case _:
                pass

    def _dials(self, row: Row) -> None:
        self._dialling.pop(row.unique_id, None)
        self._dialling[row.unique_id] = row

    def _is_let_in(self, row: Row) -> bool:
        """Whether a queue accepts the caller: one without agents (joinempty) is left at once without calling anybody."""
        for number in range(self._indexes[id(row)] + 1, len(self.rows)):
            later = self.rows[number]
            if later.event == "CHAN_START" and later.linked_id == row.linked_id:
                return True
            if later.at - row.at > _NEVER_WAITED:
                return True
            if later.unique_id == row.unique_id and later.event in {"APP_END", "HANGUP"}:
                return False
        return True

    def _application_left(self, row: Row) -> Iterator[Message]:
        self._dialling.pop(row.unique_id, None)
        if row.app == "Queue":
            yield from self._leaves_queue(row)
        entered = self._in_mailbox.pop(row.unique_id, None)
        if entered is not None and row.app == "VoiceMail":
            stayed = row.at - entered.at
            if stayed >= (_GREETING if self._hangs_up_now(row.unique_id, row.at) else _SAME_MOMENT):
                yield {"Event": "VarSet", **_channel(row), "Variable": "VMSTATUS", "Value": "SUCCESS"}

    # --- queues, answers, transfers -------------------------------------------------------------------------------

    def _leaves_queue(self, row: Row) -> Iterator[Message]:
        entered = self._waiting.pop(row.unique_id, None)
        if entered is None:
            return
        yield from self._far_end_hangs_up(row)
        yield {"Event": "QueueCallerLeave", **_channel(row), "Queue": entered.app_data.partition(",")[0]}

    def _served(self, row: Row) -> Iterator[Message]:
        """A caller in a queue who enters a bridge has left the queue."""
        if row.app == "Queue":
            yield from self._leaves_queue(row)

    def _gone_before(self, row: Row) -> Iterator[Message]:
        """A channel connected at the moment it hangs up had hung up before; the file has that row last."""
        over = self._hangups.get(row.unique_id)
        if over is not None and over.at - row.at < _IN_NO_TIME and over.extra.get("hangupsource") == row.channel:
            yield from self._far_end_hangs_up(row)

    def _picked_up(self, row: Row) -> Iterator[Message]:
        yield {"Event": "Newstate", **_channel(row), "ChannelStateDesc": "Up"}
        yield from self._dial_ended(row, "ANSWER")

    def _dial_ended(self, row: Row, status: str, forward: str = "") -> Iterator[Message]:
        source = self._dialled_by.get(row.unique_id)
        if source is None or row.unique_id in self._told:
            return
        self._told.add(row.unique_id)
        dest = {f"Dest{key}": value for key, value in _channel(row).items()}
        more = {"Forward": forward} if forward else {}
        yield {"Event": "DialEnd", **self._now(source), **dest, "DialStatus": status, **more}

    def _now(self, row: Row) -> Message:
        return {**_channel(row), "Linkedid": self._linkedids.get(row.unique_id, row.linked_id)}

    def _forwarded(self, row: Row) -> Iterator[Message]:
        """A called phone forwards: the caller's RDNIS holds its extension; the new destination is a Local channel."""
        ways = [r for r in self._alive.values() if r.channel.startswith(f"Local/{row.extra.get('forward', '')}@")]
        if not ways:
            return
        legs = [
            leg
            for leg in self._alive.values()
            if (by := self._dialled_by.get(leg.unique_id)) is not None
            and by.unique_id == row.unique_id
            and leg.unique_id not in self._told
            and not leg.channel.startswith("Local/")
        ]
        leg = next((one for one in legs if row.redirecting and row.redirecting in one.channel), next(iter(legs), None))
        if leg is not None:
            yield from self._dial_ended(leg, "", ways[-1].channel.rpartition("-")[0])

    def _pickup(self, row: Row) -> Message:
        name = row.extra.get("pickup_channel", "")
        picker = self._party("", name, row.extra.get("pickup_channel_uniqueid", ""))
        self._told.add(row.unique_id)
        return {"Event": "Pickup", **picker, **{f"Target{key}": value for key, value in _channel(row).items()}}

    def _blind(self, row: Row) -> Message:
        extra = row.extra
        transferee = extra.get("transferee_channel_name", ""), extra.get("transferee_channel_uniqueid", "")
        return {
            "Event": "BlindTransfer",
            "Result": "Success",
            **{f"Transferer{key}": value for key, value in _channel(row).items()},
            **self._party("Transferee", *transferee),
            "Extension": extra.get("extension", ""),
        }

    def _attended(self, row: Row) -> Message:
        extra = row.extra

        def party(role: str, name: str) -> Message:
            return self._party(role, extra.get(f"{name}_name", ""), extra.get(f"{name}_uniqueid", ""))

        return {
            "Event": "AttendedTransfer",
            "Result": "Success",
            "DestType": "App" if extra.get("app") else "Bridge",
            **{f"OrigTransferer{key}": value for key, value in _channel(row).items()},
            **party("SecondTransferer", "channel2"),
            **party("Transferee", "transferee_channel"),
            **party("TransferTarget", "transfer_target_channel"),
        }

    def _party(self, role: str, name: str, unique_id: str) -> Message:
        """The headers of a channel that a row only names; none if it has no name ("N/A")."""
        unique_id = unique_id if unique_id not in {"", "N/A"} else self._ids.get(name, "")
        if not unique_id:
            return {}
        linkedid = self._linkedids.get(unique_id, "")
        return {f"{role}Channel": name, f"{role}Uniqueid": unique_id, f"{role}Linkedid": linkedid}

    # --- ends -----------------------------------------------------------------------------------------------------

    def _hung_up(self, row: Row) -> Iterator[Message]:
        if row.unique_id not in self._answers and row.unique_id in self._dialled_by:
            yield from self._dial_ended(row, self._why_unanswered(row))
        status = row.extra.get("dialstatus")
        if status:
            yield {"Event": "VarSet", **_channel(row), "Variable": "DIALSTATUS", "Value": status}
        yield from self._leaves_queue(row)
        yield from self._far_end_hangs_up(row)

    def _far_end_hangs_up(self, row: Row) -> Iterator[Message]:
        if row.unique_id not in self._asked_to_hang_up and self._hangs_up_now(row.unique_id, row.at):
            self._asked_to_hang_up.add(row.unique_id)
            yield {"Event": "HangupRequest", **_channel(row)}

    def _why_unanswered(self, row: Row) -> str:
        """The ``DialStatus`` of a leg that nobody picked up."""
        known = _STATUS.get(row.extra.get("hangupcause", ""))
        if known is not None:
            return known
        source = self._dialled_by[row.unique_id]
        root = self._root(row.unique_id)
        if root is not None and self._hangs_up_now(root, row.at) and not self._rang_out(source, root):
            return "CANCEL"
        another = any(
            leg != row.unique_id and by.unique_id == source.unique_id and leg in self._answers and leg in self._told
            for leg, by in self._dialled_by.items()
        )
        return "CANCEL" if another else "NOANSWER"

    def _rang_out(self, source: Row, root: str) -> bool:
        """Whether the dial ended before its caller hung up: the dialplan went on, or the row says NOANSWER."""
        over = self._hangups.get(source.unique_id)
        if source.app != "Dial" or over is None or source.unique_id != root:
            return False
        later = (self.rows[number] for number in range(self._indexes[id(source)] + 1, self._indexes[id(over)]))
        went_on = any(row.unique_id == root and row.event in {"APP_START", "ANSWER"} for row in later)
        return went_on or over.extra.get("dialstatus") == "NOANSWER"

    def _root(self, unique_id: str) -> str | None:
        """The channel that began to dial, followed through Local channels; None in a loop."""
        for _ in range(20):  # stops a loop of forwards
            source = self._dialled_by.get(unique_id)
            if source is None:
                return unique_id
            unique_id = source.unique_id
            if source.channel.endswith(";2"):
                unique_id = self._ids.get(f"{source.channel[:-1]}1", unique_id)
        return None

    def _hangs_up_now(self, unique_id: str, at: datetime) -> bool:
        """Whether the far end of a channel, not the dialplan, hangs up within a second of ``at``."""
        row = self._hangups.get(unique_id)
        if row is None or row.at - at > _SAME_MOMENT:
            return False
        source = row.extra.get("hangupsource")
        if source is None:  # not in this file; most callers hang up themselves
            return row.extra.get("dialstatus", "CANCEL") == "CANCEL" and row.extra.get("hangupcause", "") in _BY_CALLER
        return source == row.channel

    def _cause(self, unique_id: str) -> str:
        row = self._hangups.get(unique_id)
        if row is None:
            return ""
        cause = row.extra.get("hangupcause", "")
        by_dialplan = row.extra.get("hangupsource", "").startswith("dialplan/")
        return "16" if by_dialplan and cause in _CALLER_GAVE_UP else cause


def _channel(row: Row) -> Message:
    return {
        "Channel": row.channel,
        "CallerIDNum": row.number,
        "CallerIDName": row.name,
        "Context": row.context,
        "Exten": row.exten,
        "Uniqueid": row.unique_id,
        "Linkedid": row.linked_id,
    }


def _bridge(event: str, row: Row) -> Message:
    bridge = row.extra.get("bridge_id", "")
    return {
        "Event": event,
        **_channel(row),
        "BridgeUniqueid": bridge,
        "BridgeTechnology": row.extra.get("bridge_technology", ""),
    }


def _user_event(row: Row) -> Message:
    """``UserEvent(PbxcrmRecording,File: a.wav)``, if ``cel.conf`` logs this application."""
    name, *headers = row.app_data.split(",")
    more = {key.strip(): value.strip() for key, colon, value in (h.partition(":") for h in headers) if colon}
    return {**more, "Event": "UserEvent", **_channel(row), "UserEvent": name.strip()}


def _dialled_endpoints(source: Row) -> set[str]:
    """``PJSIP/380…@trunk&SIP/other/380…`` calls the endpoints ``PJSIP/trunk`` and ``SIP/other``."""
    return {endpoint for _, endpoint in _addresses(source)}


def _addresses(source: Row) -> Iterator[tuple[str, str]]:
    """Each dialled device of a Dial row, and its endpoint."""
    for device in source.app_data.partition(",")[0].split("&"):
        technology, _, address = device.partition("/")
        endpoint, slash, _ = address.partition("/")
        if not slash and "@" in address and technology != "Local":
            endpoint = address.rpartition("@")[2]
        yield device, f"{technology}/{endpoint}"


def _endpoint_of(device: str) -> str:
    """The endpoint of a device: ``DAHDI/i1`` from ``DAHDI/i1/380…``."""
    technology, _, rest = device.partition("/")
    return f"{technology}/{rest.partition('/')[0]}"


def _dial_string(source: Row, row: Row) -> str:
    """The dial string of this channel without the technology, as in ``DialBegin``."""
    endpoint = _endpoint_of(row.channel.rpartition("-")[0])
    technology = endpoint.partition("/")[0]
    found = [(device, to) for device, to in _addresses(source) if device.startswith(f"{technology}/")]
    device = next((device for device, to in found if to == endpoint), found[0][0] if found else "")
    return device.partition("/")[2]
