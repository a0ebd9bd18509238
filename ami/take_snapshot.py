"""Asks a PBX for its channels, bridges and queues right after the login. Live events wait in the link meanwhile."""

from collections.abc import Awaitable, Callable

from ami.errors import ActionRefused
from ami.snapshot import BridgeSeen, Headers, Snapshot, boot_time

#: ``Link.send``.
Send = Callable[..., Awaitable[list[Headers]]]


async def take_snapshot(send: Send) -> Snapshot:
    """Take a snapshot. Raises ActionRefused if our user lacks the right, LinkDown, ActionTimeout.

    A user with ``call`` but without ``reporting`` may still list the channels by ``Status``; the boot time stays unknown.
    """
    try:
        status = (await send({"Action": "CoreStatus"}))[0]
        core = (await send({"Action": "CoreSettings"}))[0]
        channels = await _rows(send, {"Action": "CoreShowChannels"}, "CoreShowChannel")
    except ActionRefused:
        status = core = {}
        channels = await _rows(send, {"Action": "Status"}, "Status")
    bridges = [await _bridge(send, row) for row in await _rows(send, {"Action": "BridgeList"}, "BridgeListItem")]
    try:
        waiting = await _rows(send, {"Action": "QueueStatus"}, "QueueEntry")
    except ActionRefused:
        waiting = ()  # a PBX without queues does not know the action
    return Snapshot(
        channels=channels,
        bridges=tuple(bridge for bridge in bridges if bridge),
        waiting=waiting,
        booted_at=boot_time(status),
        asterisk_version=core.get("AsteriskVersion"),
    )


async def _rows(send: Send, action: Headers, event: str) -> tuple[Headers, ...]:
    answer = await send(action, as_list=True)
    return tuple(
        {name: value for name, value in message.items() if name != "ActionID"}
        for message in answer
        if message.get("Event") == event
    )


async def _bridge(send: Send, row: Headers) -> BridgeSeen | None:
    bridge_id = row.get("BridgeUniqueid", "")
    try:
        members = await _rows(send, {"Action": "BridgeInfo", "BridgeUniqueid": bridge_id}, "BridgeInfoChannel")
    except ActionRefused:
        return None  # destroyed since it was listed
    ids = tuple(member["Uniqueid"] for member in members if "Uniqueid" in member)
    return BridgeSeen(bridge_id, row.get("BridgeType", ""), row.get("BridgeTechnology", ""), ids)


async def clock_offset(send: Send, our_time: Callable[[], float]) -> float | None:
    """The PBX's clock minus ours, in seconds, from the Timestamp in the answer to a Ping; None if there is none."""
    before = our_time()
    answer = (await send({"Action": "Ping"}))[0]
    try:
        return float(answer["Timestamp"]) - (before + our_time()) / 2
    except (KeyError, ValueError):
        return None
