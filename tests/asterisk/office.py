"""A small office for recordings: a real Asterisk, phones 101 to 106, the world outside, every feature a call may meet."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from tests.asterisk import ari
from tests.asterisk.leg import PhoneLeg
from tests.asterisk.manager import ManagerTap
from tests.asterisk.phone import SipPhone, Trunk
from tests.asterisk.server import AsteriskServer, free_port

PHONES = ("101", "102", "103", "104", "106")  # 105 exists, but no telephone is registered there
SOFTPHONE = "106-softphone"  # the second telephone of 106
WEB_PHONE = (
    "107-WS"  # a browser's telephone as MikoPBX names it: no extension by the default settings, and without a caller id
)
ABSENT = "105"
GROUPS = {"104": ("2", "1,2")}  # call group and pickup groups; everybody else is in group 1
SECRET = "only-on-127.0.0.1"  # a throw-away Asterisk on the loopback
NOISE: tuple[str, ...] = (
    "CEL",
    "DeviceStateChange",
    "ExtensionStatus",
    "QueueMemberStatus",
    "DialState",
    "SoftHangupRequest",
    "ContactStatus",
    "VarSet",
    "Newexten",
    "TestEvent",
    "NewConnectedLine",
)  # as in dialplan_examples/manager.conf

ENDPOINT = """
[{name}]
type=endpoint
context={context}
disallow=all
allow=ulaw
aors={name}
direct_media=no
dtmf_mode=info
media_address=127.0.0.1
bind_rtp_to_media_address=yes
call_group={group}
pickup_group={pickup}
{caller}
[{name}]
type=aor
{contact}
"""


@dataclass
class AsteriskOffice:
    """What a scenario has to hand."""

    server: AsteriskServer
    phones: dict[str, SipPhone]
    trunk: Trunk
    boss: ManagerTap  # a connection that hears everything and gives orders
    technology: str = "PJSIP"
    play: int = 0  # the ids that programs give to channels are of one play only, as they are in life

    async def talk(self, seconds: float = 0.3) -> None:
        """People talk that long."""
        await asyncio.sleep(seconds)

    async def answered(self, did: str, number: str, *others: str) -> tuple[PhoneLeg, PhoneLeg]:
        """A client calls that line and one phone answers; the two legs: the client's and the phone's."""
        client = await self.trunk.call_in(did)
        legs = await self.ringing(number, *others)
        legs[0].answer()
        await client.wait_answered()
        return client, legs[0]

    async def ringing(self, *numbers: str) -> list[PhoneLeg]:
        """Those phones are called and ring, one after the other as far as the manager can tell."""
        legs = [await self.phones[number].incoming() for number in numbers]
        for number, leg in zip(numbers, legs, strict=True):
            leg.ring()
            await self.boss.event("Newstate", ChannelStateDesc="Ringing", Channel=await self.channel(number))
        return legs

    async def channel(self, name: str) -> str:
        """The newest channel of an endpoint, by name; waits until the manager has told it (SIP is often faster)."""
        phone = self.trunk if name == "trunk" else self.phones[name]
        nth = len(phone.legs)
        await self.boss.condition(lambda: len(self._channels(name)) >= nth)
        return self._channels(name)[nth - 1]

    async def connected(self, number: str) -> None:
        """That phone, called last, has picked up."""
        await self.boss.event("DialEnd", DestChannel=await self.channel(number), DialStatus="ANSWER")

    def _channels(self, name: str) -> list[str]:
        channels = [e["Channel"] for e in self.boss.events("Newchannel")]
        return [channel for channel in channels if channel.startswith(f"{self.technology}/{name}-")]


def pjsip(sip_port: int, phones: dict[str, SipPhone], trunk: Trunk) -> str:
    """Endpoints whose contacts are the phones as they are bound now."""
    parts = [f"[udp]\ntype=transport\nprotocol=udp\nbind=127.0.0.1:{sip_port}\n"]
    for number in (*PHONES, ABSENT, WEB_PHONE):
        group, pickup = GROUPS.get(number, ("1", "1"))
        contact = "".join(f"contact={phone.contact}\n" for name, phone in phones.items() if name.startswith(number))
        caller = "" if number == WEB_PHONE else f'callerid="Phone {number}" <{number}>'
        parts.append(
            ENDPOINT.format(name=number, context="internal", group=group, pickup=pickup, caller=caller, contact=contact)
        )
    contact = f"contact=sip:{trunk.ip}:{trunk.port}"
    parts.append(ENDPOINT.format(name="trunk", context="from-trunk", group="", pickup="", caller="", contact=contact))
    parts.append(f"[trunk]\ntype=identify\nendpoint=trunk\nmatch={trunk.ip}\n")
    return "".join(parts)


SIP_PEER = """
[{name}]
type={kind}
host={host}
context={context}
insecure=port,invite
disallow=all
allow=ulaw
directmedia=no
dtmfmode=info
qualify=no
"""


def chan_sip(sip_port: int, phones: dict[str, SipPhone], trunk: Trunk) -> str:
    """The same for the old driver, which knows one address for a peer."""
    parts = [f"[general]\nudpbindaddr=127.0.0.1:{sip_port}\nallowguest=no\n"]
    for number in (*PHONES, ABSENT):
        group, pickup = GROUPS.get(number, ("1", "1"))
        host = f"{phones[number].ip}\nport={phones[number].port}" if number in phones else "dynamic"
        parts.append(SIP_PEER.format(name=number, kind="friend", host=host, context="internal"))
        parts.append(f'callgroup={group}\npickupgroup={pickup}\ncallerid="Phone {number}" <{number}>\n')
    parts.append(
        SIP_PEER.format(name="trunk", kind="peer", host=f"{trunk.ip}\nport={trunk.port}", context="from-trunk")
    )
    return "".join(parts)


def manager(port: int, version: str) -> str:
    """Two users: ``full`` hears everything, ``least`` has the rights and filters that our users are told to give."""
    if version == "16":
        filters = "".join(f"eventfilter=!Event: {name}\n" for name in NOISE)
    else:
        filters = "".join(f"eventfilter(action(exclude),name({name})) =\n" for name in NOISE)
    general = f"[general]\nenabled=yes\nport={port}\nbindaddr=127.0.0.1\ntimestampevents=yes\n"
    full = f"[full]\nsecret={SECRET}\nread=all\nwrite=all\n"
    rights = "read=system,call,agent,cdr,user\nwrite=call,originate,reporting\n"
    return f"{general}{full}[least]\nsecret={SECRET}\n{rights}{filters}"


@asynccontextmanager
async def running_office(
    version: str, technology: str = "PJSIP"
) -> AsyncIterator[tuple[AsteriskServer, dict[str, SipPhone], Trunk]]:
    """Phones first, then the Asterisk that knows where they are."""
    async with AsyncExitStack() as stack:
        pbx = ("127.0.0.1", free_port(socket.SOCK_DGRAM))
        phones = {n: await stack.enter_async_context(SipPhone(n, f"127.0.0.{n}", pbx)) for n in PHONES}
        phones[SOFTPHONE] = await stack.enter_async_context(SipPhone("106", "127.0.0.107", pbx))
        phones[WEB_PHONE] = await stack.enter_async_context(SipPhone("k3j9", "127.0.0.108", pbx))
        trunk = await stack.enter_async_context(Trunk("trunk", "127.0.0.200", pbx))
        ami_port = free_port(socket.SOCK_STREAM)
        folder = files("tests.asterisk") / "office"
        texts = {entry.name: Template(entry.read_text()).safe_substitute() for entry in folder.iterdir()}
        examples = Path(__file__).parents[2] / "dialplan_examples"
        texts |= {name: (examples / name).read_text() for name in ("cel.conf", "cel_custom.conf")}
        texts |= {"pjsip.conf": pjsip(pbx[1], phones, trunk), "manager.conf": manager(ami_port, version)}
        if technology == "SIP":
            texts = {name: text.replace("PJSIP/", "SIP/") for name, text in texts.items()}
            texts["modules.conf"] = texts["modules.conf"].replace("noload=chan_sip.so", "noload=chan_pjsip.so")
            texts |= {"sip.conf": chan_sip(pbx[1], phones, trunk), "pjsip.conf": ""}
        ari_port = free_port(socket.SOCK_STREAM)
        texts |= ari.settings(ari_port)
        server = await stack.enter_async_context(AsteriskServer(version, texts, ami_port=ami_port, ari_port=ari_port))
        yield server, phones, trunk
