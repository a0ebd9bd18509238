"""A call as a JSON object, the same in ``pbxcrm replay`` and at the start of a call in the API."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from pbxcrm.calls.facts import Transfer


class Told(Protocol):
    """What ``CallState`` and the row ``Call`` have in common."""

    @property
    def linkedid(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def missed_reason(self) -> str | None: ...
    @property
    def client_name(self) -> str | None: ...
    @property
    def did(self) -> str | None: ...
    @property
    def queue(self) -> str | None: ...
    @property
    def made_by(self) -> str | None: ...
    @property
    def rang(self) -> Sequence[str]: ...
    @property
    def answered_by(self) -> str | None: ...
    @property
    def talked(self) -> Sequence[str]: ...
    @property
    def transfers(self) -> Sequence[Transfer | Mapping[str, str]]: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def answered_at(self) -> datetime | None: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def wait_seconds(self) -> float | None: ...
    @property
    def talk_seconds(self) -> float: ...
    @property
    def click_to_call(self) -> bool: ...


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
