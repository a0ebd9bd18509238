"""Who answers at the address of the caller lookup (FastAGI): this installation, nobody, or another program that has the port.

The server of lookups (``ami/agi.py``) waits for a taken port, because telephony does not depend on it. So ``doctor`` and the status page ask.
"""

import asyncio
import hashlib
from enum import StrEnum
from ipaddress import ip_address

from pbxcrm.shared.networks import is_within, parse_networks
from pbxcrm.shared.settings import Settings

#: The script that says whose server this is, and the variable it sets.
WHO, INSTALLATION = "who", "PBXCRM_INSTALLATION"
PATIENCE = 1.5  # seconds


class WhoAnswers(StrEnum):
    """What a question to the address found."""

    OURS = "ours"
    NOBODY = "nobody"
    OTHER = "other"  # another program, or a pbxcrm with another database
    UNKNOWN = "unknown"  # this machine may not ask (``dialplan_networks``)


def installation_of(settings: Settings) -> str:
    """A name of this installation that tells nothing about it: the same for all processes with its database."""
    return hashlib.sha256(settings.database_url.encode()).hexdigest()[:16]


async def who_answers(settings: Settings) -> WhoAnswers:
    """Ask at ``agi_bind``; takes at most ``PATIENCE`` seconds."""
    host, _, port = settings.agi_bind.rpartition(":")
    host = _to_ask(host.strip("[]"))
    allowed = is_within("127.0.0.1" if host == "localhost" else host, parse_networks(settings.dialplan_networks))
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(f"agi_network_script: {WHO}\n\n".encode())
                said = (await reader.read(200)).decode("ascii", "replace")
            finally:
                writer.close()
    except (TimeoutError, ConnectionResetError):
        return _other(allowed)
    except OSError:
        return WhoAnswers.NOBODY
    ours = f'SET VARIABLE {INSTALLATION} "{installation_of(settings)}"'
    return WhoAnswers.OURS if said.startswith(ours) else _other(allowed)


def _to_ask(host: str) -> str:
    """Our own address, where ``host`` means all of its addresses."""
    try:
        bound = ip_address(host)
    except ValueError:
        return host
    return {4: "127.0.0.1", 6: "::1"}[bound.version] if bound.is_unspecified else host


def _other(allowed: bool) -> WhoAnswers:
    return WhoAnswers.OTHER if allowed else WhoAnswers.UNKNOWN
