"""``dialplan_examples`` brought to life: the files as they are, but for ports, addresses and the clock of the office."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.asterisk.leg import PhoneLeg
from tests.asterisk.manager import ManagerTap
from tests.asterisk.phone import SipPhone, Trunk
from tests.asterisk.server import AsteriskServer, explained, free_port

EXAMPLES = Path(__file__).parent.parent.parent / "dialplan_examples"
PHONES = ("101", "102", "103", "104")
NOWHERE = "http://127.0.0.1:8080"


@dataclass
class ExampleOffice:
    """The example office with its telephones registered, and our manager user logged in."""

    server: AsteriskServer
    phones: dict[str, SipPhone]
    trunk: Trunk
    manager: ManagerTap

    async def ring(self, *numbers: str) -> list[PhoneLeg]:
        """Those phones are called and ring, one after the other, and everybody at the manager has been told so.

        Asterisk reads what several phones send in any order: an answer may overtake the ringing of another phone.
        """
        legs = [await self.phones[number].incoming() for number in numbers]
        for number, leg in zip(numbers, legs, strict=True):
            await self._ring(number, leg)
        return legs

    async def start_again(self) -> None:
        """The PBX that was killed boots, and we log in at its manager again."""
        await self.server.start()
        await self.manager.connect()

    async def connected(self) -> None:
        """Two people are in one bridge."""
        await self.manager.event("BridgeEnter", count=2)

    async def over(self) -> None:
        """Every channel has gone."""
        await self.manager.settled()

    async def _ring(self, number: str, leg: PhoneLeg) -> None:
        rung = self._rung(number)
        leg.ring()
        await self.manager.condition(lambda: self._rung(number) > rung)

    def _rung(self, number: str) -> int:
        """How many channels of that phone the manager has called ringing so far."""
        ringing = self.manager.events("Newstate", ChannelStateDesc="Ringing")
        return sum(event["Channel"].startswith(f"PJSIP/{number}-") for event in ringing)


def example_files(version: str, *, sip: int, ami: int, trunk: Trunk, crm: str, agi: str) -> dict[str, str]:
    """The configuration by file name; a value that is not found in the files any more is an error."""
    texts = {path.name: path.read_text() for path in sorted(EXAMPLES.glob("*.conf"))}
    old_manager = texts.pop("manager-before-20.11.conf")
    if version == "16":
        texts["manager.conf"] = old_manager
        texts["modules.conf"] = texts["modules.conf"].replace("load=res_cdrel_custom.so", ";")
    changes = [
        ("pjsip.conf", "bind=0.0.0.0:5060", f"bind=127.0.0.1:{sip}"),
        ("pjsip.conf", "contact=sip:192.0.2.10:5060", f"contact=sip:{trunk.ip}:{trunk.port}"),
        ("pjsip.conf", "match=192.0.2.10", f"match={trunk.ip}"),
        ("manager.conf", "port=5038", f"port={ami}"),
        ("extensions.conf", f"CRM={NOWHERE}", f"CRM={crm}"),
        ("extensions.conf", "agi://127.0.0.1:4573/lookup", agi or "agi://127.0.0.1:4573/lookup"),
        ("extensions.conf", "LOOKUP=pbxcrm-lookup ", f"LOOKUP={'pbxcrm-lookup-agi' if agi else 'pbxcrm-lookup'} "),
    ]
    for name, old, new in changes:
        if old not in texts[name]:
            raise AssertionError(f"{name} does not say {old!r} any more")
        texts[name] = texts[name].replace(old, new)
    return texts


@asynccontextmanager
async def example_office(
    version: str = "22", *, crm: str = NOWHERE, agi: str = "", mode: str = "open"
) -> AsyncIterator[ExampleOffice]:
    """Start it all. ``mode`` is what ``*28`` sets; ``crm`` and ``agi`` are where the look-ups go."""
    async with AsyncExitStack() as stack:
        sip, ami = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
        pbx = ("127.0.0.1", sip)
        trunk = await stack.enter_async_context(Trunk("trunk", "127.0.0.200", pbx))
        files = example_files(version, sip=sip, ami=ami, trunk=trunk, crm=crm, agi=agi)
        server = await stack.enter_async_context(AsteriskServer(version, files, ami_port=ami, over_installed=True))
        stack.enter_context(explained(server))
        phones = {n: SipPhone(n, f"127.0.0.{n}", pbx, f"change-me-{n}") for n in PHONES}
        for phone in phones.values():
            await stack.enter_async_context(phone)
        await asyncio.gather(*(phone.register() for phone in phones.values()))
        await server.rx(f"database put office mode {mode}")
        manager = await stack.enter_async_context(ManagerTap(ami, "pbxcrm", "change-me-manager"))
        yield ExampleOffice(server, phones, trunk, manager)
