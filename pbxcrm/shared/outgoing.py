"""HTTP to addresses that people have typed. Each connection is checked where it is made, so that no name can lead inside.

A name is resolved here, its addresses are checked, and the connection goes to one that was checked: a name that is resolved
differently the next time (DNS rebinding) gains nothing. Redirects are not followed.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import httpcore2

from pbxcrm.shared.networks import Network
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.refusals import NotSent

CONNECT_SECONDS = 10.0
WHOLE_SECONDS = 30.0  # from the first look at the name to the last byte
MOST_ANSWER = 64 * 1024  # bytes; the rest is left unread
LONGEST_ADDRESS = 500
_TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: the last four bytes are an IPv4 address


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """``text`` is the beginning of the body. ``location``: where a redirect leads."""

    status: int
    text: str
    location: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Makes requests. ``allowed``: networks inside that may be reached although they are no public ones."""

    allowed: tuple[Network, ...] = ()
    trust: ssl.SSLContext | None = None  # the certificates of the system
    seconds: float = WHOLE_SECONDS

    async def exchange(self, method: str, address: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """One request on a connection of its own. Raises NotSent."""
        network = _Network(self.allowed)
        trust = self.trust or ssl.create_default_context()
        try:
            async with (
                asyncio.timeout(self.seconds),
                httpcore2.AsyncConnectionPool(ssl_context=trust, max_connections=1, network_backend=network) as pool,
                pool.stream(method, address, headers=list(headers.items()), content=body, extensions=_TIMES) as answer,
            ):
                read = b""
                async for piece in answer.aiter_stream():
                    read += piece
                    if len(read) > MOST_ANSWER:
                        break
                given = {name.lower(): value for name, value in answer.headers}
                location = given.get(b"location", b"").decode("latin-1")
                return HttpAnswer(answer.status, read[:MOST_ANSWER].decode("utf-8", "replace"), location)
        except NotSent:
            raise
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise _not_connected(error) from error
        except (httpcore2.UnsupportedProtocol, httpcore2.LocalProtocolError) as error:
            raise NotSent(N_("This address cannot be called."), is_final=True) from error
        except (TimeoutError, httpcore2.TimeoutException) as error:
            raise NotSent(N_("The server did not answer in time."), is_unsure=network.has_sent) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise NotSent(N_("The connection broke before the answer."), is_unsure=network.has_sent) from error


_TIMES = {
    "timeout": {"connect": CONNECT_SECONDS, "read": WHOLE_SECONDS, "write": WHOLE_SECONDS, "pool": CONNECT_SECONDS}
}


def _not_connected(error: Exception) -> NotSent:
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            why = found.verify_message or "it is not trusted"
            return NotSent(f"The certificate of the server is wrong: {why}.")
        if isinstance(found, ssl.SSLError):
            return NotSent(N_("The server does not speak TLS as it should."))
        found = found.__cause__ or found.__context__
    return NotSent(N_("The server cannot be reached."))


class _Network(httpcore2.AsyncNetworkBackend):
    """Connects only to addresses that were checked."""

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        self.allowed, self.has_sent = allowed, False
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore2
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """To the first permitted address of the name that answers. Raises NotSent, httpcore2.ConnectError."""
        try:
            infos = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NotSent(N_("The name of the server is not known.")) from error
        found = list(dict.fromkeys(str(info[4][0]) for info in infos))
        permitted = [each for each in found if is_permitted(each, self.allowed)]
        if not permitted:
            raise NotSent(
                N_("The address leads to this machine or to a private network, which is not allowed."), is_final=True
            )
        for at, each in enumerate(permitted):
            try:
                stream = await self._inner.connect_tcp(each, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if at == len(permitted) - 1:
                    raise
            else:
                return _Noticed(stream, self)
        raise AssertionError

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never."""
        raise NotSent(N_("This address cannot be called."), is_final=True)

    async def sleep(self, seconds: float) -> None:
        """Between two tries of a connection."""
        await asyncio.sleep(seconds)


class _Noticed(httpcore2.AsyncNetworkStream):
    """A stream that notes when the first byte of a request leaves: from then on nobody knows whether it arrived."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream, network: _Network) -> None:
        self._inner, self._network = inner, network

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._network.has_sent = True
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        return _Noticed(await self._inner.start_tls(ssl_context, server_hostname, timeout), self._network)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


def is_permitted(address: str, allowed: tuple[Network, ...]) -> bool:
    """Whether a request may go there: a public address of another machine, or one of an allowed network."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if found in _TRANSLATED:
            found = IPv4Address(found.packed[-4:])
        else:
            found = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else found)
    if any(found in network for network in allowed):
        return True
    return found.is_global and not found.is_multicast and not found.is_reserved and not _is_own(found)


def _is_own(address: IPv4Address | IPv6Address) -> bool:
    """Whether this machine has the address: only then a socket can be bound to it."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def fault_of_address(address: str) -> str:
    """What is wrong with a typed address, in plain English; empty if nothing is. Names are resolved only when they are called."""
    if len(address) > LONGEST_ADDRESS or not address.isascii() or not address.isprintable() or " " in address:
        return N_("Write the address in Latin letters and without spaces, up to 500 characters.")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return N_("Write an address that begins with https:// or http://.")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return N_("Write an address that begins with https:// or http://.")
    if parts.username is not None or parts.fragment:
        return N_("Leave out name and password, and what stands behind #.")
    return ""
