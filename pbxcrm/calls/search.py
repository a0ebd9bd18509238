"""Finds calls by a part of a client's or caller's name or number: through the few clients and callers that match, not call by call."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Text, cast, func, literal, or_, true, union
from sqlalchemy.types import TypeEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.owners import there_is
from pbxcrm.calls.models import Call, HeardCaller
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.search import named
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.frequent_texts import is_known_frequent, note_frequent
from pbxcrm.shared.text_match import digits_of, part_of, up_to
from pbxcrm.shared.trigrams import holds_digits, holds_words

WHOM = 2_000  # clients, and callers; more are too many to begin with
Place = tuple[datetime, int]  # started_at and id, in which lists of calls are sorted


@dataclass(frozen=True, slots=True)
class Whom:
    """Whose calls a text means: the ids of clients, numbers, and names of callers without a number. ``contacts`` is None, or ``many``
    is true, if these clients, or callers, are more than ``WHOM``: then calls are tested one by one.
    """

    contacts: Sequence[int] | None
    numbers: Sequence[str] = ()
    names: Sequence[str] = ()
    many: bool = False


async def whom_it_means(session: AsyncSession, text: str) -> Whom:
    """The clients and callers that match ``text``. That they are many is remembered."""
    clients, callers = str(Contact.__tablename__), str(HeardCaller.__tablename__)
    contacts = None
    if not is_known_frequent(session, clients, text, WHOM):
        contacts = (await up_to(session, WHOM, {"name": named(text)}))["name"]
    if contacts is None:
        note_frequent(session, clients, text, WHOM)
        return Whom(None, many=True)
    if is_known_frequent(session, callers, text, WHOM):
        return Whom(contacts, many=True)
    asked = select(HeardCaller.number, HeardCaller.name_folded).where(_is_caller(text)).limit(WHOM + 1)
    found = (await session.exec(asked)).all()
    if len(found) > WHOM:
        note_frequent(session, callers, text, WHOM)
        return Whom(contacts, many=True)
    numbers = dict.fromkeys(number for number, _ in found if number)
    return Whom(contacts, list(numbers), [name for number, name in found if not number])


async def calls_of(session: AsyncSession, whom: Whom, before: Place | None, most: int) -> list[Place]:
    """The newest ``most`` calls of these clients and callers, read from covering indexes."""
    ways: tuple[tuple[Any, Sequence[Any], TypeEngine[Any]], ...] = (
        (col(Call.contact_id), whom.contacts or (), BigInteger()),
        (col(Call.client_number), whom.numbers, Text()),
        (col(Call.client_name_folded), whom.names, Text()),
    )
    parts = [_newest(session, column, keys, kind, before, most) for column, keys, kind in ways if keys]
    if not parts:
        return []
    found = union(*parts).subquery()  # a call may be found both ways
    query = select(found.c.started_at, found.c.id).order_by(found.c.started_at.desc(), found.c.id.desc()).limit(most)
    return [(at, call_id) for at, call_id in (await session.exec(query)).all()]


def call_matches(session: AsyncSession, text: str, contacts: Sequence[int] | None) -> ColumnElement[bool]:
    """The condition that a call matches ``text``, tested call by call: for a text that fits so many that they are soon met.

    ``contacts``: the clients that match, if they are known; else the client of each call is looked up.
    """
    client = col(Contact.id) == col(Call.contact_id)
    fits = [
        there_is(Call, client, part_of(col(Contact.name_folded), text))
        if contacts is None
        else one_of(session, col(Call.contact_id), contacts),
        part_of(col(Call.client_name_folded), text),
    ]
    if digits := digits_of(text):
        fits.append(col(Call.client_number).contains(digits, autoescape=True))
    return or_(*fits)


def _is_caller(text: str) -> ColumnElement[bool]:
    digits, named_so = digits_of(text), holds_words(HeardCaller.name_folded, text)
    return or_(named_so, holds_digits(HeardCaller.number, digits)) if digits else named_so


def _newest(
    session: AsyncSession, column: Any, keys: Sequence[Any], kind: TypeEngine[Any], before: Place | None, most: int
) -> Any:  # a select
    """The newest calls whose ``column`` is one of ``keys``."""
    place: tuple[Any, ...] = (col(Call.started_at).label("started_at"), col(Call.id).label("id"))
    named_so = (
        (col(Call.client_name_folded) != "",) if column.key == "client_name_folded" else ()
    )  # its index is partial
    older = (behind(before),) if before is not None else ()
    latest = (col(Call.started_at).desc(), col(Call.id).desc())
    if session.get_bind().dialect.name == "sqlite":
        of_keys = func.json_each(json.dumps(list(keys))).table_valued("value")
        found = select(*place).where(column.in_(select(of_keys.c.value)), *named_so, *older)
        return found.order_by(*latest).limit(most).subquery().select()
    # Key by key, each from its own place in the index: left to itself, PostgreSQL reads all calls from the latest on and compares
    # each with every key, where it expects the first fifty soon.
    one = select(func.unnest(cast(literal(list(keys), ARRAY(kind)), ARRAY(kind))).label("key")).subquery("keys")
    of_one = select(*place).where(column == one.c.key, *named_so, *older).order_by(*latest).limit(most).lateral()
    return select(of_one.c.started_at, of_one.c.id).select_from(one.join(of_one, true()))


def behind(place: Place) -> ColumnElement[bool]:
    """The condition that a call is older than ``place``."""
    at, call_id = place
    # The first part alone is what an index begins with.
    return (col(Call.started_at) <= at) & ((col(Call.started_at) < at) | (col(Call.id) < call_id))
