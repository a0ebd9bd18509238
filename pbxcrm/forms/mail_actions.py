"""The poll of mailboxes: each new message becomes a request, once.

How far a mailbox is read is a row that is written in the transaction of the request, so a worker may die at any point. Several workers
take turns by a deadline in that row. A mailbox that is away is tried again, and its row says since when and why.
"""

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

import structlog
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.files.rules import MB
from pbxcrm.files.store import Kept, Store
from pbxcrm.forms.actions import Arrival, Surroundings, receive
from pbxcrm.forms.imap import FolderState, MailboxAway, MailboxServer, OpenMailbox, opened
from pbxcrm.forms.mail_rules import MailError, ReadMail, attachments, parse_mail
from pbxcrm.forms.models import FormRequest, Mailbox, WebForm
from pbxcrm.forms.queries import load_forms
from pbxcrm.forms.rules import Answers
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import PbxcrmError
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.reasons import Reason, reason

log = structlog.get_logger()

EVERY = timedelta(seconds=60)
AFTER_ERROR = timedelta(minutes=2)
CLAIM = timedelta(minutes=10)  # longer than one round takes
MOST_AT_ONCE = 200  # messages in one round
LARGEST = 64 * MB  # of a message; of a larger one the beginning is read
SAFETY = timedelta(days=1)  # before the last reading, where a folder has got new UIDs


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as it was fetched: what it says, its files, and what could not be kept."""

    mail: ReadMail | None
    files: Sequence[tuple[str, Kept]] = ()
    left_out: Sequence[str] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class MailPoll:
    """Reads the mailboxes of the settings. ``own``: our own address, from which nothing becomes a request."""

    db: Database
    servers: dict[str, MailboxServer]
    store: Store
    around: Surroundings
    files_max_mb: int
    own: str = ""
    folder: Path | None = field(default=None)  # for temporary files; None: the usual one

    async def read_due(self, now: datetime) -> int:
        """Read every mailbox that is due and has a form. Returns how many messages were taken. Several workers may call it at once."""
        taken = 0
        for name, server in self.servers.items():
            claimed = await self._claim(name, now)
            if claimed is None:
                continue
            form, row = claimed
            error = ""
            try:
                taken += await self._read(form, row, server, now)
            except MailboxAway as away:
                error = str(away)
            except PbxcrmError as refused:  # no room for files: the message waits in the mailbox
                error = str(refused)
            await self._release(name, error, now)
        return taken

    async def _claim(self, name: str, now: datetime) -> tuple[WebForm, Mailbox] | None:
        async with self.db.read() as session:  # read first: on SQLite a write transaction would block other writers
            form = (await load_forms(session)).of_mailbox(name)
            row = await session.get(Mailbox, name)
            if form is None or (row is not None and row.next_at > now):
                return None
        async with self.db.write() as session:
            row = (await session.exec(select(Mailbox).where(col(Mailbox.name) == name).with_for_update())).first()
            if row is not None and row.next_at > now:
                return None
            row = row or Mailbox(name=name, next_at=now)
            row.next_at = now + CLAIM
            session.add(row)
        return form, row

    async def _release(self, name: str, error: str, now: datetime) -> None:
        async with self.db.write() as session:
            row = await session.get_one(Mailbox, name, with_for_update=True)
            if error and not row.error:
                log.warning("mailbox.away", mailbox=name, why=error)
                row.error_since = now
            if not error:
                row.read_at, row.error_since = now, None
            row.error = cut(error, Mailbox.error)
            row.next_at = now + (AFTER_ERROR if error else EVERY)

    async def _read(self, form: WebForm, row: Mailbox, server: MailboxServer, now: datetime) -> int:
        async with _opened(server) as mailbox:
            uids = await self._new_uids(mailbox, row, now)
            for uid in uids[:MOST_AT_ONCE]:
                taken = await asyncio.to_thread(self._take, mailbox, uid)
                async with self.db.write() as session:
                    if taken is not None:
                        await receive(session, form, self._arrival(taken, uid), self.around, now)
                    await _read_up_to(session, row.name, mailbox.state, uid)
        return min(len(uids), MOST_AT_ONCE)

    async def _new_uids(self, mailbox: OpenMailbox, row: Mailbox, now: datetime) -> list[int]:
        """Messages since the last reading. What was in a mailbox before it was read for the first time is no request."""
        state = mailbox.state
        if row.uid_validity == state.validity:
            return await asyncio.to_thread(mailbox.uids_after, row.last_uid)
        if row.uid_validity is None:
            async with self.db.write() as session:
                await _read_up_to(session, row.name, state, state.next_uid - 1)
            return []
        # The folder was made again: its UIDs name other messages. Those that were read already are known by their Message-ID.
        uids = await asyncio.to_thread(mailbox.uids_since, (row.read_at or now) - SAFETY)
        if not uids:
            async with self.db.write() as session:
                await _read_up_to(session, row.name, state, state.next_uid - 1)
        return uids

    def _take(self, mailbox: OpenMailbox, uid: int) -> Taken | None:
        """Fetch, parse and store the files of a message; None for one that is gone. Blocks."""
        size = mailbox.size(uid)
        if size is None:
            return None
        with tempfile.TemporaryFile(dir=self.folder) as file:
            mailbox.fetch_into(uid, file, LARGEST)
            file.seek(0)
            return self._parsed(file, whole=size <= LARGEST)

    def _parsed(self, file: IO[bytes], *, whole: bool) -> Taken:
        try:
            mail = parse_mail(file)
        except MailError as error:
            return Taken(None, error=str(error))
        kept: list[tuple[str, Kept]] = []
        left_out: list[str] = []
        if not mail.address or mail.address.lower() == self.own.lower():
            return Taken(mail)  # of a robot they are kept for a while: somebody may say that it is a request
        for name, content in attachments(mail.message):
            if not whole:
                left_out.append(name)
                continue
            try:
                kept.append((name, self.store.keep(io.BytesIO(content), self.files_max_mb * MB)))
            except PbxcrmError as error:
                if error.status == 503:
                    raise  # the disk: it is tried again
                left_out.append(name)
        return Taken(mail, kept, left_out)

    def _arrival(self, taken: Taken, uid: int) -> Arrival:
        mail = taken.mail
        if mail is None:
            aside = reason("mail.unreadable", why=taken.error)
            return Arrival(
                Answers(),
                cut(taken.error, FormRequest.content_hash),
                key=f"uid:{uid}",
                aside=aside,
                message_id=f"uid:{uid}",
            )
        answers = Answers(
            name=mail.name,
            emails=[mail.address] if mail.address else [],
            message=mail.text,
            told=[["", name] for name in taken.left_out],
        )
        return Arrival(
            answers,
            mail.key,
            key=f"mail:{mail.key}",
            subject=mail.subject,
            message_id=mail.message_id or mail.key,
            aside=self._aside(mail),
            files=taken.files,
            answers_to=mail.answers,
        )

    def _aside(self, mail: ReadMail) -> Reason | None:
        if mail.robot:
            return reason("mail.robot", sign=mail.robot)
        if mail.address.lower() == self.own.lower() != "":
            return reason("mail.own")
        if not mail.address:
            return reason("mail.unreadable", why="From")
        return None


async def _read_up_to(session: AsyncSession, name: str, state: FolderState, uid: int) -> None:
    row = await session.get_one(Mailbox, name, with_for_update=True)
    row.uid_validity, row.last_uid = state.validity, uid


@asynccontextmanager
async def _opened(server: MailboxServer) -> AsyncIterator[OpenMailbox]:
    """``imap.opened``, whose connection is made and closed in a thread."""
    mailbox = opened(server)
    inside = await asyncio.to_thread(mailbox.__enter__)
    try:
        yield inside
    finally:
        await asyncio.to_thread(mailbox.__exit__, None, None, None)
