"""FastAGI server for caller lookup: ``AGI(agi://host:4573/lookup,NUMBER,DID)`` in the dialplan.

Sets PBXCRM_NAME and PBXCRM_EXTENSION, empty if unknown. A call waits for the answer, so each connection has one second in
all; a client that stalls, sends rubbish or disconnects does not delay others. The protocol is that of ``res_agi``:
``name: value`` lines up to an empty line, then commands and answers in turn.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from pbxcrm.reactions.caller_lookup import Caller
from pbxcrm.shared.networks import Network, is_within
from pbxcrm.upkeep.lookup_probe import INSTALLATION, WHO

log = structlog.get_logger()

Find = Callable[[str | None, str | None], Awaitable[Caller]]
DEADLINE = 1.0  # seconds for one connection
MAX_LINE = 4096  # bytes
MAX_LINES = 120  # res_agi sends about 22, plus one per argument
AT_ONCE = 500  # connections
TRY_AGAIN = 10.0  # seconds, when another process has the port


class Babble(Exception):
    """The client does not speak AGI, or sends more than is allowed."""


class LookupServer:
    """A FastAGI server for the script ``lookup`` (see ``dialplan_examples``): it returns what the CRM knows of a caller.

    The script ``who`` returns ``installation``, by which ``upkeep/lookup_probe.py`` knows whether another program has the port.
    """

    def __init__(
        self, find: Find, networks: tuple[Network, ...], *, installation: str = "", deadline: float = DEADLINE
    ) -> None:
        self.find = find
        self.networks = networks
        self.installation = installation
        self.deadline = deadline
        self._connections = 0

    async def run(self, host: str, port: int) -> None:
        """Serve until cancelled. If the port is taken, try again later: telephony does not depend on this server."""
        while True:
            try:
                server = await asyncio.start_server(self.serve, host, port, limit=MAX_LINE)
            except OSError as error:
                log.warning("agi.port_taken", host=host, port=port, error=error.strerror or str(error))
                await asyncio.sleep(TRY_AGAIN)
                continue
            log.info("agi.listening", host=host, port=port)
            async with server:
                await server.serve_forever()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        peer = writer.get_extra_info("peername")
        address = peer[0] if peer else None
        if not is_within(address, self.networks):
            log.warning("agi.foreign", address=address)
            writer.close()
            return
        if self._connections >= AT_ONCE:
            log.warning("agi.busy", connections=self._connections)
            writer.close()
            return
        self._connections += 1
        try:
            async with asyncio.timeout(self.deadline):
                await self._answer(reader, writer)
        except TimeoutError:
            log.warning("agi.slow", address=address, seconds=self.deadline)
        except Babble as error:
            log.warning("agi.babble", address=address, why=str(error))
        except (OSError, EOFError):
            log.info("agi.left_early", address=address)
        except asyncio.CancelledError:
            pass  # we stop; asyncio's streams would log a cancelled task as an error
        finally:
            self._connections -= 1
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await _environment(reader)
        script = asked.get("agi_network_script", "").partition("?")[0].strip("/")
        if script == WHO:
            writer.write(f'SET VARIABLE {INSTALLATION} "{self.installation}"\n'.encode())
            await writer.drain()
            return
        if script != "lookup":
            raise Babble(f"no such script: {script[:40]!r}")
        caller = await self.find(_number(asked), _did(asked))
        for name, value in (("PBXCRM_NAME", caller.name), ("PBXCRM_EXTENSION", caller.extension)):
            # The lookup has removed quotes, backslashes and line breaks from the value.
            writer.write(f'SET VARIABLE {name} "{value}"\n'.encode())
            await writer.drain()
            await _accepted(reader)


async def _environment(reader: asyncio.StreamReader) -> dict[str, str]:
    found: dict[str, str] = {}
    for _ in range(MAX_LINES):
        line = await _line(reader)
        if not line:
            return found
        name, colon, value = line.partition(":")
        if not colon:
            raise Babble("no AGI environment")
        found.setdefault(name.strip(), value.strip())
    raise Babble("too many lines")


async def _accepted(reader: asyncio.StreamReader) -> None:
    """Wait for the answer to a command; a line ``HANGUP`` may come before it."""
    for _ in range(5):
        line = await _line(reader)
        if line.startswith("200"):
            return
        if line != "HANGUP":
            raise Babble(f"refused: {line[:80]!r}")
    raise Babble("no answer to a command")


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        raw = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise Babble("a line is too long") from None
    return raw.decode("utf-8", "replace").rstrip("\r\n")


def _number(asked: dict[str, str]) -> str | None:
    """The first argument if given, else the channel's caller id."""
    return asked.get("agi_arg_1", asked.get("agi_callerid"))


def _did(asked: dict[str, str]) -> str | None:
    return asked.get("agi_arg_2", asked.get("agi_dnid"))
