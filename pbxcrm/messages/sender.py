"""Sends what is queued, after the commit of what wanted it. Any number of workers may run it.

A worker takes some rows at once and marks each right before it is handed over, in a transaction of its own. If a worker dies, past its
lease what was not marked is sent by another one. Of what was marked nobody knows whether it was sent: it is *unknown*, and a person
decides; where the other side knows a message by its key, it is sent again. Each channel has a loop of its own
and so many messages in flight, so that a slow server holds up nobody else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeGuard

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import load_calendars
from pbxcrm.deals.actions import say_deal_changed
from pbxcrm.deals.models import Deal
from pbxcrm.messages.guards import objection
from pbxcrm.messages.hooks import delivery_told
from pbxcrm.messages.models import Delivery, DeliveryState
from pbxcrm.messages.rules import LEASE, retry_at
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import Database, lock
from pbxcrm.shared.errors import PbxcrmError
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.refusals import NotSent
from pbxcrm.shared.runtime_options import load_options
from pbxcrm.tasks.actions import TaskDraft, do_create_task
from pbxcrm.tasks.models import TaskKind

log = structlog.get_logger()

_OPEN = (DeliveryState.QUEUED.value, DeliveryState.SENDING.value)
REST = 1.0  # seconds between two looks
LONGEST_TOLD = 300  # letters of an error


Begin = Callable[[], Awaitable[None]]


class TakenAwayError(Exception):
    """The message is not this worker's any more: it was erased, or the lease was over."""


class Carrier(Protocol):
    """Sends the messages of a channel. ``most_at_once``: so many at the same time."""

    @property
    def channel(self) -> str:
        """Of which channel."""
        ...

    @property
    def most_at_once(self) -> int:
        """So many messages may be in flight."""
        ...

    async def may_repeat(self, session: AsyncSession) -> bool:
        """Whether the other side knows a message by its key, so that it may be sent again where nobody knows whether it arrived."""
        ...

    async def carry(self, delivery: Delivery, begin: Begin) -> str:
        """Send it within less than ``LEASE``. ``begin`` marks it, and is awaited right before anything that may be a message goes out; not
        needed where the other side knows a message by its key. Returns the answer of the other side. Raises NotSent, and what ``begin`` raises.
        """


@dataclass(frozen=True, slots=True)
class MessageSender:
    """Sends the deliveries of the channels that have a carrier."""

    db: Database
    carriers: Sequence[Carrier]

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for carrier in self.carriers:
                tasks.create_task(self._run(carrier))

    async def send_due(self, now: datetime) -> int:
        """Send what is due now, once around. Returns how many were handed over."""
        claimed = [(carrier, await self._claim(carrier, carrier.most_at_once, now)) for carrier in self.carriers]
        await asyncio.gather(*(self._send(carrier, each, now) for carrier, found in claimed for each in found))
        return sum(len(found) for _, found in claimed)

    async def _run(self, carrier: Carrier) -> None:
        flying: set[asyncio.Task[None]] = set()
        try:
            while True:
                now = datetime.now(UTC)
                free = carrier.most_at_once - len(flying)
                try:
                    claimed = await self._claim(carrier, free, now) if free else []
                except (SQLAlchemyError, PbxcrmError, OSError) as error:
                    log.warning("messages.failed", why=str(getattr(error, "orig", None) or error))
                    claimed = []
                flying |= {asyncio.create_task(self._send_or_say(carrier, each)) for each in claimed}
                if flying:
                    _done, flying = await asyncio.wait(flying, timeout=REST, return_when=asyncio.FIRST_COMPLETED)
                elif not claimed:
                    await asyncio.sleep(REST)
        finally:
            for task in flying:
                task.cancel()

    async def _send_or_say(self, carrier: Carrier, delivery: Delivery) -> None:
        """What cannot be recorded now becomes unknown when its lease is over."""
        try:
            await self._send(carrier, delivery, datetime.now(UTC))
        except (SQLAlchemyError, PbxcrmError, OSError) as error:
            log.warning("message.not_recorded", delivery=delivery.id, why=str(getattr(error, "orig", None) or error))

    async def _claim(self, carrier: Carrier, most: int, now: datetime) -> list[Delivery]:
        """Copies of the next messages of the channel, which nobody else takes within the lease; ``sent_at`` says so. Guards are asked here."""
        async with self.db.read() as session:  # read first: on SQLite a write transaction would block other writers
            if (await session.exec(_due(carrier.channel, now).limit(1))).first() is None:
                return []
        claimed: list[Delivery] = []
        async with self.db.write() as session:
            await lock(session, "messages.claim")  # two messages to one client must not pass the guards together
            options = await load_options(session)
            timezone = (await load_calendars(session, await load_directory(session))).default.timezone
            query = _due(carrier.channel, now).limit(most).with_for_update(skip_locked=True)
            for delivery in (await session.exec(query)).all():
                if delivery.state == DeliveryState.SENDING and not await carrier.may_repeat(session):
                    await _end(session, delivery, DeliveryState.UNKNOWN, reason("message.unknown"), now)
                    continue
                against = await objection(session, delivery, options, timezone, now)
                delivery.state = DeliveryState.QUEUED.value
                delivery.sent_at = None if against is not None else now
                if against is not None and against.until is None:
                    await _end(session, delivery, DeliveryState.REFUSED, against.why, now)
                elif against is not None:
                    delivery.due_at, delivery.said = against.until or now, against.why.stored()
                    await delivery_told(session, delivery, now)
                    await _say(session, delivery, now)
                else:
                    delivery.due_at, delivery.tries, delivery.said = now + LEASE, delivery.tries + 1, {}
                    claimed.append(Delivery(**delivery.model_dump()))
                delivery.version += 1
                await session.flush()
        return claimed

    async def _begin(self, delivery: Delivery) -> None:
        async with self.db.write() as session:
            row = await session.get(Delivery, delivery.id, with_for_update=True)
            if not _is_same(row, delivery):
                raise TakenAwayError
            row.state = DeliveryState.SENDING.value
            row.version += 1

    async def _send(self, carrier: Carrier, delivery: Delivery, now: datetime) -> None:
        refused: NotSent | None = None
        answer = ""
        try:
            answer = await carrier.carry(delivery, lambda: self._begin(delivery))
        except TakenAwayError:
            return
        except NotSent as error:
            refused = error
            log.warning("message.not_sent", delivery=delivery.id, channel=delivery.channel, why=str(error))
        async with self.db.write() as session:
            row = await session.get(Delivery, delivery.id, with_for_update=True)
            if not _is_same(row, delivery):
                return
            row.answer = cut(answer or str(refused or ""), Delivery.answer)
            row.version += 1
            if refused is None:
                await _end(session, row, DeliveryState.SENT, None, now)
                return
            row.sent_at = None
            told = str(refused)[:LONGEST_TOLD]
            again = retry_at(row.tries, now)
            if refused.is_unsure and not await carrier.may_repeat(session):
                await _end(session, row, DeliveryState.UNKNOWN, reason("message.unsure", why=told), now)
            elif refused.is_final or again is None:
                await _end(session, row, DeliveryState.FAILED, reason("message.failed", why=told), now)
            else:
                row.state, row.due_at = DeliveryState.QUEUED.value, again
                row.said = reason("message.retry", why=told).stored()
                await _say(session, row, now)


def _is_same(row: Delivery | None, claimed: Delivery) -> TypeGuard[Delivery]:
    """Whether the message still belongs to whoever took it: it was not erased, and its lease was not over."""
    return row is not None and row.state in _OPEN and row.tries == claimed.tries


def _due(channel: str, now: datetime) -> Any:
    waits = or_(Delivery.state == DeliveryState.QUEUED.value, Delivery.state == DeliveryState.SENDING.value)
    due = (col(Delivery.channel) == channel, waits, col(Delivery.due_at) <= now)
    return select(Delivery).where(*due).order_by(col(Delivery.due_at), col(Delivery.id))


async def _end(
    session: AsyncSession, delivery: Delivery, state: DeliveryState, why: Reason | None, now: datetime
) -> None:
    """It is over for the sender. Whoever wanted it is told if a person must look: the owner of the rule, or who wrote it."""
    delivery.state, delivery.said = state.value, why.stored() if why is not None else {}
    await session.flush()
    await delivery_told(session, delivery, now)
    deal = await _say(session, delivery, now)
    if why is None or delivery.by_id is None or delivery.is_test:
        return
    people = await load_directory(session)
    owner = people.active(delivery.by_id) or people.manager_of(delivery.by_id)
    owner_id = owner.id if owner is not None else None
    new = TaskDraft(
        kind=TaskKind.TODO,
        title=reason("task.message"),
        why=why,
        due_at=(await load_calendars(session, people)).of_user(owner_id).add_minutes(now, 0),
        assignee_id=owner_id,
        deal_id=delivery.deal_id,
        contact_id=deal.contact_id if deal is not None else delivery.contact_id,
        about=f"message:{delivery.id}",
    )
    await do_create_task(session, new, now, people)


async def _say(session: AsyncSession, delivery: Delivery, now: datetime) -> Deal | None:
    """Its deal shows it on the timeline."""
    deal = await session.get(Deal, delivery.deal_id) if delivery.deal_id is not None else None
    if deal is not None:
        say_deal_changed(session, deal, now, await load_directory(session))
    return deal
