"""SIP messages as text (RFC 3261), just enough for a telephone on the loopback."""

import hashlib
import re
from dataclasses import dataclass, field


@dataclass
class Message:
    """A request or a response: start line, headers in order, body."""

    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""

    @classmethod
    def parse(cls, data: bytes) -> "Message":
        head, _, body = data.decode().partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return cls(start, [(name.strip(), value.strip()) for name, _, value in pairs], body)

    def to_bytes(self) -> bytes:
        body = self.body.encode()
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers), f"Content-Length: {len(body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str:
        """The first header of that name, or an empty string."""
        return next(iter(self.all(name)), "")

    @property
    def is_response(self) -> bool:
        return self.start.startswith("SIP/2.0 ")

    @property
    def status(self) -> int:
        return int(self.start.split()[1])

    @property
    def method(self) -> str:
        """The request's method; for a response the method it answers."""
        return self.get("CSeq").split()[1]

    @property
    def cseq(self) -> int:
        return int(self.get("CSeq").split()[0])

    @property
    def branch(self) -> str:
        return parameter(self.get("Via"), "branch")


def parameter(value: str, name: str) -> str:
    """``tag`` or ``branch`` and the like out of a header's value; empty when it is not there."""
    found = re.search(rf";\s*{name}=([^;,>\s]+)", value)
    return found.group(1) if found else ""


def address(value: str) -> str:
    """The URI out of ``"Name" <sip:101@host>;tag=…``."""
    found = re.search(r"<([^>]*)>", value)
    return found.group(1) if found else value.partition(";")[0]


def media_description(ip: str, port: int) -> str:
    """A session offering G.711 and telephone events at ``ip:port``."""
    lines = ("v=0", f"o=- 1 1 IN IP4 {ip}", "s=-", f"c=IN IP4 {ip}", "t=0 0", f"m=audio {port} RTP/AVP 0 101")
    codecs = ("a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=sendrecv")
    return "".join(f"{line}\r\n" for line in (*lines, *codecs))


def media_address(body: str) -> tuple[str, int]:
    """Where the other side of a session wants its sound: address and port."""
    ip = re.search(r"^c=IN IP4 (\S+)", body, flags=re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", body, flags=re.MULTILINE)
    if ip is None or port is None:
        raise ValueError(f"no audio in the session description: {body!r}")
    return ip.group(1), int(port.group(1))


def authorization(challenge: Message, user: str, password: str) -> tuple[str, str]:
    """The header that answers a 401 (RFC 2617, MD5 without or with qop=auth): its name and value."""
    asked = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge.get("WWW-Authenticate")))
    realm, nonce = asked["realm"], asked["nonce"]
    uri = f"sip:{address(challenge.get('To')).partition('@')[2]}"
    secret = _md5(f"{user}:{realm}:{password}")
    request = _md5(f"{challenge.method}:{uri}")
    value = f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", algorithm=MD5'
    if "opaque" in asked:
        value += f', opaque="{asked["opaque"]}"'
    if "qop" not in asked:
        return "Authorization", f'{value}, response="{_md5(f"{secret}:{nonce}:{request}")}"'
    response = _md5(f"{secret}:{nonce}:00000001:pbxcrm:auth:{request}")
    return "Authorization", f'{value}, response="{response}", qop=auth, nc=00000001, cnonce="pbxcrm"'


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
