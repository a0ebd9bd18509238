"""Where a server of e-mail is, who logs in there and which certificates are trusted, from the settings, which check them."""

import ssl
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import structlog

from pbxcrm.shared.reasons import N_

log = structlog.get_logger()


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


#: What OpenSSL finds wrong with a certificate most often (x509_vfy.h), in words.
_FAULTS: dict[int, str] = {
    **dict.fromkeys((2, 19, 20, 21), N_("The certificate of the mail server is of an authority that is not known here. One of your own is trusted by PBXCRM_MAIL_CA.")),
    9: N_("The certificate of the mail server is not valid yet. Look at the clocks of both machines."),
    10: N_("The certificate of the mail server has expired. It must be renewed there."),
    18: N_("The mail server has signed its certificate itself. It is trusted if PBXCRM_MAIL_CA names it."),
    **dict.fromkeys((62, 64), N_("The certificate of the mail server is for another name. The address in the settings must be one that the certificate names.")),
}  # fmt: skip
_OTHER_FAULT = N_(
    "The certificate of the mail server is wrong; the log says how. An authority of your own is trusted by PBXCRM_MAIL_CA."
)


def fault_of_tls(error: BaseException) -> str:
    """What is wrong with TLS, in words; empty if something else is. Looks behind the error, too. The log keeps what OpenSSL says."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            log.warning("mail.certificate", why=found.verify_message or found.reason, code=found.verify_code)
            return _FAULTS.get(found.verify_code, _OTHER_FAULT)
        if isinstance(found, ssl.SSLError):
            log.warning("mail.tls", why=str(found))
            return N_("The server does not speak TLS as it should.")
        found = found.__cause__ or found.__context__
    return ""
