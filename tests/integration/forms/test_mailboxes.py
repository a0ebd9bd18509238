"""The poll of a real mailbox (Dovecot): what becomes a request, how it goes on after anything, and what robots send."""

import resource
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal
from pbxcrm.files.models import AttachedFile
from pbxcrm.files.store import Store
from pbxcrm.forms.accept_actions import accept_request
from pbxcrm.forms.actions import Surroundings
from pbxcrm.forms.imap import MailboxServer
from pbxcrm.forms.mail_actions import AFTER_ERROR, EVERY, MailPoll
from pbxcrm.forms.models import FormKind, FormRequest, Mailbox, RequestState
from pbxcrm.forms.queries import held_hashes
from pbxcrm.shared.db import Database
from pbxcrm.tasks.models import Task
from tests.calls import NOON
from tests.forms import make_form
from tests.imap_server import ImapServer, has_dovecot, running_imap
from tests.needs import need
from tests.office import Office


@pytest.fixture
def imap() -> Iterator[ImapServer]:
    need(has_dovecot(), "Dovecot is missing (apt-get install dovecot-imapd)")
    with tempfile.TemporaryDirectory(prefix="imap-") as folder, running_imap(Path(folder)) as server:
        yield server


@pytest.fixture
async def poll(database: Database, office: Office, imap: ImapServer, tmp_path: Path) -> MailPoll:
    """The mailbox has its form and was looked at once, so that what comes now is new."""
    async with database.read() as session:
        by = await office.viewer(session, "admin")
    await make_form(
        database, by, NOON, kind=FormKind.MAIL, mailbox="office", fields=(), responsible_id=office.id("ivan")
    )
    found = MailPoll(
        database,
        {"office": MailboxServer.of(imap.url)},
        Store(tmp_path),
        Surroundings("UA", "UAH", 1),
        25,
        "crm@us.example",
    )
    imap.deliver(mail("Before", number=0))
    assert await found.read_due(NOON) == 0
    return found


def mail(subject: str, *, number: int, sender: str = "Роберт Ткач <robert@example.com>", **headers: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "office@us.example", subject
    message["Message-ID"] = f"<{number}@example.com>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Добрий день!\r\nПотрібні двері.\r\n")
    return message.as_bytes()


async def rows(database: Database, model: Any) -> Sequence[Any]:
    async with database.read() as session:
        return (await session.exec(select(model).order_by(col(model.id)))).all()


async def test_a_letter_becomes_a_deal_with_its_files(
    poll: MailPoll, imap: ImapServer, database: Database, office: Office
) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "Роберт Ткач <robert@example.com>", "Двері на дачу \u202eexe"
    message["Message-ID"] = "<door@example.com>"
    message.set_content("<b>Plain</b>")
    message.add_alternative(
        "<html><head><title>no</title></head><body><p>HTML</p><script>no</script></body></html>", subtype="html"
    )
    message.add_attachment(b"%PDF-1.7 plan", maintype="application", subtype="octet-stream", filename="../план.pdf")
    imap.deliver(message.as_bytes())
    assert await poll.read_due(NOON + EVERY) == 1
    (request,) = await rows(database, FormRequest)
    (deal,) = await rows(database, Deal)
    (contact,) = await rows(database, Contact)
    (file,) = await rows(database, AttachedFile)
    assert (request.subject, request.text, request.email) == ("Двері на дачу exe", "<b>Plain</b>", "robert@example.com")
    assert (deal.title, deal.responsible_id, contact.name) == ("Двері на дачу exe", office.id("ivan"), "Роберт Ткач")
    assert (file.name, file.content_type, file.deal_id) == ("план.pdf", "application/pdf", deal.id)
    assert [task.assignee_id for task in await rows(database, Task) if task.about == f"request:{deal.id}"] == [
        office.id("ivan")
    ]
    with imap.client() as client:  # only looked at: nothing has become read
        client.select("INBOX", readonly=True)
        assert client.search(None, "SEEN")[1] == [b""]


async def test_each_letter_once_whatever_happens_between(poll: MailPoll, imap: ImapServer, database: Database) -> None:
    now = NOON + EVERY
    imap.deliver(mail("One", number=1), mail("Two", number=2, sender="b@example.com"))
    assert await poll.read_due(now) == 2
    assert await poll.read_due(now) == 0  # not due again
    assert await poll.read_due(now + EVERY) == 0
    imap.deliver(mail("Two again", number=2, sender="b@example.com"), mail("Three", number=3, sender="c@example.com"))
    assert await poll.read_due(now + 2 * EVERY) == 2
    assert [request.subject for request in await rows(database, FormRequest)] == ["One", "Two", "Three"]
    async with database.write() as session:  # as if the worker had died before it wrote how far it was
        row = await session.get_one(Mailbox, "office")
        row.last_uid, row.next_at = 1, now
    assert await poll.read_due(now + 3 * EVERY) == 4
    assert len(await rows(database, FormRequest)) == 3
    assert len(await rows(database, Deal)) == 3


async def test_a_folder_that_was_made_anew(poll: MailPoll, imap: ImapServer, database: Database) -> None:
    from datetime import UTC, datetime

    now = datetime.now(UTC)  # SINCE asks by the date at which the server got a message
    imap.deliver(mail("One", number=1))
    async with database.write() as session:
        (await session.get_one(Mailbox, "office")).next_at = now
    assert await poll.read_due(now) == 1
    async with database.read() as session:
        before = (await session.get_one(Mailbox, "office")).uid_validity
    async with database.write() as session:  # the letter that was there at first is older than what is read again
        (await session.get_one(Mailbox, "office")).uid_validity = 1
    imap.deliver(mail("Two", number=2, sender="b@example.com"))
    assert await poll.read_due(now + 2 * EVERY) == 3
    async with database.read() as session:
        assert (await session.get_one(Mailbox, "office")).uid_validity == before
    subjects = [request.subject for request in await rows(database, FormRequest)]
    assert sorted(subjects) == ["Before", "One", "Two"]  # read on the same day: rather twice looked at than lost


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Precedence": "bulk"},
        {"List_Id": "<news.example.com>"},
        {"X_Autoreply": "yes"},
        {"Return_Path": "<>"},
        {"sender": "crm@us.example"},
        {"sender": "nobody at all"},
    ],
)
async def test_robots_are_set_aside(
    poll: MailPoll, imap: ImapServer, database: Database, headers: dict[str, str]
) -> None:
    imap.deliver(mail("Out of office", number=1, **headers))
    assert await poll.read_due(NOON + EVERY) == 1
    (request,) = await rows(database, FormRequest)
    assert (request.state, request.deal_id) == (RequestState.ASIDE, None)
    assert not await rows(database, Deal)


async def test_a_letter_that_is_none_holds_nothing_up(poll: MailPoll, imap: ImapServer, database: Database) -> None:
    broken = [
        b"\x00\xff\xfe" * 50,
        b"From: =?utf-8?b?////?= <a@example.com>\r\nContent-Type: text/plain; charset=no-such\r\nSubject: =?x?q?=ZZ?=\r\n\r\n\xff\xfe",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" * 30,
        b"",
    ]
    imap.deliver(*(each or b"\r\n" for each in broken), mail("Good", number=9, sender="good@example.com"))
    assert await poll.read_due(NOON + EVERY) == 5
    assert [deal.title for deal in await rows(database, Deal)][-1] == "Good"


async def test_a_letter_of_fifty_megabytes(poll: MailPoll, imap: ImapServer, database: Database) -> None:
    message = EmailMessage()
    message["From"], message["Subject"], message["Message-ID"] = "big@example.com", "Big", "<big@example.com>"
    message.set_content("Two files.")
    message.add_attachment(b"x" * (18 << 20), maintype="application", subtype="zip", filename="a.zip")
    message.add_attachment(b"y" * (18 << 20), maintype="application", subtype="zip", filename="b.zip")
    whole = message.as_bytes()
    assert len(whole) > 50_000_000
    imap.deliver(whole)
    del whole, message
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert await poll.read_due(NOON + EVERY) == 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert [file.size for file in await rows(database, AttachedFile)] == [18 << 20] * 2
    assert grown < 400, f"{grown} MB more at the peak"


async def test_a_mailbox_that_is_away_says_so_and_goes_on(poll: MailPoll, imap: ImapServer, database: Database) -> None:
    now = NOON + EVERY
    imap.deliver(mail("One", number=1))
    imap.stop()
    assert await poll.read_due(now) == 0
    async with database.read() as session:
        row = await session.get_one(Mailbox, "office")
    assert (row.error_since, row.next_at) == (now, now + AFTER_ERROR)
    assert "refused" in row.error.lower()
    assert "s@cr" not in row.error
    imap.start()
    assert await poll.read_due(now + AFTER_ERROR) == 1
    async with database.read() as session:
        row = await session.get_one(Mailbox, "office")
    assert (row.error, row.error_since, row.read_at) == ("", None, now + AFTER_ERROR)


async def test_a_wrong_password_is_said_without_it(imap: ImapServer, poll: MailPoll, database: Database) -> None:
    wrong = MailPoll(
        database, {"office": MailboxServer.of(imap.url.replace("s%40cr%2Ft", "hunter2"))}, poll.store, poll.around, 25
    )
    assert await wrong.read_due(NOON + timedelta(hours=1)) == 0
    async with database.read() as session:
        row = await session.get_one(Mailbox, "office")
    assert "auth" in row.error.lower()
    assert "hunter2" not in row.error


async def test_the_files_of_a_letter_that_was_set_aside_come_with_it_when_it_is_accepted(
    poll: MailPoll, imap: ImapServer, database: Database, office: Office
) -> None:
    """It looked as if a robot had sent it. Until somebody decides its files stay, for thirty days."""
    message = EmailMessage()
    message["From"], message["Subject"] = "Shop <orders@example.com>", "Order 5"
    message["Message-ID"], message["Auto-Submitted"] = "<order@example.com>", "auto-generated"
    message.set_content("An order")
    message.add_attachment(b"%PDF-1.4 order", maintype="application", subtype="pdf", filename="order.pdf")
    imap.deliver(message.as_bytes())
    assert await poll.read_due(NOON + EVERY) == 1
    [aside] = await rows(database, FormRequest)
    assert aside.state == RequestState.ASIDE
    assert [each["name"] for each in aside.files] == ["order.pdf"]
    async with database.read() as session:
        assert await held_hashes(session, NOON + timedelta(days=29)) == {aside.files[0]["sha256"]}
        assert await held_hashes(session, NOON + timedelta(days=31)) == set()
        maria = await office.viewer(session, "maria")
    async with database.write() as session:
        await accept_request(session, maria, aside.id, Surroundings("UA", "UAH", 1), NOON + timedelta(days=1))
    [file] = await rows(database, AttachedFile)
    [deal] = await rows(database, Deal)
    assert (file.name, file.deal_id, file.content_type) == ("order.pdf", deal.id, "application/pdf")
    async with database.read() as session:
        assert await held_hashes(session, NOON) == set()  # the file itself keeps its bytes now


async def test_a_letter_waits_until_its_files_can_be_checked(
    poll: MailPoll, imap: ImapServer, database: Database, tmp_path: Path
) -> None:
    message = EmailMessage()
    message["From"], message["Subject"], message["Message-ID"] = "a@example.com", "Door", "<scan@example.com>"
    message.set_content("See the file")
    message.add_attachment(b"HEREVIRUS", maintype="application", subtype="octet-stream", filename="bad.bin")
    message.add_attachment(b"fine", maintype="application", subtype="octet-stream", filename="fine.bin")
    imap.deliver(message.as_bytes())
    scanner = tmp_path / "scan"
    scanner.write_text('#!/bin/sh\n[ -e "$(dirname "$0")/away" ] && exit 2\ngrep -q HEREVIRUS "$1" && exit 1\nexit 0\n')
    scanner.chmod(0o755)
    (tmp_path / "away").touch()
    poll = replace(poll, store=Store(tmp_path, str(scanner)))
    assert await poll.read_due(NOON + EVERY) == 0
    assert await rows(database, FormRequest) == []
    (tmp_path / "away").unlink()
    assert await poll.read_due(NOON + EVERY + AFTER_ERROR) == 1
    [request] = await rows(database, FormRequest)
    assert ["", "bad.bin"] in request.answers  # named among the answers, and not taken in
    assert [file.name for file in await rows(database, AttachedFile)] == ["fine.bin"]
