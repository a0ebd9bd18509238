"""What people do with calls from the card, with real telephones and a real Asterisk: transfer, hang up, call by a click."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.asterisk.examples import ExampleOffice, example_office
from tests.asterisk.leg import PhoneLeg
from tests.e2e.crm import PASSWORD, Crm, crm
from tests.waiting import until

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(600)]
GROUP = "0441230001"
CLIENT, OTHER, THIRD = "+380671112233", "+380501112244", "+380931112255"
SOON = 60.0  # seconds; the machine may be busy with other tests


@dataclass
class PhoneHouse:
    office: ExampleOffice
    crm: Crm
    stack: AsyncExitStack

    async def log_in(self, login: str) -> httpx2.AsyncClient:
        """A browser without a screen."""
        headers = {"Origin": self.crm.address, "Accept": "text/html", "HX-Request": "true"}
        client = await self.stack.enter_async_context(
            httpx2.AsyncClient(base_url=self.crm.address, headers=headers, timeout=30)
        )
        answer = await client.post(
            "/login", data={"login": login, "password": PASSWORD}, headers={"HX-Request": "false"}
        )
        assert answer.status_code == HTTPStatus.SEE_OTHER
        return client

    async def call_when(self, number: str, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The newest call with a client, once it is as it should be."""
        seen: list[dict[str, Any]] = []

        async def there() -> bool:
            seen[:] = await self.crm.items("calls", client_number=number)
            return bool(seen) and bool(holds(seen[0]))

        try:
            await until(there, SOON)
        except TimeoutError:
            raise AssertionError(f"the call with {number} stays like this: {seen[:1]}") from None
        return seen[0]

    async def talk(self, caller: str) -> tuple[PhoneLeg, PhoneLeg, int]:
        """A client calls everybody and 101 answers: both legs, and the call's id."""
        client = await self.office.trunk.call_in(GROUP, caller=caller)
        ours, *others = await self.office.ring("101", "102", "103")
        ours.answer()
        await client.wait_answered()
        for other in others:
            await other.wait_ended()
        call = await self.call_when(caller, lambda call: call["talked"] == ["101"])
        return client, ours, call["id"]


def is_back(office: ExampleOffice, number: str) -> bool:
    """Whether an extension's phone came into the bridge of its first talk again (it may have been in another between)."""
    entered = [e for e in office.manager.events("BridgeEnter") if e["Channel"].startswith(f"PJSIP/{number}-")]
    return len(entered) > 1 and entered[-1]["BridgeUniqueid"] == entered[0]["BridgeUniqueid"]


@asynccontextmanager
async def open_house(folder: Path, version: str = "22") -> AsyncIterator[PhoneHouse]:
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(example_office(version))
        url = f"ami://pbxcrm:change-me-manager@127.0.0.1:{office.server.ami_port}"
        house = await stack.enter_async_context(crm(folder, PBXCRM_AMI_URL=url, PBXCRM_DIAL_CONTEXT="pbxcrm-dial"))
        yield PhoneHouse(office, house, stack)


@pytest.mark.parametrize("version", ["22", "16"])
async def test_transfers_and_hang_up_by_the_card(tmp_path: Path, version: str) -> None:
    async with open_house(tmp_path, version) as house:
        office, ivan = house.office, await house.log_in("ivan")

        # To what the dialplan does not have: Asterisk would throw the client out, so it is not asked to, and one is told.
        client, ours, call_id = await house.talk(CLIENT)
        for attended in ({}, {"attended": "1"}):
            await ivan.post("/phone/transfer", data={"call_id": call_id, "target": "199", **attended})

            async def told() -> bool:
                return "The PBX cannot dial 199" in (await ivan.get("/phone/state")).text

            await until(told, SOON)
        # Speaking to a colleague first who is busy: the client comes back.
        await ivan.post("/phone/transfer", data={"call_id": call_id, "target": "103", "attended": "1"})
        (theirs,) = await office.ring("103")
        theirs.refuse()
        await office.manager.condition(lambda: is_back(office, "101"), SOON)
        assert not client.ended.is_set()
        assert not ours.ended.is_set()

        # Blind: 102 rings at once, 101 is free, the client never falls out. (We may know sooner than pbxcrm that 101 is back.)
        async def handed_over() -> bool:
            answer = await ivan.post("/phone/transfer", data={"call_id": call_id, "target": "102"})
            return "The client goes to 102." in answer.text

        await until(handed_over, SOON)
        (theirs,) = await office.ring("102")
        await ours.wait_ended()
        theirs.answer()
        handed = {"from": "101", "to": "102", "kind": "blind"}
        call = await house.call_when(CLIENT, lambda call: call["transfers"] == [handed])  # with the hang-up of 101
        assert (call["id"], call["outcome"], call["talked"]) == (call_id, "open", ["101", "102"])
        assert not client.ended.is_set()

        # Whose call it was is not theirs to end any more (once Asterisk has said that their phone is free); who has it now may.
        async def refused() -> bool:
            answer = await ivan.post("/phone/hangup", data={"call_id": call_id})
            return (answer.status_code, "You are not on this call any more." in answer.text) == (409, True)

        await until(refused, SOON)
        olena = await house.log_in("olena")
        assert (await olena.post("/phone/hangup", data={"call_id": call_id})).status_code == HTTPStatus.OK
        await theirs.wait_ended()
        await client.wait_ended()
        await office.over()
        call = await house.call_when(CLIENT, lambda call: call["ended_at"])
        assert (call["outcome"], call["answered_by"]) == ("answered", "101")

        # Attended: 101 speaks with 103 while the client waits; hanging up by the card hands the client over.
        client, ours, call_id = await house.talk(OTHER)
        answer = await ivan.post("/phone/transfer", data={"call_id": call_id, "target": "103", "attended": "1"})
        assert "Calling 103; hang up to hand the client over." in answer.text
        (theirs,) = await office.ring("103")
        assert not ours.ended.is_set()
        theirs.answer()
        await office.manager.event("DialEnd", count=1, DestCallerIDNum="103", DialStatus="ANSWER")
        assert not ours.ended.is_set()
        assert not client.ended.is_set()
        assert (await ivan.post("/phone/hangup", data={"call_id": call_id})).status_code == HTTPStatus.OK
        await ours.wait_ended()
        call = await house.call_when(OTHER, lambda call: call["transfers"])
        assert (call["id"], call["talked"], call["ended_at"]) == (call_id, ["101", "103"], None)
        assert call["transfers"] == [{"from": "101", "to": "103", "kind": "attended"}]
        assert not client.ended.is_set()
        await client.hang_up()
        await theirs.wait_ended()
        await office.over()
        await house.call_when(OTHER, lambda call: call["ended_at"])

        # A call that is over has nothing left to transfer.
        answer = await ivan.post("/phone/transfer", data={"call_id": call_id, "target": "102"})
        assert (answer.status_code, "You are not on this call any more." in answer.text) == (409, True)


async def test_two_clicks_on_one_client_and_a_click_while_the_pbx_is_away(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        office, ivan, olena = house.office, await house.log_in("ivan"), await house.log_in("olena")

        # The second who clicks is told who was first; another client may be called meanwhile.
        answer = await ivan.post("/phone/call", data={"number": CLIENT})
        assert "your phone 101 rings first" in answer.text
        (ours,) = await office.ring("101")
        assert ours.caller_number == CLIENT
        answer = await olena.post("/phone/call", data={"number": "067 111 22 33"})
        assert (answer.status_code, "Ivan Kravets is calling this client right now." in answer.text) == (409, True)
        assert (await olena.post("/phone/call", data={"number": THIRD})).status_code == HTTPStatus.OK
        (hers,) = await office.ring("102")
        assert hers.caller_number == THIRD
        hers.refuse()
        await house.call_when(THIRD, lambda call: call["outcome"] == "not_dialled")
        ours.answer()
        client = await office.trunk.incoming()
        client.answer()
        call = await house.call_when(CLIENT, lambda call: call["talked"] == ["101"])
        assert (call["direction"], call["click_to_call"], call["made_by"]) == ("outbound", True, "101")
        answer = await olena.post("/phone/call", data={"number": CLIENT})
        assert "Ivan Kravets is calling this client right now." in answer.text
        assert (await ivan.post("/phone/hangup", data={"call_id": call["id"]})).status_code == HTTPStatus.OK
        await client.wait_ended()
        await ours.wait_ended()
        await office.over()
        await house.call_when(CLIENT, lambda call: call["ended_at"])
        answer = await olena.post("/phone/call", data={"number": CLIENT})
        assert answer.status_code == HTTPStatus.OK
        (hers,) = await office.ring("102")
        hers.refuse()
        await office.over()

        # The PBX hangs, and nobody has noticed yet: the order is not sent, so that it is not carried out when it wakes up.
        process = office.server._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        assert (await ivan.post("/phone/call", data={"number": OTHER})).status_code == HTTPStatus.OK

        async def told() -> bool:
            return "The PBX is not connected; the command was not sent." in (await ivan.get("/phone/state")).text

        await until(told, 30)
        process.send_signal(signal.SIGCONT)
        await until(house.crm.run.well, 60)
        await ivan.post("/phone/call", data={"number": THIRD})
        (ours,) = await office.ring("101")
        assert ours.caller_number == THIRD
        ours.refuse()
        await house.crm.when("calls", count=2, client_number=THIRD, outcome="not_dialled")
        await office.over()

        # The PBX is away: a clear word at once, and nothing is dialled when it is back.
        await office.server.kill()

        async def away() -> bool:
            return not await house.crm.run.well()

        await until(away, SOON)
        answer = await ivan.post("/phone/call", data={"number": OTHER})
        assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert "The PBX is not connected now, so nothing was dialled. Try again when it is back." in answer.text
        for phone in office.phones.values():
            phone.forget()
        await office.start_again()
        await until(house.crm.run.well, 60)
        # One click now, through the same queue of orders, is the only call that this PBX has ever made.
        answer = await ivan.post("/phone/call", data={"number": THIRD})
        assert answer.status_code == HTTPStatus.OK
        (ours,) = await office.ring("101")
        assert ours.caller_number == THIRD
        ours.refuse()
        await house.crm.when("calls", count=3, client_number=THIRD, outcome="not_dialled")
        assert not await house.crm.items("calls", client_number=OTHER)
        channels = (await office.server.rx("core show channels")).splitlines()
        assert [line for line in channels if "active channel" in line] == ["0 active channels"]
        assert office.trunk.quiet
        assert all(phone.quiet for phone in office.phones.values())
