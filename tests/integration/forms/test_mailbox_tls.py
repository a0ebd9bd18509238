"""A mailbox read over TLS from a real Dovecot whose certificate is right, out of date, of another name, or of nobody who is trusted."""

import tempfile
from pathlib import Path

import pytest

from pbxcrm.forms.imap import MailboxAway, MailboxServer, opened
from pbxcrm.shared.settings import Settings
from tests.certificates import make_certificate
from tests.imap_server import has_dovecot, running_imap
from tests.needs import need

HOSTS = ("imaps", "127.0.0.1"), ("imap", "127.0.0.2")  # the second is another machine to us: STARTTLS
NAMES = "IP:127.0.0.1,IP:127.0.0.2"


@pytest.mark.parametrize(
    ("name", "is_trusted", "is_expired", "says"),
    [
        (NAMES, True, False, ""),
        (NAMES, False, False, "The mail server has signed its certificate itself"),
        ("DNS:mail.example", True, False, "The certificate of the mail server is for another name"),
        (NAMES, True, True, "The certificate of the mail server has expired"),
    ],
)
def test_a_mailbox_is_read_only_from_a_server_that_is_trusted(
    name: str, says: str, *, is_trusted: bool, is_expired: bool
) -> None:
    need(has_dovecot(), "Dovecot is missing (apt-get install dovecot-imapd)")
    with tempfile.TemporaryDirectory(prefix="imap-") as made:
        folder = Path(made)
        cert = make_certificate(folder, name, is_expired=is_expired)
        ca = Settings(data_dir=folder, mail_ca=cert).mail_ca if is_trusted else None
        with running_imap(folder, is_tls=True) as server:
            for scheme, host in HOSTS:
                asked = MailboxServer.of(server.url_of(scheme, host), ca)
                if not says:
                    with opened(asked) as mailbox:
                        assert mailbox.state.next_uid == 1
                    continue
                with pytest.raises(MailboxAway, match=says), opened(asked):
                    pass
