"""Answers by e-mail (Dovecot): they land on the deal of the message, end waiting runs, and those of robots and huge ones do no harm."""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from pbxcrm.deals.models import Deal
from pbxcrm.files.models import AttachedFile
from pbxcrm.files.store import Store
from pbxcrm.forms.actions import Surroundings
from pbxcrm.forms.imap import MailboxServer
from pbxcrm.forms.mail_actions import EVERY, MailPoll
from pbxcrm.forms.models import FormKind, FormRequest, RequestState
from pbxcrm.timeline.entries import EntryKind
from pbxcrm.timeline.queries import timeline
from tests.forms import make_form
from tests.imap_server import ImapServer, has_dovecot, running_imap
from tests.integration.automation.conftest import A_TASK
from tests.integration.messages.conftest import CLIENT, MessageDesk
from tests.needs import need

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def imap() -> Iterator[ImapServer]:
    need(has_dovecot(), "Dovecot is missing (apt-get install dovecot-imapd)")
    with tempfile.TemporaryDirectory(prefix="imap-") as folder, running_imap(Path(folder)) as server:
        yield server


@pytest.fixture
async def poll(messages: MessageDesk, imap: ImapServer, tmp_path: Path) -> MailPoll:
    desk = messages.rules
    async with desk.database.read() as session:
        by = await desk.office.viewer(session, "admin")
    await make_form(desk.database, by, desk.now, kind=FormKind.MAIL, mailbox="office", fields=())
    servers = {"office": MailboxServer.of(imap.url)}
    around = Surroundings("UA", "UAH", 1)
    found = MailPoll(desk.database, servers, Store(tmp_path), around, 25, "crm@office.example")
    assert await found.read_due(desk.now) == 0
    return found


async def written(messages: MessageDesk) -> tuple[int, EmailMessage]:
    """A deal about which the client got a message, and that message."""
    deal_id = await messages.rules.deal(contact_id=await messages.client())
    await messages.by_hand(deal_id, await messages.template())
    await messages.send()
    return deal_id, messages.taken.mails[0]


def answer(to: EmailMessage, text: str = "Yes, please.", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"Petro <{CLIENT}>", to["From"], f"Re: {to['Subject']}"
    message["Message-ID"] = f"<{abs(hash(text))}@client.example>"
    message["In-Reply-To"] = to["Message-ID"]
    message["References"] = f"<older@client.example> {to['Message-ID']}"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message


async def read(messages: MessageDesk, poll: MailPoll, imap: ImapServer, *mails: EmailMessage) -> None:
    imap.deliver(*(mail.as_bytes() for mail in mails))
    messages.rules.now += EVERY + timedelta(seconds=1)
    assert await poll.read_due(messages.rules.now) == len(mails)
    await messages.rules.work()


async def rows(messages: MessageDesk, model: Any) -> list[Any]:
    async with messages.rules.database.read() as session:
        return list((await session.exec(select(model).order_by(col(model.id)))).all())


async def test_an_answer_lands_on_the_deal_of_the_message(
    messages: MessageDesk, poll: MailPoll, imap: ImapServer
) -> None:
    await messages.rules.rule({"kind": "client_answered"}, {"kind": "tag", "add": ["answered"]})
    deal_id, sent = await written(messages)
    await messages.rules.move(deal_id, "Invoice issued")
    reply = answer(sent)
    reply.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="plan.pdf")
    reply.replace_header("From", "Secretary <other@elsewhere.example>")  # whoever answers, it is about that deal
    await read(messages, poll, imap, reply)
    (request,) = await rows(messages, FormRequest)
    assert (request.deal_id, request.state, request.text) == (deal_id, RequestState.JOINED.value, "Yes, please.")
    assert request.reason["code"] == "form.answer"
    assert len(await rows(messages, Deal)) == 1
    assert [file.name for file in await rows(messages, AttachedFile)] == ["plan.pdf"]
    assert [status for status, _ in await messages.rules.told()] == ["done"]
    async with messages.rules.database.read() as session:
        viewer = await messages.rules.office.viewer(session, "ivan")
        told = await timeline(session, viewer, deal_id=deal_id, kinds=frozenset({EntryKind.REQUEST}))
    assert [entry.id for entry in told.entries] == [request.id]
    (task,) = await messages.rules.tasks()
    assert (task.deal_id, task.assignee_id) == (deal_id, messages.rules.office.id("ivan"))
    await read(messages, poll, imap, answer(EmailMessage(), "A new thing", X_Other="1"))
    assert len(await rows(messages, Deal)) == 1, (
        "a letter of the client without a thread joins their open deal, as before"
    )


async def test_an_answer_ends_runs_that_wait_for_it(messages: MessageDesk, poll: MailPoll, imap: ImapServer) -> None:
    rule_id = await messages.rules.rule(
        {"kind": "stage_entered", "stage_id": messages.rules.stages["Invoice issued"]},
        {"kind": "wait", "minutes": 9 * 60},
        A_TASK,
        goal={"field": "event.kind", "op": "=", "value": "answered"},
    )
    deal_id, sent = await written(messages)
    await messages.rules.move(deal_id, "Invoice issued")
    await messages.rules.work()
    assert [status for status, _ in await messages.rules.told(rule_id)] == ["waiting"]
    await read(messages, poll, imap, answer(sent))
    assert await messages.rules.told(rule_id) == [("done", "Its goal was reached while it waited.")]


async def test_the_answer_of_a_robot_is_set_aside(messages: MessageDesk, poll: MailPoll, imap: ImapServer) -> None:
    await messages.rules.rule({"kind": "client_answered"}, A_TASK)
    _deal_id, sent = await written(messages)
    away = answer(sent, "I am away.", Auto_Submitted="auto-replied")
    bulk = answer(sent, "Our newsletter", Precedence="bulk")
    await read(messages, poll, imap, away, bulk)
    assert {row.state for row in await rows(messages, FormRequest)} == {RequestState.ASIDE.value}
    assert await messages.rules.told() == []


async def test_an_answer_of_fifty_megabytes_is_cut(messages: MessageDesk, poll: MailPoll, imap: ImapServer) -> None:
    deal_id, sent = await written(messages)
    huge = answer(sent, "See the plan. " + "x" * 20_000)
    huge.add_attachment(
        bytes(38_000_000), maintype="application", subtype="pdf", filename="plan.pdf"
    )  # 51 MB in base64
    await read(messages, poll, imap, huge)
    (request,) = await rows(messages, FormRequest)
    assert (request.deal_id, len(request.text)) == (deal_id, 10_000)
    assert await rows(messages, AttachedFile) == []
    assert ["", "plan.pdf"] in request.answers, "what was left out is said"
