"""The Host names that are answered. Others are refused, against DNS rebinding.

An address of the network, a name without a dot, this machine's own names and those of office networks (``.lan``,
``.local``) are ours without a setting; any other name is written into ``allowed_hosts``. Behind a proxy of ours that no
list was given for, the proxy decides.
"""

import re
import socket
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pbxcrm.shared.settings import Settings

#: Names that no stranger can register (RFC 2606, RFC 6761, RFC 6762, RFC 8375, and ``.internal``).
_OF_OFFICES = (".local", ".lan", ".home.arpa", ".internal", ".localhost", ".test", ".example")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?")
_PORT = re.compile(r":\d{1,5}\Z")


class OnlyOurNames:
    """Refuses a request without a Host, with several, or with a name that is not ours."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.is_ours = rule_of(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = Headers(scope=scope).getlist("host")
            if len(hosts) != 1:
                # HTTP/1.0 allows a request without Host; old health checks send none.
                if hosts or scope["http_version"] != "1.0":
                    said = "Send one Host header.\n"
                    await PlainTextResponse(said, 400, {"connection": "close"})(scope, receive, send)
                    return
            elif not self.is_ours(hosts[0]):
                said = (
                    "pbxcrm does not answer under this name. "
                    "If it is yours, write it into PBXCRM_ALLOWED_HOSTS (docs/settings.md).\n"
                )
                await PlainTextResponse(said, 421)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def rule_of(settings: Settings) -> Callable[[str], bool]:
    """The function that says whether a Host header names this site."""
    allowed = {name.strip().lower().rstrip(".") for name in settings.allowed_hosts.split(",") if name.strip()}
    anything = "*" in allowed or (not allowed and bool(settings.trusted_proxies))
    own = {name.lower().rstrip(".") for name in (socket.gethostname(), *_names()) if name}

    @lru_cache(maxsize=1000)
    def is_ours(host: str) -> bool:
        name = host_name(host)
        if name is None:
            return False
        if anything or _is_address(name) or "." not in name or name in own or name.endswith(_OF_OFFICES):
            return True
        return name in allowed or any(
            pattern.startswith("*.") and name.endswith(pattern[1:]) and len(name) >= len(pattern) for pattern in allowed
        )

    return is_ours


def host_name(host: str) -> str | None:
    """The name or address of a Host header in lower case, without its port; None if it is malformed."""
    text = host.strip().lower()
    if text.startswith("["):
        inside, bracket, port = text[1:].partition("]")
        return inside if bracket and (not port or _PORT.fullmatch(port)) and _is_address(inside) else None
    text = _PORT.sub("", text)
    return text.rstrip(".") if _NAME.fullmatch(text) else None


def _is_address(name: str) -> bool:
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _names() -> tuple[str, ...]:
    # ``getfqdn`` asks the resolver, which may hang. /etc/hosts and the host's own name are enough.
    try:
        return (socket.gethostname().partition(".")[0],)
    except OSError:
        return ()
