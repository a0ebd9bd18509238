"""Where a server of e-mail is and who logs in there, from its URL in the settings, which check it."""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit


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
