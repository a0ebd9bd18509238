"""Tells whether the PBXs are heard now: people at the phone must know when they are not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.pbx.models import PbxStatus
from pbxcrm.pbx.queries import pbx_statuses
from pbxcrm.pbx.state import PbxState
from pbxcrm.upkeep.health import STALE_SECONDS


@dataclass(frozen=True, slots=True)
class Silence:
    """The PBXs that are not heard.

    ``since``: when one of them last said anything to a listener, be it only the answer to a ping. ``last_event_at``: the latest event;
    a PBX may have been quiet for hours before it went away. Each is None if there never was one.
    """

    pbxs: tuple[str, ...]
    since: datetime | None
    last_event_at: datetime | None


async def load_silence(session: AsyncSession, configured: Sequence[str], now: datetime) -> Silence | None:
    """The silent PBXs among ``configured`` (names in the settings); None while a listener follows all of them."""
    found = {status.pbx: status for status in await pbx_statuses(session)}
    silent = [name for name in configured if not _heard(found.get(name), now)]
    if not silent:
        return None
    gone = [status for name in silent if (status := found.get(name)) is not None]
    return Silence(
        tuple(silent),
        _latest([_last_contact(status) for status in gone]),
        _latest([status.last_event_at for status in gone]),
    )


def _last_contact(status: PbxStatus) -> datetime | None:
    """Reports of an earlier version have no contact; there the report of a listener that is gone tells until when it listened."""
    reported_at = status.reported_at if status.state == PbxState.LISTENING else None
    return status.last_contact_at or reported_at


def _latest(moments: Sequence[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)


def _heard(status: PbxStatus | None, now: datetime) -> bool:
    if status is None or status.reported_at is None:
        return False
    return status.state == PbxState.LISTENING and (now - status.reported_at).total_seconds() < STALE_SECONDS
