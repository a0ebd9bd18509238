"""Sends digests: one row per person and day is planned; a worker claims the row, sends the e-mail, and retries if it is refused.

The row is marked before sending. If a worker dies in between, nobody knows whether the e-mail was sent. The digest is then given up,
because none may be sent twice.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from email.message import EmailMessage

import structlog
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from pbxcrm.calendars.queries import load_calendars
from pbxcrm.notices.digest_queries import DigestFacts, load_digest
from pbxcrm.notices.models import WAITS, Digest, DigestState
from pbxcrm.notices.rules import is_due, next_try
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import User
from pbxcrm.shared.core_sql import add_new
from pbxcrm.shared.db import Database
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.refusals import NotSent

log = structlog.get_logger()

ATTEMPT = timedelta(minutes=5)  # longer than the timeout of the mail server
MOST_AT_ONCE = 50
MOST_TRIES = 12  # over some eight hours
GIVEN_UP = "Whoever sent it stopped meanwhile; it is not sent again, for it may have arrived."

Write = Callable[[DigestFacts], EmailMessage]
Deliver = Callable[[EmailMessage], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Post:
    """Sends digests. ``write`` builds the e-mail in the reader's language; ``deliver`` sends it and raises NotSent."""

    db: Database
    write: Write
    deliver: Deliver

    async def send_due(self, now: datetime) -> int:
        """Plan due digests and send waiting ones. Returns how many were sent. Several workers may call it at once."""
        await plan(self.db, now)
        sent = 0
        for _ in range(MOST_AT_ONCE):
            claimed = await self._claim(now)
            if claimed is None:
                break
            digest_id, message = claimed
            if message is not None:
                sent += await self._send(digest_id, message, now)
        return sent

    async def _claim(self, now: datetime) -> tuple[int, EmailMessage | None] | None:
        """Claim the next waiting digest. The message is None if there is nothing to report, no recipient, or it is given up."""
        async with self.db.read() as session:  # read first: on SQLite a write transaction would block other writers
            if (await session.exec(_waiting(now))).first() is None:
                return None
        async with self.db.write() as session:
            row = (await session.exec(_waiting(now).with_for_update(skip_locked=True))).first()
            if row is None:
                return None
            people = await load_directory(session)
            user = people.active(row.user_id)
            if row.state == DigestState.SENDING:
                row.state, row.error = DigestState.FAILED.value, GIVEN_UP
            elif user is None or not user.email:
                row.state = DigestState.EMPTY.value
            else:
                facts = await _facts(session, people, user, row, now)
                if facts.is_empty:
                    row.state = DigestState.EMPTY.value
                else:
                    row.state, row.tries, row.next_at = DigestState.SENDING.value, row.tries + 1, now + ATTEMPT
                    return row.id or 0, self.write(facts)
            return row.id or 0, None

    async def _send(self, digest_id: int, message: EmailMessage, now: datetime) -> bool:
        error = ""
        try:
            await self.deliver(message)
        except NotSent as refused:
            error = str(refused)
            log.warning("digest.refused", digest=digest_id, why=error)
        async with self.db.write() as session:
            row = await session.get_one(Digest, digest_id, with_for_update=True)
            row.error = cut(error, Digest.error)
            if not error:
                row.state, row.sent_at = DigestState.SENT.value, now
            else:
                again = next_try(row.tries, now)
                row.state, row.next_at = DigestState.WAITING.value, again
                if row.tries >= MOST_TRIES:
                    row.state = DigestState.FAILED.value
        return not error


async def plan(db: Database, now: datetime) -> int:
    """Insert a row for each person whose digest is due. Returns how many were missing."""
    async with db.read() as session:
        due = await _due(session, now)
        days = {day for _, day in due}
        rows = await session.exec(select(Digest).where(col(Digest.day).in_(days))) if due else None
        missing = sorted(set(due) - {(row.user_id, row.day) for row in (rows.all() if rows is not None else ())})
    if missing:
        async with db.write() as session:
            new = [
                {
                    "user_id": user_id,
                    "day": day,
                    "state": DigestState.WAITING.value,
                    "next_at": now,
                    "tries": 0,
                    "error": "",
                }
                for user_id, day in missing
            ]
            await add_new(session, Digest, new)
    return len(missing)


async def _due(session: AsyncSession, now: datetime) -> list[tuple[int, date]]:
    """The users whose digest is due, with their local day; without those on a day off or on leave."""
    people = await load_directory(session)
    wanted = [user for user in people.users.values() if user.is_active and user.email and user.digest_at is not None]
    if not wanted:
        return []
    calendars, found = await load_calendars(session, people), []
    for user in wanted:
        working = calendars.of_user(user.id)
        local = now.astimezone(working.timezone)
        if user.digest_at is None or not is_due(user.digest_at, user.quiet_digest, local):
            continue
        if working.spans_of(local.date()) and calendars.acting(user.id or 0, now) == user.id:
            found.append((user.id or 0, local.date()))
    return found


async def _facts(session: AsyncSession, people: Directory, user: User, row: Digest, now: datetime) -> DigestFacts:
    calendars = await load_calendars(session, people)
    return await load_digest(session, people, user, row.day, calendars.of_user(user.id).timezone, now)


def _waiting(now: datetime) -> SelectOfScalar[Digest]:
    return select(Digest).where(WAITS, col(Digest.next_at) <= now).order_by(col(Digest.next_at)).limit(1)
