"""Where a server of e-mail is, who logs in there and which certificates are trusted, from the settings, which check them."""

import ssl
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pbxcrm.shared.reasons import N_


class ServerLogin(NamedTuple):
    """``is_tls``: TLS from the start."""

    host: str
    port: int
    user: str
    password: str
    is_tls: bool


def server_of(url: str, *, tls: str, ports: tuple[int, int]) -> ServerLogin:
    """``tls``: the scheme with TLS from the start; ``ports``: the usual ones without and with it."""
    parts = urlsplit(url)
    is_tls = parts.scheme == tls
    return ServerLogin(
        parts.hostname or "localhost",
        parts.port or ports[is_tls],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        is_tls,
    )


@cache
def trust_of(ca: Path | None) -> ssl.SSLContext:
    """TLS that trusts the authorities of the system, and those in the file ``ca`` (PEM). Raises OSError for a file that has none."""
    context = ssl.create_default_context()
    if ca is not None:
        context.load_verify_locations(ca)
    return context


def fault_of_tls(error: BaseException) -> str:
    """What is wrong with TLS, in words; empty if something else is. Looks behind the error, too."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            why = found.verify_message or found.reason
            return f"The certificate of the mail server is wrong: {why}. An authority of your own is trusted by PBXCRM_MAIL_CA."
        if isinstance(found, ssl.SSLError):
            return N_("The server does not speak TLS as it should.")
        found = found.__cause__ or found.__context__
    return ""
