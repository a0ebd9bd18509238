"""A real IMAP server for tests: Debian's Dovecot on a free port, with one mailbox in the test's own folder."""

import getpass
import grp
import imaplib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER, PASSWORD = "office", "s@cr/t"
STARTS_WITHIN = 60.0
_CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1, 127.0.0.2
{tls}
disable_plaintext_auth = no
{users}
mail_location = maildir:{folder}/mail
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
"""


@dataclass
class ImapServer:
    """A running Dovecot; ``stop`` and ``start`` take it away and bring it back with its mail."""

    folder: Path
    port: int
    tls_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.url_of()

    def url_of(self, scheme: str = "imap", host: str = "127.0.0.1") -> str:
        """``imaps`` is TLS from the start; ``imap`` to 127.0.0.2, which is another machine to us, needs STARTTLS."""
        port = self.tls_port if scheme == "imaps" else self.port
        return f"{scheme}://{USER}:s%40cr%2Ft@{host}:{port}"

    def start(self) -> None:
        command = [str(shutil.which("dovecot")), "-F", "-c", str(self.folder / "dovecot.conf")]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        began = time.monotonic()
        while True:
            try:
                with self.client():
                    return
            except (OSError, imaplib.IMAP4.error):
                log = self.folder / "log"
                said = log.read_text() if log.exists() else ""
                assert self.process.poll() is None, f"dovecot ended: {said}"
                assert time.monotonic() - began < STARTS_WITHIN, f"dovecot does not answer: {said}"
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STARTS_WITHIN)
            self.process = None

    @contextmanager
    def client(self) -> Iterator[imaplib.IMAP4]:
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=STARTS_WITHIN) as client:
            client.login(USER, PASSWORD)
            yield client

    def deliver(self, *messages: bytes, folder: str = "INBOX") -> None:
        with self.client() as client:
            for message in messages:
                kind, said = client.append(folder, "", "", message)
                assert kind == "OK", said

    def make_anew(self, folder: str = "INBOX") -> None:
        """Throw the folder away with all that Dovecot knows of it, so that its UIDs start over with another UIDVALIDITY."""
        self.stop()
        for path in (self.folder / "mail").iterdir():
            if path.name.startswith("dovecot"):
                path.unlink()
        self.start()


def has_dovecot() -> bool:
    return shutil.which("dovecot") is not None


@contextmanager
def running_imap(folder: Path, *, is_tls: bool = False) -> Iterator[ImapServer]:
    """Dovecot in this folder, as the user of the tests; root lends it the users that Debian made for it. ``is_tls``: it offers TLS
    with ``cert.pem`` and ``key.pem`` of the folder.
    """
    folder.chmod(0o755)
    if os.getuid() == 0:
        users, uid, gid = "", "mail", "mail"
        (folder / "mail").mkdir()
        shutil.chown(folder / "mail", uid, gid)
        for above in folder.parents:  # pytest makes its folders for their owner alone
            if str(above).startswith(("/tmp/", "/dev/shm/")):
                above.chmod(above.stat().st_mode | 0o011)
    else:
        me, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
        users = f"default_internal_user = {me}\ndefault_internal_group = {group}\ndefault_login_user = {me}"
        uid, gid = me, group
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, tls_port = free.getsockname()[1], other.getsockname()[1] if is_tls else 0
    tls = f"ssl = yes\nssl_cert = <{folder}/cert.pem\nssl_key = <{folder}/key.pem" if is_tls else "ssl = no"
    text = _CONFIG.format(
        folder=folder, users=users, uid=uid, gid=gid, password=PASSWORD, port=port, tls=tls, tls_port=tls_port
    )
    (folder / "dovecot.conf").write_text(text)
    server = ImapServer(folder, port, tls_port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
