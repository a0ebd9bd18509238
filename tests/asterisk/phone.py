"""A SIP telephone without sound, over UDP: it rings, answers, refuses, calls, transfers. See ``leg`` for one call.

Phones bind a free port of their own loopback address, so that several test sessions can run on one machine; the
Asterisk that they belong to gets their addresses as static contacts.
"""

import asyncio
import secrets
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tests.asterisk.leg import PhoneLeg
from tests.asterisk.sip import Message, authorization, parameter

PATIENCE = 60.0  # seconds that a condition may take before the test fails


class SipPhone(asyncio.DatagramProtocol):
    """One extension's telephone, or (see ``Trunk``) the world outside."""

    def __init__(self, number: str, ip: str, pbx: tuple[str, int], password: str = "") -> None:
        self.number = number
        self.ip = ip
        self.pbx = pbx
        self.password = password
        self.port = 0
        self.legs: dict[str, PhoneLeg] = {}
        self._incoming: asyncio.Queue[PhoneLeg] = asyncio.Queue()
        self._registering: asyncio.Queue[Message] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.ip, 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget()
        if self._transport is not None:
            self._transport.close()

    def forget(self) -> None:
        """Drop every call without a word, as a phone whose cable was pulled for a moment."""
        for leg in self.legs.values():
            leg.fall_silent()
        self.legs.clear()
        self._incoming = asyncio.Queue()

    @property
    def contact(self) -> str:
        return f"sip:{self.number}@{self.ip}:{self.port}"

    async def register(self) -> None:
        """Tell the PBX where we are, with our password (RFC 3261, 10)."""
        identity = f"<sip:{self.number}@{self.pbx[0]}>"
        headers = [("Max-Forwards", "70"), ("From", f"{identity};tag=register"), ("To", identity)]
        headers += [
            ("Call-ID", f"register-{secrets.token_hex(8)}"),
            ("Contact", f"<{self.contact}>"),
            ("Expires", "300"),
        ]
        for attempt in (1, 2):
            via = f"SIP/2.0/UDP {self.ip}:{self.port};branch=z9hG4bK{secrets.token_hex(8)};rport"
            own = [("Via", via), *headers, ("CSeq", f"{attempt} REGISTER")]
            self.send(Message(f"REGISTER sip:{self.pbx[0]} SIP/2.0", own))
            async with asyncio.timeout(PATIENCE):
                answer = await self._registering.get()
            if answer.status == 401:
                headers.append(authorization(answer, self.number, self.password))
        if answer.status != 200:
            raise AssertionError(f"phone {self.number} could not register: {answer.start}")

    async def incoming(self, patience: float = PATIENCE) -> PhoneLeg:
        """The next call that reaches this phone. It does not ring until it is told to."""
        async with asyncio.timeout(patience):
            return await self._incoming.get()

    @property
    def quiet(self) -> bool:
        """No call has come in that nobody has fetched."""
        return self._incoming.empty()

    async def call(
        self, number: str, *, caller: str | None = None, name: str = "", headers: Mapping[str, str] | None = None
    ) -> PhoneLeg:
        """Dial a number; returns as soon as the INVITE is out. ``caller`` and ``name`` are what the From says."""
        user = self.number if caller is None else caller
        shown = f'"{name}" ' if name else ""
        local = f"{shown}<sip:{user}@{self.ip}>;tag={secrets.token_hex(6)}"
        target = f"sip:{number}@{self.pbx[0]}:{self.pbx[1]}"
        leg = PhoneLeg(self, f"{secrets.token_hex(12)}@{self.ip}", local, f"<{target}>", target)
        self.legs[leg.call_id] = leg
        leg.invite(headers or {})
        return leg

    def send(self, message: Message) -> None:
        if self._transport is None or self._transport.is_closing():
            raise RuntimeError(f"phone {self.number} is switched off")
        self._transport.sendto(message.to_bytes(), self.pbx)

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        del addr
        if not data.strip():
            return  # keep-alive
        message = Message.parse(data)
        leg = self.legs.get(message.get("Call-ID"))
        if leg is not None:
            leg.receive(message)
        elif message.is_response:
            if message.method == "REGISTER":
                self._registering.put_nowait(message)
        elif message.method == "INVITE":
            self._arrive(message)
        elif message.method in {"OPTIONS", "NOTIFY"}:
            self.send(reply(message, 200, "OK"))
        elif message.method != "ACK":
            self.send(reply(message, 481, "Call/Transaction Does Not Exist"))

    def _arrive(self, invite: Message) -> None:
        local = f"{invite.get('To')};tag={secrets.token_hex(6)}"
        leg = PhoneLeg(self, invite.get("Call-ID"), local, invite.get("From"), invite.get("Contact"))
        self.legs[leg.call_id] = leg
        leg.receive(invite)
        self._incoming.put_nowait(leg)


def reply(request: Message, status: int, reason: str, to: str | None = None) -> Message:
    """A response to a request; ``to`` is the To with our tag where the dialog has one."""
    headers = [("Via", via) for via in request.all("Via")]
    known = to if to is not None and not parameter(request.get("To"), "tag") else request.get("To")
    headers += [("From", request.get("From")), ("To", known), ("Call-ID", request.get("Call-ID"))]
    headers.append(("CSeq", request.get("CSeq")))
    return Message(f"SIP/2.0 {status} {reason}", headers)


class Trunk(SipPhone):
    """The telephone network: calls in with any number and name, answers what we dial out."""

    async def call_in(
        self, did: str, *, caller: str = "+380671112233", name: str = "", headers: Mapping[str, str] | None = None
    ) -> PhoneLeg:
        """A client dials one of our numbers."""
        return await self.call(did, caller=caller, name=name, headers=headers)
