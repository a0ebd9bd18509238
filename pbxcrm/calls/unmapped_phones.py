"""Finds telephones that the settings treat as outside lines."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.facts import Direction
from pbxcrm.calls.models import Call
from pbxcrm.shared.settings import Settings

_LATEST = 20_000  # number of latest calls to examine
_LONGEST_EXTENSION = 5  # digits


@dataclass(frozen=True, slots=True)
class UnmappedEndpoint:
    """A telephone treated as an outside line: its ``number`` is as short as an extension. ``setting``: the setting that fixes it."""

    pbx: str
    endpoint: str
    number: str
    calls: int
    setting: str


async def unmapped_endpoints(session: AsyncSession, settings: Settings) -> list[UnmappedEndpoint]:
    """Such endpoints in the latest calls, by PBX and endpoint: for example MikoPBX's ``101-WS``, or endpoints that are names."""
    newest = (await session.exec(select(func.max(Call.id)))).one() or 0
    heard = (
        await session.exec(
            select(Call.pbx, Call.trunk, func.min(Call.client_heard), func.count())
            .where(
                col(Call.id) > newest - _LATEST,
                Call.direction == Direction.INBOUND.value,
                col(Call.trunk).is_not(None),
                func.length(Call.client_heard).between(2, _LONGEST_EXTENSION),
            )
            .group_by(col(Call.pbx), col(Call.trunk))
            .order_by(col(Call.pbx), col(Call.trunk))
            .limit(200)
        )
    ).all()
    pbxs = {pbx.name: pbx for pbx in settings.pbxs}
    found = []
    for pbx, endpoint, number, calls in heard:
        known = pbxs.get(pbx)
        if not endpoint or not number or not number.isdecimal():
            continue
        if known is not None and any(fnmatchcase(endpoint, glob) for glob in known.trunks):
            continue  # it is set as a trunk
        pattern = (known.extension_pattern if known is not None else None) or settings.extension_pattern
        found.append(UnmappedEndpoint(pbx, endpoint, number, calls, pattern_with(pattern, endpoint, number)))
    return found


def pattern_with(pattern: str, endpoint: str, number: str) -> str:
    """The setting ``PBXCRM_EXTENSION_PATTERN`` with ``pattern`` widened so that ``endpoint`` is an extension.

    For ``101-WS`` of extension 101 the ending becomes optional; a name is added to the pattern and is then the extension.
    """
    if endpoint.startswith(number) and endpoint != number:
        widened = rf"(\d{{2,5}})(?:{_plain(endpoint.removeprefix(number))})?"
    elif endpoint.endswith(number) and endpoint != number:
        widened = rf"(?:{_plain(endpoint.removesuffix(number))})?(\d{{2,5}})"
    else:
        widened = f"{pattern}|{_plain(endpoint)}"
    return f"PBXCRM_EXTENSION_PATTERN='{widened}'"


def _plain(text: str) -> str:
    return re.escape(text).replace("\\-", "-")
