"""The example office in a real Asterisk: it loads without a warning, and calls go through it as the README says."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.asterisk.examples import ExampleOffice, example_office
from tests.asterisk.leg import PhoneLeg
from tests.asterisk.office import NOISE

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(900)]  # the first run installs Asterisk
CLIENT = "+380671112233"
GROUP, QUEUE, MENU, MANAGER = "0441230001", "0441230002", "0441230003", "0441230004"


@asynccontextmanager
async def answering(text: bytes, *, asked: list[str]) -> AsyncIterator[int]:
    """A server on a free port that writes down the first line it hears and says ``text``; silent for ever if empty."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\n\n" if text.startswith(b"SET") else b"\n")
        asked.append(head.decode())
        if not text:
            await reader.read()  # until the other side gives up
        elif text.startswith(b"SET"):
            for command in text.splitlines(keepends=True):
                writer.write(command)
                await reader.readline()
        else:
            writer.write(text)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def as_json(**found: str | None) -> bytes:
    body = json.dumps(found, ensure_ascii=False).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


@asynccontextmanager
async def quiet_office(**chosen: str) -> AsyncIterator[ExampleOffice]:
    """The office beside a pbxcrm that knows nobody; at the end the log must have no warning."""
    async with (
        answering(as_json(name=None, extension=None), asked=[]) as port,
        example_office(crm=f"http://127.0.0.1:{port}", **chosen) as office,
    ):
        yield office
        assert office.server.warnings() == []


async def asked_for(office: ExampleOffice) -> float:
    """Seconds by Asterisk's own clock from the call's arrival to the step after the look-up."""
    arrived = await office.manager.event("Newchannel")
    after = await office.manager.event("UserEvent", UserEvent="PbxcrmRecording")
    return float(after["Timestamp"]) - float(arrived["Timestamp"])


async def hang_up(office: ExampleOffice, leg: PhoneLeg) -> None:
    await leg.hang_up()
    await office.over()


@pytest.mark.parametrize("version", ["22", "16"])
async def test_every_file_loads_without_a_warning(version: str) -> None:
    async with example_office(version) as office:
        assert office.server.warnings() == []
        assert "sales" in await office.server.rx("queue show")
        assert "0441230003" in await office.server.rx("dialplan show from-trunk")
        assert "System uptime" in await office.server.rx("core show uptime")


@pytest.mark.parametrize("version", ["22", "16"])
async def test_the_manager_user_hears_and_asks_what_is_needed_and_no_more(version: str) -> None:
    async with example_office(version) as office:
        client = await office.trunk.call_in(MANAGER, caller=CLIENT)
        (leg,) = await office.ring("104")
        leg.answer()
        await office.connected()
        manager = office.manager
        for action in ("CoreStatus", "CoreSettings", "QueueStatus"):
            await manager.act(action)
        await manager.act("CoreShowChannels")
        await manager.event("CoreShowChannel", count=2)
        await manager.act("BridgeList")
        bridge = await manager.event("BridgeListItem")
        await manager.act("BridgeInfo", BridgeUniqueid=bridge["BridgeUniqueid"])
        await manager.event("BridgeInfoChannel", count=2)
        with pytest.raises(AssertionError, match="Permission denied"):
            await manager.act("Command", Command="core show version")
        await hang_up(office, client)
        heard = [message["Event"] for message in manager.messages() if "Event" in message]
        assert not set(heard) & set(NOISE)
        assert len(heard) < 50  # more than two hundred without rights and filters


async def test_ring_group_is_answered_and_recorded() -> None:
    async with quiet_office() as office:
        client = await office.trunk.call_in(GROUP, caller=CLIENT)
        legs = await office.ring("101", "102", "103")
        legs[1].answer()
        await client.wait_answered()
        await legs[0].wait_ended()
        await legs[2].wait_ended()
        client.speak()
        legs[1].speak()
        await asyncio.sleep(0.5)  # they talk
        await hang_up(office, client)
        told = await office.manager.event("UserEvent", UserEvent="PbxcrmRecording")
        (recording,) = office.server.spool("monitor/**/*.wav")
        assert told["File"] == str(recording.relative_to(office.server.folder / "spool/monitor"))
        assert told["Uniqueid"] == recording.stem
        assert recording.stat().st_size > 44 + 1600  # a header, and at least a tenth of a second


async def test_ring_group_that_nobody_takes_ends_in_voicemail() -> None:
    async with quiet_office() as office:
        client = await office.trunk.call_in(GROUP, caller=CLIENT)
        for leg in await office.ring("101", "102", "103"):
            leg.refuse(486)
        await client.wait_answered()
        client.speak()
        await client.dtmf("#")  # enough of the greeting
        await asyncio.sleep(2)  # a message
        await client.dtmf("#")
        await office.manager.event("MessageWaiting", Mailbox="101@default", New="1")
        await hang_up(office, client)
        assert office.server.spool("voicemail/default/101/INBOX/msg0000.wav")


async def test_queue_connects_and_says_whom() -> None:
    async with quiet_office() as office:
        client = await office.trunk.call_in(QUEUE, caller=CLIENT)
        legs = await office.ring("101", "102", "103")
        legs[2].answer()
        connected = await office.manager.event("AgentConnect")
        assert (connected["Queue"], connected["DestChannel"].partition("-")[0]) == ("sales", "PJSIP/103")
        await office.connected()
        await hang_up(office, client)


async def test_menu_leads_to_the_manager() -> None:
    async with quiet_office() as office:
        client = await office.trunk.call_in(MENU, caller=CLIENT)
        await client.wait_answered()
        client.speak()
        await client.dtmf("2")
        (leg,) = await office.ring("104")
        leg.answer()
        await office.connected()
        await hang_up(office, client)
        assert all(phone.quiet for phone in office.phones.values())


async def test_closed_hours_are_told_and_nobody_is_disturbed() -> None:
    async with quiet_office(mode="closed") as office:
        client = await office.trunk.call_in(GROUP, caller=CLIENT)
        closed = await office.manager.event("UserEvent", UserEvent="PbxcrmClosed")
        assert closed["Channel"].startswith("PJSIP/trunk-")
        await client.wait_ended()
        assert all(phone.quiet for phone in office.phones.values())


async def test_a_colleague_picks_up_parks_and_takes_back() -> None:
    async with quiet_office() as office:
        client = await office.trunk.call_in(MANAGER, caller=CLIENT)
        await office.ring("104")
        picker = await office.phones["102"].call("*8")
        await picker.wait_answered()
        await office.manager.event("Pickup")
        await office.connected()
        await picker.transfer("700")
        parked = await office.manager.event("ParkedCall")
        back = await office.phones["103"].call(parked["ParkingSpace"])
        await back.wait_answered()
        back_with_us = await office.manager.event("UnParkedCall")
        assert back_with_us["RetrieverChannel"].startswith("PJSIP/103-")
        await office.manager.event("BridgeEnter", Channel=back_with_us["RetrieverChannel"])
        await hang_up(office, client)


async def test_click_to_call_rings_the_seller_and_then_the_client() -> None:
    async with quiet_office() as office:
        where = {"Channel_": "PJSIP/101", "Context": "pbxcrm-dial", "Exten": CLIENT, "Priority": "1", "Async": "true"}
        identity = "crm-00000000-0000-4000-8000-000000000001"
        await office.manager.act("Originate", **where, CallerID=f"<{CLIENT}>", ChannelId=identity)
        (seller,) = await office.ring("101")
        assert seller.caller_number == CLIENT
        seller.answer()
        client = await office.trunk.incoming()
        client.answer()
        await office.connected()
        begun = office.manager.events("Newchannel")
        assert [event["Linkedid"] for event in begun] == [identity, identity]
        await hang_up(office, client)


async def test_files_tell_what_happened_when_nobody_listened() -> None:
    async with quiet_office() as office:
        client = await office.trunk.call_in(MANAGER, caller=CLIENT)
        (leg,) = await office.ring("104")
        leg.answer()
        await office.connected()
        linkedid = office.manager.events("Newchannel")[0]["Linkedid"]
        await hang_up(office, client)
        logs = office.server.folder / "log"
        events = [
            row for row in csv.reader((logs / "cel-custom/Master.csv").read_text().splitlines()) if row[15] == linkedid
        ]
        assert {"CHAN_START", "ANSWER", "BRIDGE_ENTER", "HANGUP", "LINKEDID_END"} <= {row[0] for row in events}
        assert all(abs(float(row[1]) - float(linkedid)) < 60 for row in events)  # seconds since 1970
        assert '"ANSWERED"' in (logs / "cdr-csv/Master.csv").read_text()
        cdr = await office.manager.event("Cdr")
        assert cdr["LinkedID"] == linkedid


async def test_look_up_shows_the_name_and_rings_the_clients_own_seller_first() -> None:
    asked: list[str] = []
    async with (
        answering(as_json(name="Олена, ТОВ «Вікна»", extension="103"), asked=asked) as port,
        example_office(crm=f"http://127.0.0.1:{port}") as office,
    ):
        client = await office.trunk.call_in(GROUP, caller=CLIENT)
        (leg,) = await office.ring("103")
        assert (leg.caller_name, leg.caller_number) == ("Олена, ТОВ «Вікна»", CLIENT)
        assert office.phones["101"].quiet
        leg.answer()
        await client.wait_answered()
        await hang_up(office, client)
        assert office.server.warnings() == []
    assert asked == [f"GET /dialplan/lookup?number=%2B380671112233&did={GROUP} HTTP/1.1\r\n"]


@pytest.mark.parametrize("version", ["22", "16"])
async def test_look_up_by_fastagi(version: str) -> None:
    asked: list[str] = []
    commands = 'SET VARIABLE PBXCRM_NAME "Олена"\nSET VARIABLE PBXCRM_EXTENSION "102"\n'.encode()
    async with (
        answering(commands, asked=asked) as port,
        example_office(version, agi=f"agi://127.0.0.1:{port}/lookup") as office,
    ):
        client = await office.trunk.call_in(GROUP, caller=CLIENT)
        (leg,) = await office.ring("102")
        assert leg.caller_name == "Олена"
        leg.answer()
        await client.wait_answered()
        await hang_up(office, client)
        assert office.server.warnings() == []
    assert f"agi_arg_1: {CLIENT}\nagi_arg_2: {GROUP}\n" in asked[0]


@pytest.mark.parametrize("way", ["crm", "agi"])
async def test_a_dead_crm_delays_a_call_by_a_second_at_most(way: str) -> None:
    async with answering(b"", asked=[]) as port:
        address = f"http://127.0.0.1:{port}" if way == "crm" else f"agi://127.0.0.1:{port}/lookup"
        async with example_office(**{way: address}) as office:
            client = await office.trunk.call_in(GROUP, caller=CLIENT)
            await office.ring("101", "102", "103")
            assert 0.9 < await asked_for(office) < 1.9
            await client.cancel()
            await office.over()


async def test_a_crm_that_is_not_there_delays_nothing() -> None:
    async with example_office(crm="http://127.0.0.1:9") as office:
        client = await office.trunk.call_in(GROUP, caller=CLIENT)
        await office.ring("101", "102", "103")
        assert await asked_for(office) < 0.9
        await client.cancel()
        await office.over()


async def test_hostile_look_up_changes_nothing_but_the_display() -> None:
    nasty = 'x"),System(touch /tmp/owned) ${SHELL(id)} $[1+1]'
    async with (
        answering(as_json(name=nasty, extension="../900&PJSIP/104"), asked=[]) as port,
        example_office(crm=f"http://127.0.0.1:{port}") as office,
    ):
        client = await office.trunk.call_in(GROUP, caller=CLIENT)
        (leg,) = await office.ring("101")
        assert "${SHELL(id)}" in leg.caller_name
        assert office.phones["104"].quiet
        await client.cancel()
        await office.over()
