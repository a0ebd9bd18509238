"""Caller lookup for the dialplan: a name for the phone's display and the extension to route to (A9).

The PBX waits for the answer, so it is quick (two queries; people, calendars and lines are in memory). It never takes longer
than ``PATIENCE`` and never fails: on any error the answer is empty, and the dialplan continues without it.
"""

import asyncio
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import structlog
from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    String,
    bindparam,
    case,
    cast,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col
from sqlmodel import select as sqlmodel_select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, answers_for
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.calls.models import Call, Line
from pbxcrm.contacts.access import visible_contacts
from pbxcrm.contacts.models import Contact, Phone, SpecialNumber
from pbxcrm.contacts.number_owners import counts, phone_since
from pbxcrm.contacts.range_queries import kind_by_range
from pbxcrm.deals.access import made_by_call, made_with_anothers_client, number_since
from pbxcrm.deals.models import Deal
from pbxcrm.reactions.call_context import CallContext, load_call_context
from pbxcrm.shared.db import Database
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.numbers import LONGEST_READ, normalise
from pbxcrm.shared.settings import Settings

log = structlog.get_logger()

PATIENCE = 0.5  # seconds; dialplans give up after one
AT_ONCE = 100  # lookups in progress; when the database hangs, further ones get an empty answer at once
NAME_MAX = 40
# Characters with a meaning in a dialplan, a SIP header or AGI. Ukrainian names have apostrophes, which become typographic.
_APOSTROPHES = str.maketrans(dict.fromkeys("'`´", "\u2019"))
_MEANING = frozenset('",;\\<>${}[]|&^')


@dataclass(frozen=True, slots=True)
class Caller:
    """The answer to a lookup; ``name`` and ``extension`` are empty if unknown."""

    name: str = ""
    extension: str = ""


NOBODY = Caller()


class Lookup:
    """Looks up callers for the dialplan, in a read-only session with a time limit."""

    def __init__(
        self, db: Database, settings: Settings, clock: Callable[[], datetime], *, patience: float = PATIENCE
    ) -> None:
        self.db = db
        self.settings = settings
        self.clock = clock
        self.patience = patience
        self._running: set[asyncio.Task[Caller]] = set()

    async def find(self, number: str | None, did: str | None, asker: Viewer | None = None) -> Caller:
        """Who has this number, as far as ``asker`` may see (None: the PBX, which sees all). ``did`` is the dialled number; it
        gives the line's default owner. Never raises; takes at most ``patience`` seconds.
        """
        if len(self._running) >= AT_ONCE:
            log.warning("lookup.busy", running=len(self._running))
            return NOBODY
        # In a separate task: closing a session would wait for the query of a database that hangs.
        task = asyncio.create_task(self._find(number, did, asker))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            done, _ = await asyncio.wait({task}, timeout=self.patience)
        finally:
            task.cancel()  # after a timeout or a cancellation nobody needs the answer
        if not done:
            log.warning("lookup.slow", seconds=self.patience)
            return NOBODY
        return task.result()

    async def close(self) -> None:
        """Cancel the lookups in progress."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _find(self, number: str | None, did: str | None, asker: Viewer | None) -> Caller:
        known = normalise((number or "")[:LONGEST_READ], self.settings.region)
        if known is None:
            return NOBODY
        try:
            async with self.db.read() as session:
                context = await load_call_context(session, self.settings)
                return await look_up(session, context, known, cut(did or "", Call.did), self.clock(), asker)
        except (SQLAlchemyError, OSError) as error:
            log.warning("lookup.failed", error=str(error).splitlines()[0])
            return NOBODY


_NUMBER = bindparam("number", type_=String)
_DEAL: tuple[Any, ...] = (  # the columns of a UNION have no common type
    literal_column("'deal'").label("kind"),
    col(Deal.id),
    cast(col(Deal.stage_since), String).label("text"),
    col(Deal.responsible_id).label("owner_id"),
    case((col(Deal.closed_at).is_(None), 1), else_=0).label("place"),
    col(Deal.contact_id),
    case((made_by_call(), 1), else_=0).label("by_call"),
    cast(number_since(), String).label("since"),
)
_NONE: tuple[Any, ...] = (null(), literal_column("0"))


def _contacts_of_it(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(col(Phone.contact_id))
        .join(Contact, col(Contact.id) == col(Phone.contact_id))
        .where(col(Phone.number) == _NUMBER, *conditions)
    )


@cache
def _everything(*, counting: bool) -> Executable:
    """One query for everything, because a call waits for it. Each part uses its own index; closed deals are dropped afterwards,
    because with that condition SQLite would read all open deals instead. ``counting``: only clients by whom the number's calls go.
    """
    going = (counts(),) if counting else ()
    return union_all(
        select(*_DEAL).where(col(Deal.client_number) == _NUMBER, ~made_with_anothers_client()),
        select(*_DEAL).where(col(Deal.contact_id).in_(_contacts_of_it(*going)), ~made_with_anothers_client()),
        select(
            literal_column("'client'"),
            col(Contact.id),
            col(Contact.name),
            col(Contact.responsible_id),
            col(Phone.id),
            *_NONE,
            cast(phone_since(), String),
        )
        .join(Phone, col(Phone.contact_id) == col(Contact.id))
        .where(col(Phone.number) == _NUMBER, *going),
        select(
            literal_column("'callback'"),
            col(Episode.id),
            null(),
            col(Episode.owner_id),
            col(Episode.deal_id),
            *_NONE,
            cast(col(Episode.first_missed_at), String),
        ).where(col(Episode.client_number) == _NUMBER, col(Episode.status) == EpisodeStatus.OPEN.value),
        select(
            literal_column("'special'"),
            literal_column("0"),
            col(SpecialNumber.number),
            null(),
            literal_column("1"),
            *_NONE,
            null(),
        ).where(col(SpecialNumber.number) == _NUMBER),
    ).limit(500)


async def look_up(
    session: AsyncSession, context: CallContext, number: str, did: str, now: datetime, asker: Viewer | None = None
) -> Caller:
    """Look up ``number``, given in normal form. Our own numbers and spam give ``NOBODY``, unless a client has them.

    The answer uses only clients, deals and callbacks that ``asker`` may see, as if there were no others. None: the PBX.
    """
    query = _everything(counting=asker is None)
    found = (await (await session.connection()).execute(query, {"number": number})).all()
    clients = sorted((row for row in found if row.kind == "client"), key=lambda row: (row.since, row.place))
    deals = [row for row in found if row.kind == "deal" and row.place]
    callbacks = [row for row in found if row.kind == "callback"]
    if asker is not None:
        seen = visible_contacts(asker)
        visible = await session.exec(
            sqlmodel_select(Contact.id).where(col(Contact.id).in_(_contacts_of_it()), seen), params={"number": number}
        )
        ids = set(visible.all())
        clients = [row for row in clients if row.id in ids]
        deals = [row for row in deals if answers_for(asker, row.owner_id, context.people)]
        callbacks = [row for row in callbacks if answers_for(asker, row.owner_id, context.people)]
    listed = any(row.kind == "special" for row in found)
    if not clients and (listed or await kind_by_range(session, number) is not None):
        return NOBODY
    owners = [*_owners(deals, clients, callbacks), _line_owner(context.lines, did)]
    # A second client with the number counts on the display if the same person has both: what somebody else types changes nothing.
    shown = [row.text for row in clients if row.owner_id == clients[0].owner_id]
    return Caller(display_name(shown), _extension(context, owners, now))


def _owners(deals: list[Any], clients: list[Any], callbacks: list[Any]) -> list[int | None]:  # rows of _everything
    """Whose the calls of the number are, best first.

    With a client, first the best open deal: of the number's first client, or made by a call of the number, the latest change of
    stage first. Then whoever is responsible for the first client, then what others have with the number: a later client with the
    same number comes after the first one. Without a client, whoever was the first to have the number in a deal or callback.
    """
    first = clients[0].id if clients else None
    # Times of one database, written by one program, sort as text.
    latest = sorted(deals, key=lambda row: (row.text, row.id), reverse=True)
    if first is None:
        return [row.owner_id for row in sorted([*callbacks, *deals], key=lambda row: row.since)]
    theirs = [row for row in latest if (row.contact_id == first if row.contact_id is not None else row.by_call)]
    others = [row for row in latest if row not in theirs and (row.by_call or row.contact_id is not None)]
    behind = (row.owner_id for row in [*others, *clients, *callbacks])
    return [*(row.owner_id for row in theirs[:1]), clients[0].owner_id, *behind]


def display_name(names: list[str]) -> str:
    """The name for a phone's display: at most 40 characters, none with a meaning in a dialplan, SIP or AGI.

    If several clients share the number, the first is named and the others are counted.
    """
    shown = [clean for clean in (_clean(name) for name in names) if clean]
    if not shown:
        return ""
    more = f" +{len(shown) - 1}" if len(shown) > 1 else ""
    return shown[0][: NAME_MAX - len(more)].rstrip() + more


def _clean(name: str) -> str:
    composed = unicodedata.normalize("NFC", name[: 10 * NAME_MAX]).translate(_APOSTROPHES)
    kept = (
        letter if unicodedata.category(letter)[0] not in "CZ" and letter not in _MEANING else " "
        for letter in composed
        if unicodedata.category(letter) not in {"Cf", "Cs"}  # direction marks and surrogates are dropped
    )
    return " ".join("".join(kept).split())


def _extension(context: CallContext, owners: list[int | None], now: datetime) -> str:
    """The extension of the first owner who is active, on shift and has one."""
    for owner_id in dict.fromkeys(owners):
        if owner_id is None or context.people.active(owner_id) is None:
            continue
        numbers = context.people.extensions.get(owner_id)
        if numbers and context.calendars.on_shift(owner_id, now):
            return numbers[0]
    return ""


def _line_owner(lines: tuple[Line, ...], did: str) -> int | None:
    """The default owner of the first line whose DID pattern matches; lines for any DID are skipped."""
    for line in lines:
        if did and line.did != "*" and fnmatchcase(did, line.did):
            return line.owner_id
    return None
