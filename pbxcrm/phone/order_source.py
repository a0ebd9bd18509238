"""Gives a listener the orders of its PBX: rows that are taken once, as soon as Redis announces them.

While Redis is away the rows are found a little later. An order is marked as sent before it is sent, so a listener that
dies in between never dials twice. An order that came too late is marked as expired and not given out.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from pbxcrm.phone.actions import do_expire, do_finish, say_command_changed
from pbxcrm.phone.models import CommandKind, CommandStatus, PhoneCommand
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import PUBLISH_SECONDS

log = structlog.get_logger()

CHANNEL = "pbxcrm:phone:"  # and the name of the PBX
LOOK_SECONDS = 1.0  # longest wait of an order while Redis is away
REDIS_REST = 2.0

#: Our kinds of order → names in ``ami.commands.PLANS``, where they differ.
_KINDS = {CommandKind.ATTENDED.value: "attended_transfer"}


@dataclass(frozen=True, slots=True)
class Order:
    """An order in the shape of ``ami.command_executor.CommandRequest``."""

    id: str
    kind: str
    params: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of an order; ``code`` is ``done`` or one of ``pbxcrm.pbx.report_sentences``."""

    id: str
    done: bool
    code: str
    params: Mapping[str, str] = field(default_factory=dict)


async def wake(redis: Redis, pbx: str) -> None:
    """Tell the listener that an order waits; call it after the commit. While Redis is away the listener polls."""
    with suppress(RedisError, OSError):
        async with asyncio.timeout(PUBLISH_SECONDS):  # TimeoutError is an OSError
            await redis.publish(CHANNEL + pbx, "1")


class Orders:
    """Reads orders from the database and writes their results to it."""

    def __init__(self, db: Database, redis: Redis, clock: Callable[[], datetime]) -> None:
        self.db = db
        self.redis = redis
        self.clock = clock

    async def requests(self, pbx: str) -> AsyncIterator[Order]:
        """Yield the orders for one PBX as they are given, without end."""
        awake = asyncio.Event()
        hearing = asyncio.create_task(self._hear(pbx, awake))
        try:
            while True:
                awake.clear()
                try:
                    orders = await self.take(pbx)
                except (SQLAlchemyError, OSError) as error:
                    log.warning("phone.database_away", pbx=pbx, why=str(getattr(error, "orig", None) or error))
                    orders = []
                for order in orders:
                    yield order
                if not orders:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(awake.wait(), LOOK_SECONDS)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def take(self, pbx: str) -> list[Order]:
        """All waiting orders, now marked as sent; those that came too late are marked as expired and left out."""
        waiting = (PhoneCommand.pbx == pbx, PhoneCommand.status == CommandStatus.ASKED.value)
        async with self.db.read() as session:  # read first, to avoid a write transaction every second
            if (await session.exec(select(PhoneCommand.id).where(*waiting).limit(1))).first() is None:
                return []
        taken: list[Order] = []
        async with self.db.write() as session:
            found = await session.exec(
                select(PhoneCommand).where(*waiting).order_by(col(PhoneCommand.id)).with_for_update(skip_locked=True)
            )
            now = self.clock()
            for command in found.all():
                await do_expire(session, command, now)
                if command.status != CommandStatus.ASKED:
                    continue
                command.status, command.sent_at = CommandStatus.SENT.value, now
                taken.append(
                    Order(command.key, _KINDS.get(command.kind, command.kind), _params(command), command.expires_at)
                )
        return taken

    async def finish(self, answer: Answer) -> None:
        """Store the result of an order. An accepted click-to-call stays active until its call is over."""
        async with self.db.write() as session:
            found = await session.exec(select(PhoneCommand).where(PhoneCommand.key == answer.id).with_for_update())
            command = found.first()
            if command is None:
                return
            now = self.clock()
            if not answer.done:
                status = CommandStatus.EXPIRED if answer.code == "command_expired" else CommandStatus.FAILED
                do_finish(session, command, status, now, code=answer.code, params=dict(answer.params))
            elif command.kind != CommandKind.ORIGINATE:
                do_finish(session, command, CommandStatus.DONE, now)
            elif command.status == CommandStatus.SENT:
                command.status = CommandStatus.RINGING.value
                say_command_changed(session, command, now)

    async def _hear(self, pbx: str, awake: asyncio.Event) -> None:
        while True:
            try:
                async with self.redis.pubsub() as pubsub:
                    await pubsub.subscribe(CHANNEL + pbx)
                    while True:
                        if await pubsub.get_message(timeout=15) is not None:
                            awake.set()
            except (RedisError, OSError):
                await asyncio.sleep(REDIS_REST)


def _params(command: PhoneCommand) -> dict[str, str]:
    if command.kind == CommandKind.ORIGINATE:
        return {"extension": command.extension, "number": command.client_number or "", "call_id": command.key}
    if command.kind == CommandKind.HANGUP:
        return {"channel": command.channel_id}
    return {"channel": command.channel_id, "number": command.target}
