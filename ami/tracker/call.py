"""A call in progress, with its channels and bridges as the PBX shows them (rules 1 and 3)."""

from datetime import datetime

from ami.tracker.endpoints import Endpoint, EndpointKind
from ami.tracker.legs import LegRecord
from pbxcrm.calls.facts import Direction, FactKind, Outcome, Transfer, TransferKind


class Bridge:
    """A bridge. In a holding bridge (parking, waiting, idle agents) nobody hears anybody."""

    __slots__ = ("holding", "id", "members")

    def __init__(self, bridge_id: str, *, holding: bool) -> None:
        self.id = bridge_id
        self.holding = holding
        self.members: dict[str, Channel] = {}


class Channel:
    """One channel, identified by its Uniqueid."""

    __slots__ = (
        "alive", "born_at", "bridge", "call", "dialled", "dialled_by", "exten", "hangs_up", "hears_another_talk", "id",
        "is_first", "linkedid", "met_late", "name", "other_half", "place", "up",
    )  # fmt: skip

    def __init__(
        self, channel_id: str, name: str, linkedid: str, place: Endpoint, born_at: datetime, call: "TrackedCall"
    ) -> None:
        self.id = channel_id
        self.name = name
        self.linkedid = linkedid
        self.place = place
        self.born_at = born_at
        self.call = call
        self.exten = ""
        self.is_first = channel_id == linkedid  # the call began with this channel
        self.dialled = False  # the PBX calls this channel; the channel does not call the PBX
        self.dialled_by: Channel | None = None
        self.up = False
        self.hangs_up = False  # the far end has hung up; the PBX will end the channel in a moment
        self.hears_another_talk = False  # in a bridge, through a program
        self.met_late = False  # first seen in a snapshot
        self.alive = True
        self.bridge: Bridge | None = None
        self.other_half: Channel | None = None

    def enter(self, bridge: Bridge) -> None:
        """Leave the present bridge, if any, and enter ``bridge``."""
        self.leave()
        self.bridge = bridge
        bridge.members[self.id] = self

    def leave(self) -> None:
        """Leave the present bridge, if any."""
        if self.bridge is not None:
            self.bridge.members.pop(self.id, None)
            self.bridge = None

    def connected(self) -> "list[Channel]":
        """All channels this one can hear, including itself, through mixing bridges and Local pairs (rule 1).

        The halves of a Local pair are only a wire and are left out; so are recorders and announcers.
        """
        found: list[Channel] = []
        seen: set[str] = set()
        open_ends = [self]
        while open_ends:
            channel = open_ends.pop()
            bridge = channel.bridge
            if bridge is None or bridge.holding or bridge.id in seen:
                continue
            seen.add(bridge.id)
            for member in bridge.members.values():
                if member.place.kind is not EndpointKind.LOCAL:
                    found.append(member)
                elif member.other_half is not None:
                    open_ends.append(member.other_half)
        return found


class Talker:
    """A phone that talks to the other side, or did so a moment ago."""

    __slots__ = ("channel", "gone_for_good_at", "left_at")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.left_at: datetime | None = None  # disconnected since; None while connected
        self.gone_for_good_at: datetime | None = None  # when its leaving is told, by the listener's clock


class Successor:
    """The phone that joined the client after ``before`` had left: a transfer, if ``before`` hangs up by ``until``."""

    __slots__ = ("before", "extension", "until")

    def __init__(self, before: Talker, extension: str, until: datetime) -> None:
        self.before = before
        self.extension = extension
        self.until = until  # by the listener's clock


class TrackedCall:
    """A group of channels that belong together (rule 3), named by the Linkedid of the first.

    ``first`` is the earliest channel we know of: the client's trunk channel, or the phone that calls.
    """

    def __init__(self, pbx: str, name: str, started_at: datetime, position: int | None) -> None:
        self.pbx = pbx
        self.name = name
        self.started_at = started_at
        self.position = position  # journal position of its first message
        self.linkedids = {name}
        self.channels: dict[str, Channel] = {}  # alive
        self.channel_ids: dict[str, None] = {}  # all channels it ever had, in order
        self.first: Channel | None = None
        self.direction = Direction.INTERNAL

        # Who calls whom
        self.client_heard: str | None = None
        self.client_name: str | None = None
        self.withheld = False
        self.did: str | None = None
        self.dialled: str | None = None
        self.asked_for: str | None = None  # click-to-call: the number the Originate was for
        self.sent: str | None = None  # outbound: the number sent to the trunk, with any prefix the carrier needs
        self.dialled_first: tuple[str, ...] = ()  # what was dialled before that, the number a person dialled first
        self.shown_outside: str | None = None  # the PBX itself calls an outside number: the caller id it shows there
        self.trunk: str | None = None
        self.made_by: str | None = None
        self.tries_outside = False  # the dialplan dialled a trunk, perhaps without success (a hint)
        self.originated = False  # the PBX itself began the call: Originate, click-to-call
        self.is_among_phones = False  # originated, and it turned out that two phones talk
        self.listens = False  # originated so that one of our phones hears another talk: a supervisor
        self.recording: str | None = None

        # What happens to it
        self.legs: dict[str, LegRecord] = {}
        self.rang: dict[str, None] = {}
        self.talking: dict[str, Talker] = {}
        self.talked: dict[str, None] = {}
        self.talked_channels: set[str] = set()
        self.answered_at: datetime | None = None
        self.last_talker: Talker | None = None
        self.transfers: list[Transfer] = []
        self.pending_transfer: tuple[str, TransferKind] | None = None  # who transfers, how; nobody reached yet
        self.successor: Successor | None = None
        self.conferred_by: str | None = None  # the extension that turned a consultation into a conference of three
        self.forwards: dict[str, str] = {}  # where a phone forwarded to ("Local/104@office") → the phone's extension
        self.queue: str | None = None
        self.left_queue_at: datetime | None = None
        self.queue_hint: str | None = None  # the dialplan entered a queue that sent no event
        self.queue_status: str | None = None
        self.dial_status: str | None = None
        self.was_picked_up_by_pbx = False
        self.left_voicemail = False
        self.closed_hours = False
        self.caller_hung_up = False
        self.was_hung_up = False  # somebody or the dialplan hung up, by the PBX's own record; not the stop of the PBX
        self.was_let_go = False  # the dialplan ended it: the PBX reports when callers hang up, and none did
        self.hung_up_after_queue = False
        self.caller_cause: int | None = None
        self.quiet_since: datetime | None = None  # no event since then; by the listener's clock

        # How it ends
        self.ended_at: datetime | None = None
        self.outcome = Outcome.OPEN
        self.release_at: datetime | None = None  # the verdict is held until then, by the listener's clock
        self.was_stopped = False  # the PBX stopped right after the end, and may have caused it

        # Which facts were told
        self.told: dict[tuple[FactKind, str], int] = {}
        self.told_ringing: dict[str, None] = {}
        self.told_queue: str | None = None
        self.untold_hangups: dict[str, None] = {}  # extensions whose phone, once picked up, hung up after the last fact
        self.told_description: tuple[object, ...] = ()

    # --- who is who -----------------------------------------------------------------------------------------------

    @property
    def has_client(self) -> bool:
        """Whether a party outside the office takes part."""
        return self.direction is not Direction.INTERNAL

    @property
    def answered_by(self) -> str | None:
        """The first extension that talked; None for an outbound call, where the other side answered."""
        if self.direction is Direction.OUTBOUND:
            return None
        return next((extension for extension in self.talked if extension != self.made_by), None)

    @property
    def click_to_call(self) -> bool:
        """Whether the PBX was told to make this outbound call (Originate)."""
        return self.originated and self.direction is Direction.OUTBOUND

    @property
    def has_line(self) -> bool:
        """Whether an outside line takes part: the call came in by it, or it was dialled."""
        return self.direction is Direction.INBOUND or any(leg.extension is None for leg in self.legs.values())

    @property
    def is_half(self) -> bool:
        """Whether it is only an outside number called by a program, which will connect it to somebody later."""
        return (
            self.originated
            and self.answered_at is None
            and self.has_line
            and all(leg.extension is None for leg in self.legs.values())
            and all(channel.place.kind is not EndpointKind.PHONE for channel in self.channels.values())
        )

    @property
    def is_over(self) -> bool:
        """Whether the verdict has been given."""
        return self.outcome is not Outcome.OPEN

    @property
    def is_finished(self) -> bool:
        """Whether nothing can be added to it: it is over, or its client left after a talk and only the verdict is pending."""
        return self.is_over or (self.has_client and self.answered_at is not None and self.ended_at is not None)

    def client_channels(self) -> list[Channel]:
        """The client's live channels: the trunk channel the call came in by, or those it goes out by."""
        if self.direction is Direction.INBOUND:
            return [self.first] if self.first is not None and self.first.alive else []
        return [c for c in self.channels.values() if c.place.kind is EndpointKind.TRUNK and c.dialled]

    def leg_of(self, channel: Channel, at: datetime) -> LegRecord:
        """The channel's leg; a new one that begins ``at`` if there was none."""
        leg = self.legs.get(channel.id)
        if leg is None:
            leg = self.legs[channel.id] = LegRecord(channel.id, channel.place.extension, at)
        return leg

    @property
    def caller_is_gone(self) -> bool:
        """Whether the verdict can be given: no channel is left, or only phones that had been talking to the client.

        A client who hung up does not come back (rule 5). The maker of an outbound call may try another line until they hang up.
        """
        if not self.channels:
            return True
        first_is_gone = self.first is not None and not self.first.alive
        if self.direction is Direction.INBOUND:
            return first_is_gone
        if self.direction is Direction.OUTBOUND:
            return not self.client_channels() and (first_is_gone or self.answered_at is not None)
        return False

    # --- what is told ---------------------------------------------------------------------------------------------

    def description(self) -> tuple[object, ...]:
        """The values whose change causes an ``updated`` fact."""
        return (
            self.direction, self.client_heard, self.client_name, self.withheld, self.trunk, self.did, self.dialled,
            self.made_by, self.recording, self.closed_hours, self.originated, self.left_voicemail, self.answered_at,
        )  # fmt: skip

    def talked_in_order(self) -> tuple[str, ...]:
        """The extensions that talked, in order; the maker of the call always comes first."""
        if self.made_by in self.talked:
            return (self.made_by, *(extension for extension in self.talked if extension != self.made_by))
        return tuple(self.talked)
