"""Channels and bridges as the PBX shows them, and who is connected to whom (rules 1 and 3)."""

from datetime import datetime
from typing import TYPE_CHECKING

from ami.tracker.endpoints import Endpoint, Kind

if TYPE_CHECKING:
    from ami.tracker.call import Call


class Bridge:
    """A mixing bridge. In a holding bridge (parking, waiting rooms, agents at rest) nobody hears anybody."""

    __slots__ = ("holding", "id", "members")

    def __init__(self, bridge_id: str, *, holding: bool) -> None:
        self.id = bridge_id
        self.holding = holding
        self.members: dict[str, Channel] = {}


class Channel:
    """One channel, known by its Uniqueid. What its first event said of the caller is frozen here."""

    __slots__ = (
        "alive", "born_at", "bridge", "call", "dialled", "dialled_by", "exten", "id", "is_first", "linkedid",
        "name", "other_half", "place", "up",
    )  # fmt: skip

    def __init__(
        self, channel_id: str, name: str, linkedid: str, place: Endpoint, born_at: datetime, call: "Call"
    ) -> None:
        self.id = channel_id
        self.name = name
        self.linkedid = linkedid
        self.place = place
        self.born_at = born_at
        self.call = call
        self.exten = ""
        self.is_first = channel_id == linkedid  # the call began with this channel
        self.dialled = False  # somebody is calling this channel, it is not calling us
        self.dialled_by: Channel | None = None
        self.up = False
        self.alive = True
        self.bridge: Bridge | None = None
        self.other_half: Channel | None = None

    def enter(self, bridge: Bridge) -> None:
        """Stand in ``bridge``, and nowhere else."""
        self.leave()
        self.bridge = bridge
        bridge.members[self.id] = self

    def leave(self) -> None:
        """Stand in no bridge."""
        if self.bridge is not None:
            self.bridge.members.pop(self.id, None)
            self.bridge = None

    def connected(self) -> "list[Channel]":
        """Everybody this channel can hear, itself among them: through mixing bridges and through Local pairs (rule 1).

        The two halves of a Local pair are a wire, not somebody, and are left out, as are recorders and announcers.
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
                if member.place.kind is not Kind.LOCAL:
                    found.append(member)
                elif member.other_half is not None:
                    open_ends.append(member.other_half)
        return found
