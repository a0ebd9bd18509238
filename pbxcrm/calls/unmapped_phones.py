"""Finds telephones that the settings treat as outside lines."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlalchemy import Text, cast, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.facts import Direction
from pbxcrm.calls.models import Call
from pbxcrm.calls.stored_state import DIALLED_NAME
from pbxcrm.shared.settings import Settings

_LATEST = 20_000  # number of latest calls to examine
_LONGEST_EXTENSION = 5  # digits
_MOST_READ = 2_000  # calls with a phone that was called: their lines are read one by one
_NUMBER_WITHIN = re.compile(r"(\d{2,5})[-_.].+|[^/]+[-_.](\d{2,5})")
DEFAULT_PATTERN: str = Settings.model_fields["extension_pattern"].default


@dataclass(frozen=True, slots=True)
class UnmappedEndpoint:
    """A telephone treated as an outside line. ``number``: what it called as, as short as an extension or its own name, which Asterisk
    shows where no caller id is set; None if it only took calls, by its name alone. ``setting``: the setting that fixes it and all
    others that were found.
    """

    pbx: str
    endpoint: str
    number: str | None
    calls: int
    setting: str


async def unmapped_endpoints(session: AsyncSession, settings: Settings) -> list[UnmappedEndpoint]:
    """Such endpoints in the latest calls, by PBX and endpoint: for example MikoPBX's ``101-WS``, or endpoints that are names.

    Trunks and extensions by the present settings are left out, whatever they were at the time of the call.
    """
    newest = (await session.exec(select(func.max(Call.id)))).one() or 0
    calling = await _that_called(session, newest - _LATEST)
    called = await _that_were_called(session, newest - _LATEST)
    places = {pbx.name: pbx for pbx in settings.pbxs}
    found: list[tuple[str, str, str | None, int, str]] = []
    for pbx, endpoint in sorted(calling.keys() | called.keys()):
        known = places.get(pbx)
        pattern = (known.extension_pattern if known is not None else None) or settings.extension_pattern
        names = (endpoint, endpoint.rpartition("/")[2])  # a port is named with its technology
        is_trunk = known is not None and any(fnmatchcase(name, glob) for name in names for glob in known.trunks)
        if not is_trunk and re.fullmatch(pattern, endpoint) is None:
            number, calls = calling.get((pbx, endpoint), (None, 0))
            found.append((pbx, endpoint, number, calls or called[pbx, endpoint], pattern))
    together: dict[str, list[tuple[str, str]]] = {}
    for _, endpoint, number, _, pattern in found:
        together.setdefault(pattern, []).append((endpoint, number or _number_within(endpoint)))
    return [
        UnmappedEndpoint(pbx, endpoint, number, calls, pattern_with(pattern, together[pattern]))
        for pbx, endpoint, number, calls, pattern in found
    ]


async def _that_called(session: AsyncSession, after: int) -> dict[tuple[str, str], tuple[str, int]]:
    """PBX and endpoint of what called with such a number → the number, and how many calls."""
    heard = await session.exec(
        select(Call.pbx, Call.trunk, func.min(Call.client_heard), func.count())
        .where(
            col(Call.id) > after,
            Call.direction == Direction.INBOUND.value,
            col(Call.trunk).is_not(None),
            or_(func.length(Call.client_heard).between(2, _LONGEST_EXTENSION), col(Call.client_heard) == Call.trunk),
        )
        .group_by(col(Call.pbx), col(Call.trunk))
        .order_by(col(Call.pbx), col(Call.trunk))
        .limit(200)
    )
    return {
        (pbx, endpoint): (number, calls)
        for pbx, endpoint, number, calls in heard.all()
        if endpoint and number and (number.isdecimal() or number == endpoint)
    }


async def _that_were_called(session: AsyncSession, after: int) -> Counter[tuple[str, str]]:
    """PBX and endpoint of what was called by its name alone, as telephones are → in how many of the newest such calls."""
    named = await session.exec(
        select(Call.pbx, Call.outside)
        .where(col(Call.id) > after, cast(Call.outside, Text).contains(f'"{DIALLED_NAME}"'))
        .order_by(col(Call.id).desc())
        .limit(_MOST_READ)
    )
    return Counter(
        (pbx, endpoint)
        for pbx, lines in named.all()
        for endpoint in {line[DIALLED_NAME] for line in lines or () if line.get(DIALLED_NAME)}
    )


def _number_within(endpoint: str) -> str:
    """The extension in the name of an endpoint, ``101`` of ``101-WS`` and ``phone-101``; else the whole name."""
    apart = _NUMBER_WITHIN.fullmatch(endpoint)
    return (apart[1] or apart[2]) if apart is not None else endpoint


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
