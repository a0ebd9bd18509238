"""One telephone's side of one call (a SIP dialog), driven by the test: ring, answer, refuse, transfer, hang up."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.asterisk.sip import Message, address, authorization, media_address, media_description, parameter

if TYPE_CHECKING:
    from tests.asterisk.phone import SipPhone

PATIENCE = 30.0  # seconds that a condition may take before the test fails
REASONS = {100: "Trying", 180: "Ringing", 200: "OK", 302: "Moved Temporarily", 480: "Temporarily Unavailable"}
REASONS |= {486: "Busy Here", 487: "Request Terminated", 603: "Decline"}
SILENCE = b"\xff" * 160  # 20 ms of G.711 µ-law


class PhoneLeg:
    """A call as the phone sees it. ``status`` is the last answer the other side gave to our INVITE."""

    def __init__(self, phone: "SipPhone", call_id: str, local: str, remote: str, target: str) -> None:
        self.phone = phone
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.target = address(target)
        self.status = 0
        self.ringing = asyncio.Event()
        self.answered = asyncio.Event()
        self.ended = asyncio.Event()
        self.transferred = asyncio.Event()  # the PBX reported a final result of our REFER
        self._cseq = 1
        self._extra: frozenset[str] = frozenset()
        self._invite: Message | None = None  # ours, or the one we have to answer
        self._last_reply: Message | None = None
        self._answers: dict[tuple[int, str], asyncio.Future[Message]] = {}
        self._peer_media: tuple[str, int] | None = None
        self._sound: asyncio.Task[None] | None = None

    @property
    def caller_number(self) -> str:
        """Whom the display shows: the user part of From."""
        return address(self.remote).removeprefix("sip:").partition("@")[0]

    @property
    def caller_name(self) -> str:
        """The display name of From."""
        return self.remote.partition("<")[0].strip().strip('"')

    # -- being called -----------------------------------------------------------------------------------------------

    def ring(self) -> None:
        """180 Ringing."""
        self._respond(180)

    def answer(self) -> None:
        """200 OK with a session description, with or without having rung before."""
        self._respond(200, body=self._session())
        self.answered.set()

    def refuse(self, status: int = 486) -> None:
        """486 busy, 603 declined, 480 unavailable…"""
        self._respond(status)
        self._over()

    def redirect(self, number: str) -> None:
        """302: call that number instead (the phone's own forwarding)."""
        ip, port = self.phone.pbx
        self._respond(302, [("Contact", f"<sip:{number}@{ip}:{port}>")])
        self._over()

    # -- calling ----------------------------------------------------------------------------------------------------

    def invite(self, headers: Mapping[str, str]) -> None:
        self._extra = frozenset(headers)
        self._invite = self._request("INVITE", list(headers.items()), self._session())
        self.phone.send(self._invite)

    def _invite_with_password(self, challenge: Message) -> None:
        """The PBX wants to know that it is us: the same INVITE again, signed."""
        if self._invite is None or self._invite.get("Authorization"):
            self._over()
            return
        signed = authorization(challenge, self.phone.number, self.phone.password)
        self.remote = f"<{self.target}>"  # the tag of the refusal is not that of the call to come
        extra = [(name, value) for name, value in self._invite.headers if name in self._extra]
        self._invite = self._request("INVITE", [*extra, signed], self._session())
        self.phone.send(self._invite)

    async def cancel(self) -> None:
        """Give up before anybody answered."""
        if self._invite is None:
            raise RuntimeError("there is no call to give up")
        cancel = self._invite_again("CANCEL")
        await self._ask(cancel)
        await self.wait_ended()

    # -- both -------------------------------------------------------------------------------------------------------

    async def hang_up(self) -> None:
        if self.ended.is_set():
            return
        bye = self._request("BYE")
        self._over()
        await self._ask(bye)

    async def transfer(self, number: str) -> None:
        """Blind transfer by REFER; returns when the PBX has accepted it."""
        await self._refer(f"<sip:{number}@{self.phone.pbx[0]}:{self.phone.pbx[1]}>")

    async def transfer_to(self, consultation: "PhoneLeg") -> None:
        """Attended transfer: REFER with Replaces joins the other side of this leg with that of ``consultation``."""
        tags = (
            f"%3Bto-tag%3D{parameter(consultation.remote, 'tag')}%3Bfrom-tag%3D{parameter(consultation.local, 'tag')}"
        )
        replaces = f"{consultation.call_id.replace('@', '%40')}{tags}"
        await self._refer(f"<{consultation.target}?Replaces={replaces}>")

    async def dtmf(self, digits: str) -> None:
        """Press keys, by SIP INFO."""
        for digit in digits:
            body = f"Signal={digit}\r\nDuration=100\r\n"
            answer = await self._ask(self._request("INFO", [("Content-Type", "application/dtmf-relay")], body))
            if answer.status != 200:
                raise AssertionError(f"the PBX did not take the key {digit}: {answer.start}")

    def speak(self) -> None:
        """Send silence as RTP from now on, for what listens: voicemail, recordings."""
        if self._peer_media is None:
            raise RuntimeError("nobody told us where to send sound")
        self._sound = asyncio.create_task(self._send_silence(self._peer_media))

    async def wait_ringing(self, patience: float = PATIENCE) -> None:
        await self._wait_for(self.ringing, patience, "ringing")

    async def wait_answered(self, patience: float = PATIENCE) -> None:
        await self._wait_for(self.answered, patience, "answered")

    async def wait_ended(self, patience: float = PATIENCE) -> None:
        async with asyncio.timeout(patience):
            await self.ended.wait()

    def fall_silent(self) -> None:
        """Stop sending, as a phone whose cable was pulled."""
        if self._sound is not None:
            self._sound.cancel()

    # -- wire -------------------------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        if message.is_response:
            self._receive_response(message)
        else:
            self._receive_request(message)

    def _receive_response(self, message: Message) -> None:
        waiting = self._answers.get((message.cseq, message.method))
        if waiting is not None and message.status >= 200 and not waiting.done():
            waiting.set_result(message)
        if message.method != "INVITE":
            return
        self.status = message.status
        if parameter(message.get("To"), "tag"):
            self.remote = message.get("To")
        if message.get("Contact"):
            self.target = address(message.get("Contact"))
        if message.status in {180, 183}:
            self.ringing.set()
        elif message.status == 200:
            self._peer_media = media_address(message.body)
            self.phone.send(self._request("ACK", cseq=message.cseq))
            self.answered.set()
        elif message.status >= 300:
            ack = self._invite_again("ACK")
            ack.headers = [(name, message.get("To") if name == "To" else value) for name, value in ack.headers]
            self.phone.send(ack)
            if message.status == 401:
                self._invite_with_password(message)
            else:
                self._over()

    def _receive_request(self, message: Message) -> None:
        if message.method == "INVITE":
            self._receive_invite(message)
        elif message.method == "CANCEL":
            self.phone.send(self._reply(message, 200))
            if not self.answered.is_set():
                self._respond(487)
                self._over()
        elif message.method != "ACK":
            self.phone.send(self._reply(message, 200))
            if message.method == "BYE":
                self._over()
            elif message.method == "NOTIFY" and not message.body.startswith(("SIP/2.0 1", "Messages")):
                self.transferred.set()

    def _receive_invite(self, message: Message) -> None:
        if self._last_reply is not None and self._invite is not None and message.branch == self._invite.branch:
            self.phone.send(self._last_reply)  # a repetition
            return
        if message.body:
            self._peer_media = media_address(message.body)
        if self._invite is None:
            self._invite = message
            self._last_reply = self._reply(message, 100)
            self.phone.send(self._last_reply)
        else:  # the PBX changes the session of a call that stands
            self.phone.send(self._reply(message, 200, self._own_headers(), self._session()))

    def _respond(self, status: int, headers: list[tuple[str, str]] | None = None, body: str = "") -> None:
        if self._invite is None:
            raise RuntimeError("there is no call to answer")
        self._last_reply = self._reply(self._invite, status, headers or self._own_headers(), body)
        self.phone.send(self._last_reply)

    def _reply(
        self, request: Message, status: int, headers: list[tuple[str, str]] | None = None, body: str = ""
    ) -> Message:
        from tests.asterisk.phone import reply

        message = reply(request, status, REASONS.get(status, "Whatever"), self.local if status > 100 else None)
        message.headers += headers or []
        return self._with_body(message, body)

    def _own_headers(self) -> list[tuple[str, str]]:
        allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, REFER, NOTIFY"
        return [("Contact", f"<{self.phone.contact}>"), ("Allow", allow), ("Supported", "replaces")]

    def _request(
        self, method: str, headers: list[tuple[str, str]] | None = None, body: str = "", cseq: int | None = None
    ) -> Message:
        if cseq is None:
            self._cseq += 1
        via = f"SIP/2.0/UDP {self.phone.ip}:{self.phone.port};branch=z9hG4bK{secrets.token_hex(8)};rport"
        own = [
            ("Via", via),
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
        ]
        own += [("CSeq", f"{cseq or self._cseq} {method}"), *self._own_headers(), *(headers or [])]
        return self._with_body(Message(f"{method} {self.target} SIP/2.0", own), body)

    def _with_body(self, message: Message, body: str) -> Message:
        if body and not message.get("Content-Type"):
            message.headers.append(("Content-Type", "application/sdp"))
        message.body = body
        return message

    def _invite_again(self, method: str) -> Message:
        """CANCEL, and the ACK of a refusal: same transaction, same number as our INVITE (RFC 3261, 9.1 and 17.1.1.3)."""
        if self._invite is None:
            raise RuntimeError("no INVITE was sent")
        names = ("Via", "Max-Forwards", "From", "To", "Call-ID")
        headers = [(name, self._invite.get(name)) for name in names] + [("CSeq", f"{self._invite.cseq} {method}")]
        return Message(self._invite.start.replace("INVITE", method, 1), headers)

    async def _ask(self, message: Message) -> Message:
        waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[message.cseq, message.method] = waiting
        self.phone.send(message)
        async with asyncio.timeout(PATIENCE):
            return await waiting

    async def _refer(self, refer_to: str) -> None:
        headers = [("Refer-To", refer_to), ("Referred-By", f"<sip:{self.phone.number}@{self.phone.ip}>")]
        answer = await self._ask(self._request("REFER", headers))
        if answer.status != 202:
            raise AssertionError(f"the PBX refused the transfer: {answer.start}")

    async def _wait_for(self, event: asyncio.Event, patience: float, what: str) -> None:
        """Wait for the event, but fail at once when the call ends before."""
        waits = [asyncio.create_task(event.wait()), asyncio.create_task(self.ended.wait())]
        done, pending = await asyncio.wait(waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        if not event.is_set():
            happened = "ended" if done else f"stayed as it was for {patience} s"
            raise AssertionError(
                f"the call of {self.phone.number} was not {what}: it {happened}, last status {self.status}"
            )

    async def _send_silence(self, peer: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=(self.phone.ip, 0), remote_addr=peer
        )
        try:
            number = 0
            while not self.ended.is_set():
                header = b"\x80\x00" + number.to_bytes(2) + (160 * number).to_bytes(4) + b"pbxc"
                transport.sendto(header + SILENCE)
                number += 1
                await asyncio.sleep(0.02)  # the pace of the sound itself
        finally:
            transport.close()

    def _session(self) -> str:
        return media_description(self.phone.ip, 40000)

    def _over(self) -> None:
        self.ended.set()
