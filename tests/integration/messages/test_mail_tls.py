"""E-mail over TLS to a real SMTP server whose certificate is right, of another name, or of nobody who is trusted."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from pbxcrm.messages.mail import MailCarrier
from pbxcrm.messages.queries import mail_trouble
from pbxcrm.notices.mail import NO_STARTTLS, MailServer
from pbxcrm.shared.settings import Settings
from tests.certificates import make_certificate, tls_of
from tests.integration.messages.conftest import CLIENT, MessageDesk

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize(
    ("name", "is_trusted", "is_expired", "says"),
    [
        ("IP:127.0.0.1", True, False, None),
        ("IP:127.0.0.1", False, False, "The mail server has signed its certificate itself"),
        ("DNS:mail.example", True, False, "The certificate of the mail server is for another name"),
        ("IP:127.0.0.1", True, True, "The certificate of the mail server has expired"),
    ],
)
async def test_a_certificate_is_trusted_or_refused_in_plain_words(
    messages: MessageDesk,
    tmp_path: Path,
    scheme: str,
    name: str,
    says: str | None,
    *,
    is_trusted: bool,
    is_expired: bool,
) -> None:
    make_certificate(tmp_path, name, is_expired=is_expired)
    tls = tls_of(tmp_path)
    starttls: dict[str, Any] = {"tls_context": tls, "require_starttls": True} if scheme == "smtp" else {}
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(messages.taken, **starttls), "127.0.0.1", 0, ssl=tls if scheme == "smtps" else None
    )
    async with server:
        url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ca = Settings(data_dir=tmp_path, mail_ca=tmp_path / "cert.pem").mail_ca if is_trusted else None
        carrier = MailCarrier(MailServer.of(url, ca), "crm@office.example")
        sender = replace(messages.sender, carriers=(carrier,))
        deal_id = await messages.rules.deal(contact_id=await messages.client())
        await messages.by_hand(deal_id, await messages.template())
        await sender.send_due(messages.rules.now)
    async with messages.rules.database.read() as session:
        trouble = await mail_trouble(session, await messages.rules.office.viewer(session, "admin"))
    ((state, said),) = await messages.told()
    if says is None:
        assert (state, said, trouble) == ("sent", "", None)
        assert len(messages.taken.of(CLIENT)) == 1
    else:
        assert state == "queued", "it is repaired by people, then it is sent"
        assert says in said
        assert trouble is not None, "the settings show it"
        assert messages.taken.mails == []


async def test_no_password_without_tls(messages: MessageDesk) -> None:
    """A server elsewhere that offers no STARTTLS gets neither a password nor the message."""
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(messages.taken), "127.0.0.2", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        carrier = MailCarrier(MailServer.of(f"smtp://crm:secret@127.0.0.2:{port}"), "crm@office.example")
        deal_id = await messages.rules.deal(contact_id=await messages.client())
        await messages.by_hand(deal_id, await messages.template())
        await replace(messages.sender, carriers=(carrier,)).send_due(messages.rules.now)
    assert await messages.told() == [("queued", f"It could not be sent and will be tried again: {NO_STARTTLS}")]
    assert messages.taken.mails == []
