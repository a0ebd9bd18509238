"""The address of a PBX: ``ami://user:secret@host:5038``, or ``amis://`` for TLS."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from ami.errors import BadAmiUrl

DEFAULT_PORT = 5038
_DEFAULT_TLS_PORT = 5039
_ENCODE = "write / ? # @ in the secret as %2F %3F %23 %40"


@dataclass(frozen=True, slots=True)
class AmiUrl:
    """Host, port, user and secret of a PBX. Neither ``repr`` nor ``str`` shows the secret."""

    host: str
    port: int
    user: str
    secret: str = field(repr=False)
    tls: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'amis' if self.tls else 'ami'}://{self.user}@{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "AmiUrl":
        """Parse an address; user and secret are percent-decoded. Raises BadAmiUrl, whose text never holds the secret."""
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError as error:
            why = (
                f"the port is not a number below 65536; {_ENCODE}" if "ort" in str(error) else "it cannot be understood"
            )
            raise _bad(why) from None
        if parts.scheme not in {"ami", "amis"}:
            raise _bad("it does not begin with ami://")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise _bad(f"something follows the port; {_ENCODE}")
        if not parts.hostname:
            raise _bad("the host is missing")
        if not parts.username or not parts.password:
            raise _bad("the user or the secret is missing")
        try:
            user, secret = (unquote(part, errors="strict") for part in (parts.username, parts.password))
        except UnicodeDecodeError:
            raise _bad("user or secret are not UTF-8") from None
        if any(ord(letter) < 32 for letter in user + secret):
            raise _bad("user or secret hold a control character")
        tls = parts.scheme == "amis"
        return cls(parts.hostname, port or (_DEFAULT_TLS_PORT if tls else DEFAULT_PORT), user, secret, tls)


def _bad(why: str) -> BadAmiUrl:
    return BadAmiUrl(f"The address of the PBX cannot be used: {why}. Write it as ami://user:secret@host:5038.", why=why)
