"""A call as a JSON object, the same in ``pbxcrm replay`` and at the start of a call in the API."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from pbxcrm.calls.facts import Transfer


class Told(Protocol):
    """What ``CallState`` and the row ``Call`` have in common."""

    @property
    def linkedid(self) -> str:
        """The id of the call in Asterisk (Linkedid), unique per PBX."""

    @property
    def direction(self) -> str:
        """A ``Direction``: inbound, outbound or internal."""

    @property
    def outcome(self) -> str:
        """An ``Outcome``; ``open`` while the call is in progress."""

    @property
    def missed_reason(self) -> str | None:
        """A ``MissedReason``; None unless the call was missed."""

    @property
    def client_name(self) -> str | None:
        """The caller name from the PBX; None without one. Hostile text."""

    @property
    def did(self) -> str | None:
        """The own number that the client dialled; None if unknown."""

    @property
    def queue(self) -> str | None:
        """The last queue of the caller; None without one."""

    @property
    def made_by(self) -> str | None:
        """The extension that made an outbound or internal call; None for an inbound one."""

    @property
    def rang(self) -> Sequence[str]:
        """The extensions whose phones rang, in order."""

    @property
    def answered_by(self) -> str | None:
        """The first extension or outside number that talked to the client; None if nobody did."""

    @property
    def talked(self) -> Sequence[str]:
        """All extensions that talked, in order."""

    @property
    def transfers(self) -> Sequence[Transfer | Mapping[str, str]]:
        """The completed transfers, in order."""

    @property
    def started_at(self) -> datetime:
        """When the call began, aware UTC."""

    @property
    def answered_at(self) -> datetime | None:
        """When the first talk began; None if nobody talked."""

    @property
    def ended_at(self) -> datetime | None:
        """When the call ended; None while it is in progress."""

    @property
    def wait_seconds(self) -> float | None:
        """Seconds from the start to the first talk, or to the end; None while waiting."""

    @property
    def talk_seconds(self) -> float:
        """Seconds from the first talk to the end; 0 if nobody talked."""

    @property
    def click_to_call(self) -> bool:
        """Whether the PBX was told to make the call (Originate)."""


def as_object(call: Told, client_number: str | None) -> dict[str, Any]:
    """The call as a JSON object with keys in a fixed order; ``client_number`` as it should be shown."""
    return {
        "linkedid": call.linkedid,
        "direction": str(call.direction),
        "outcome": str(call.outcome),
        "missed_reason": str(call.missed_reason) if call.missed_reason else None,
        "client_number": client_number,
        "client_name": call.client_name,
        "did": call.did,
        "queue": call.queue,
        "made_by": call.made_by,
        "rang": list(call.rang),
        "answered_by": call.answered_by,
        "talked": list(call.talked),
        "transfers": [_transfer(transfer) for transfer in call.transfers],
        "started_at": rfc3339(call.started_at),
        "answered_at": rfc3339(call.answered_at),
        "ended_at": rfc3339(call.ended_at),
        "wait_seconds": _seconds(call.wait_seconds),
        "talk_seconds": _seconds(call.talk_seconds),
        "click_to_call": call.click_to_call,
    }


def rfc3339(at: datetime | None) -> str | None:
    """RFC 3339 in UTC: ``2026-11-21T17:43:14.250000Z``, without a fraction for whole seconds."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _transfer(transfer: Transfer | Mapping[str, str]) -> dict[str, str]:
    if isinstance(transfer, Transfer):
        return {"from": transfer.source, "to": transfer.target, "kind": str(transfer.kind)}
    return {"from": transfer["from"], "to": transfer["to"], "kind": transfer["kind"]}
