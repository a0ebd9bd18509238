"""Finds out who the client of a call is, and who talked to them before."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from sqlalchemy import and_, bindparam, case, func, or_
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.queries import read_open_episodes
from pbxcrm.callbacks.rules import client_keys
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.contacts.models import Contact, NumberKind
from pbxcrm.contacts.queries import Numbers
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import open_deal_of_client, open_deals_of_numbers
from pbxcrm.shared.core_sql import fetch, list_param
from pbxcrm.tasks.models import Task, TaskStatus
from pbxcrm.tasks.rules import ABOUT_NEXT_ATTEMPT

WriteDown = Callable[[], Awaitable[None]]  # writes pending rows of a batch before the database is read


@dataclass(frozen=True, slots=True)
class Talks:
    """Conversations with a number: which user talked last, whether one is in progress, when the last one ended."""

    last_talker_id: int | None = None
    goes_on: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """What the database held for a number before the batch. ``talks``: None if not read, or changed by the batch."""

    deal: Deal | None
    talks: Talks | None = None


@dataclass(frozen=True, slots=True)
class ReadBefore:
    """What was read before a batch: its clients by number, and the open task of the next attempt by deal (None: there is none).

    ``tasks``: of callbacks and attempts, held so that the session does not drop them and read them again.
    """

    clients: dict[str, Before]
    attempts: dict[int | None, Task | None]
    tasks: Sequence[Task]


@dataclass(frozen=True, slots=True)
class Client:
    """The client of a call. ``contact`` is set if it is certain: somebody chose one of several at the last call, or whoever had the
    number first has one contact with it, or the open deal names one of theirs.
    """

    number: str | None
    special: NumberKind | None
    contacts: tuple[Contact, ...]
    contact: Contact | None
    deal: Deal | None
    talks: Talks | None = None  # as they are now; None: not read yet

    @property
    def contact_ids(self) -> list[int]:
        """Ids of the contacts that have the number; several if they share it."""
        return [contact.id for contact in self.contacts if contact.id is not None]


async def read_clients(
    session: AsyncSession, numbers: Numbers, asked: Collection[str], missed: Collection[str]
) -> ReadBefore:
    """Read in one go what the first call of each client in a batch needs: open deals, callbacks with their tasks, and talks.

    Numbers that belong to contacts are skipped. ``missed``: those of ``asked`` with a missed call, for which talks matter. Each
    result is used once, because the batch itself changes the client afterwards. The clients must be locked.
    """
    unknown = [number for number in asked if number not in numbers.contacts]
    deals = await open_deals_of_numbers(session, unknown)
    talks = await _read_talks(session, [number for number in unknown if number in missed])
    keys = {number: client_keys(number, [], "") for number in unknown}
    changing = [key for number in unknown if number in missed for key in keys[number]]
    episodes = await read_open_episodes(session, list(chain.from_iterable(keys.values())), changing)
    called_back = {each.task_id for each in episodes if each.task_id is not None}
    attempts: dict[int | None, Task | None] = {deal.id: None for deal in deals.values() if deal is not None}
    tasks = await _read_tasks(session, called_back, attempts)
    of_attempt = {task.about: task for task in tasks if task.about}
    attempts = {deal_id: of_attempt.get(about_next_attempt(deal_id)) for deal_id in attempts}
    return ReadBefore({number: Before(deals[number], talks.get(number)) for number in unknown}, attempts, tasks)


def about_next_attempt(deal_id: int | None) -> str:
    """What the task of the next attempt of a deal is about (``Task.about``)."""
    return f"{ABOUT_NEXT_ATTEMPT}{deal_id}"


async def _read_tasks(session: AsyncSession, ids: Collection[int], deals: Collection[int | None]) -> Sequence[Task]:
    """The tasks with these ids, and the open ones of the next attempts of these deals."""
    if not ids and not deals:
        return ()
    asked = {"ids": list(ids), "about": [about_next_attempt(deal_id) for deal_id in deals]}
    found: Sequence[Task] = (await session.exec(_TASKS, params=asked)).all()
    return found


async def identify(
    session: AsyncSession, number: str | None, numbers: Numbers, before: dict[str, Before] | None = None
) -> Client:
    """The client with this ``number`` and their open deal. ``before``: results of ``read_clients``; used ones are removed."""
    contacts = numbers.contacts.get(number or "", [])
    known = before.pop(number or "", None) if before else None
    # A client that somebody else made later with the number changes nothing until it is chosen at a call.
    first = [c for c in contacts if c.responsible_id == contacts[0].responsible_id]
    chosen = await _chosen_before(session, number, contacts) if len(contacts) > 1 else None
    if known is not None:
        deal = known.deal
    else:
        asked = [c for c in (chosen, *first) if c is not None]
        deal = await open_deal_of_client(session, number, [c.id for c in asked if c.id is not None])
    contact = chosen or (first[0] if len(first) == 1 else None)
    if contact is None and deal is not None:  # an explicit choice is better than the deal's contact
        contact = next((c for c in first if c.id == deal.contact_id), None)
    talks = known.talks if known is not None else None
    return Client(number, numbers.special.get(number or ""), tuple(contacts), contact, deal, talks)


async def _chosen_before(session: AsyncSession, number: str | None, contacts: list[Contact]) -> Contact | None:
    """The contact chosen at the last call, if it is one of ``contacts``."""
    ids = [contact.id for contact in contacts]
    found = await session.exec(
        select(Call.contact_id)
        .where(Call.client_number == number, col(Call.contact_id).in_(ids))
        .order_by(col(Call.started_at).desc())
        .limit(1)
    )
    chosen = found.first()
    return next((contact for contact in contacts if contact.id == chosen), None)


async def last_talked(session: AsyncSession, client: Client, write_down: WriteDown) -> int | None:
    """The user who talked to the client last; None if nobody did."""
    if client.talks is not None:
        return client.talks.last_talker_id
    if client.number is None:
        return None
    await write_down()  # include talks of the same batch
    asked = {"number": client.number, "contacts": client.contact_ids}
    found = await fetch(session, _LAST_TALKER, asked)
    return found[0][0] if found else None


async def talk_after(session: AsyncSession, client: Client, missed: Call, write_down: WriteDown) -> Call | None:
    """A conversation with the client that lasted or began after ``missed`` ended; None if there is none."""
    if client.number is None or missed.ended_at is None:
        return None
    talks = client.talks
    if talks is not None and not talks.goes_on and (talks.until is None or talks.until <= missed.ended_at):
        return None
    await write_down()
    asked = {"number": client.number, "contacts": client.contact_ids, "missed": missed.id, "over": missed.ended_at}
    found: Call | None = (await session.exec(_TALK_AFTER, params=asked)).first()
    return found


async def _read_talks(session: AsyncSession, numbers: Collection[str]) -> dict[str, Talks]:
    if not numbers:
        return {}
    asked = {"numbers": list(numbers)}
    last = {number: user_id for number, user_id, _ in await fetch(session, _LAST_TALKERS, asked)}
    talked = {number: (bool(going), until) for number, going, until in await fetch(session, _TALKED, asked)}
    return {number: Talks(last.get(number), *talked.get(number, (False, None))) for number in numbers}


# Built once: building a query takes as long as executing it.
_TASKS = select(Task).where(
    or_(
        col(Task.id).in_(list_param("ids")),
        and_(col(Task.about).in_(list_param("about")), col(Task.status) == TaskStatus.OPEN.value),
    )
)
_OF_CLIENT = or_(
    col(Call.client_number) == bindparam("number"),
    col(Call.contact_id).in_(list_param("contacts")),
)
_TALKER = (
    select(CallLeg.user_id)
    .join(Call, col(Call.id) == col(CallLeg.call_id))
    .where(col(CallLeg.answered_at).is_not(None), col(CallLeg.user_id).is_not(None))
)
_LAST_TALKER = _TALKER.where(_OF_CLIENT).order_by(col(CallLeg.answered_at).desc()).limit(1)
_RANKED = (
    columns(
        col(Call.client_number).label("number"),
        col(CallLeg.user_id).label("user_id"),
        func.row_number()
        .over(partition_by=col(Call.client_number), order_by=col(CallLeg.answered_at).desc())
        .label("place"),
    )
    .join(Call, col(Call.id) == col(CallLeg.call_id))
    .where(
        col(Call.client_number).in_(list_param("numbers")),
        col(CallLeg.answered_at).is_not(None),
        col(CallLeg.user_id).is_not(None),
    )
    .subquery()
)
_LAST_TALKERS = columns(_RANKED).where(_RANKED.c.place == 1)
_IS_TALK = (col(Call.answered_at).is_not(None), col(Call.merged_into_id).is_(None))
_TALKED = (
    columns(
        col(Call.client_number),
        func.max(case((col(Call.ended_at).is_(None), 1), else_=0)),
        func.max(col(Call.ended_at)),
    )
    .where(col(Call.client_number).in_(list_param("numbers")), *_IS_TALK)
    .group_by(col(Call.client_number))
)
_TALK_AFTER = (
    select(Call)
    .where(
        _OF_CLIENT,
        *_IS_TALK,
        col(Call.id) != bindparam("missed"),
        or_(col(Call.ended_at).is_(None), col(Call.ended_at) > bindparam("over")),
    )
    .order_by(col(Call.answered_at).desc())
    .limit(1)
)
