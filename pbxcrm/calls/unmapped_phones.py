"""Finds telephones that the settings treat as outside lines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlalchemy import func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.facts import Direction
from pbxcrm.calls.models import Call
from pbxcrm.shared.settings import Settings

_LATEST = 20_000  # number of latest calls to examine
_LONGEST_EXTENSION = 5  # digits
DEFAULT_PATTERN: str = Settings.model_fields["extension_pattern"].default


@dataclass(frozen=True, slots=True)
class UnmappedEndpoint:
    """A telephone treated as an outside line: its ``number`` is as short as an extension, or its own name, which Asterisk shows where
    no caller id is set. ``setting``: the setting that fixes it and all others that were found.
    """

    pbx: str
    endpoint: str
    number: str
    calls: int
    setting: str


async def unmapped_endpoints(session: AsyncSession, settings: Settings) -> list[UnmappedEndpoint]:
    """Such endpoints in the latest calls, by PBX and endpoint: for example MikoPBX's ``101-WS``, or endpoints that are names.

    An endpoint that is only called and never calls is not found, because the calls do not hold it.
    """
    newest = (await session.exec(select(func.max(Call.id)))).one() or 0
    heard = (
        await session.exec(
            select(Call.pbx, Call.trunk, func.min(Call.client_heard), func.count())
            .where(
                col(Call.id) > newest - _LATEST,
                Call.direction == Direction.INBOUND.value,
                col(Call.trunk).is_not(None),
                or_(
                    func.length(Call.client_heard).between(2, _LONGEST_EXTENSION), col(Call.client_heard) == Call.trunk
                ),
            )
            .group_by(col(Call.pbx), col(Call.trunk))
            .order_by(col(Call.pbx), col(Call.trunk))
            .limit(200)
        )
    ).all()
    pbxs = {pbx.name: pbx for pbx in settings.pbxs}
    found: list[tuple[str, str, str, int, str]] = []
    for pbx, endpoint, number, calls in heard:
        known = pbxs.get(pbx)
        if not endpoint or not number or not (number.isdecimal() or number == endpoint):
            continue
        if known is not None and any(fnmatchcase(endpoint, glob) for glob in known.trunks):
            continue  # it is set as a trunk
        pattern = (known.extension_pattern if known is not None else None) or settings.extension_pattern
        found.append((pbx, endpoint, number, calls, pattern))
    together: dict[str, list[tuple[str, str]]] = {}
    for _, endpoint, number, _, pattern in found:
        together.setdefault(pattern, []).append((endpoint, number))
    return [
        UnmappedEndpoint(pbx, endpoint, number, calls, pattern_with(pattern, together[pattern]))
        for pbx, endpoint, number, calls, pattern in found
    ]


def pattern_with(pattern: str, phones: Sequence[tuple[str, str]]) -> str:
    """The setting ``PBXCRM_EXTENSION_PATTERN`` with ``pattern`` widened so that all phones (endpoint, number) are extensions.

    For ``101-WS`` of extension 101 the ending becomes optional; a name is added to the pattern and is then the extension.
    """
    around, names = [], []
    for endpoint, number in phones:
        if endpoint.startswith(number) and endpoint != number:
            around.append(rf"(\d{{2,5}})(?:{_plain(endpoint.removeprefix(number))})?")
        elif endpoint.endswith(number) and endpoint != number:
            around.append(rf"(?:{_plain(endpoint.removesuffix(number))})?(\d{{2,5}})")
        else:
            names.append(_plain(endpoint))
    if not around or pattern != DEFAULT_PATTERN:  # with an optional ending it matches plain numbers, too
        around.insert(0, pattern)
    return f"PBXCRM_EXTENSION_PATTERN='{'|'.join(dict.fromkeys([*around, *names]))}'"


def _plain(text: str) -> str:
    return re.escape(text).replace("\\-", "-")
