"""From the simulated PBX through listener and tracker into the real database, on both kinds."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from ami.backfill import Backfill
from ami.backfill_thread import Recovery
from ami.listener import Listener, ListenerSettings
from ami.simulator import Simulator
from ami.tracker import Tracker, TrackerSettings
from ami.url import AmiUrl
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.pbx.models import PbxJournal, PbxStatus
from pbxcrm.phone.models import CommandKind, CommandStatus, PhoneCommand
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.fakes.ami_server import FakeAmiServer, listing, message
from tests.integration.ami.office import TIMING, now
from tests.office import Office


def listener_on(
    pbx: Simulator | FakeAmiServer, database: Database, folder: Path, recover: Recovery | None = None
) -> Listener:
    return Listener(
        "main",
        AmiUrl.parse(pbx.url),
        folder / "journal",
        lambda: Tracker(TrackerSettings(pbx="main", trunks=("trunk",))),
        Intake(database, Settings(data_dir=folder)),
        now,
        settings=ListenerSettings(timing=TIMING, lease=1.0, renew=0.2),
        recover=recover,
    )


async def rows(database: Database) -> list[Call]:
    async with database.read() as session:
        return list((await session.exec(select(Call))).all())


async def status(database: Database) -> PbxStatus | None:
    async with database.read() as session:
        return await session.get(PbxStatus, "main")


async def test_calls_end_up_in_the_database_as_they_were(database: Database, tmp_path: Path) -> None:
    async with Simulator(seed=4, speed=10, stretch=1) as simulator:
        listener = listener_on(simulator, database, tmp_path)
        task = asyncio.create_task(listener.run())
        async with asyncio.timeout(60):
            while listener.report.code != "listening":
                await asyncio.sleep(0.01)
            stories = (
                "ring_group_answered",
                "ring_group_abandoned",
                "queue_answered",
                "outbound_answered",
                "internal_answered",
            )
            for story in stories:
                simulator.begin(story)
            while len([call for call in await rows(database) if call.ended_at]) < len(stories):
                await asyncio.sleep(0.1)  # a database cannot be awaited
        listener.stop()
        await asyncio.wait_for(task, 60)
    calls = await rows(database)
    found = sorted((call.direction, call.outcome) for call in calls)
    assert found == [
        ("inbound", "answered"),
        ("inbound", "answered"),
        ("inbound", "missed"),
        ("internal", "answered"),
        ("outbound", "answered"),
    ]
    missed = next(call for call in calls if call.outcome == "missed")
    assert missed.missed_reason == "abandoned_ringing"
    assert abs((datetime.now(UTC) - missed.started_at).total_seconds()) < 120
    async with database.read() as session:
        assert (await session.exec(select(PbxJournal))).one().position > 0
    known = await status(database)
    assert known is not None
    assert known.code == "stopped"
    assert known.asterisk_version is not None


BORN = int(datetime.now(UTC).timestamp())  # a Uniqueid begins with it
CLIENT = {
    "Channel": "PJSIP/trunk-00000001",
    "Uniqueid": f"{BORN}.1",
    "Linkedid": f"{BORN}.1",
    "Context": "from-trunk",
    "Exten": "100",
    "CallerIDNum": "+380671112233",
}
PHONE = {"Channel": "PJSIP/101-00000002", "Uniqueid": f"{BORN}.2", "Linkedid": f"{BORN}.1", "Context": "office"}
RINGS = (
    message(Event="Newchannel", ChannelStateDesc="Ring", **CLIENT)
    + message(Event="Newchannel", ChannelStateDesc="Down", **PHONE)
    + message(Event="DialBegin", **CLIENT, **{f"Dest{name}": value for name, value in PHONE.items()})
    + message(Event="Newstate", ChannelStateDesc="Ringing", **PHONE)
)


async def call_with(database: Database, linkedid: str, *, ringing: bool = False, over: bool = False) -> Call:
    """The call, once it rings or is over."""
    async with asyncio.timeout(30):
        while True:
            for call in await rows(database):
                if call.linkedid == linkedid and (call.ringing or not ringing) and (call.ended_at or not over):
                    return call
            await asyncio.sleep(0.02)  # a database cannot be awaited


@asynccontextmanager
async def listening(listener: Listener) -> AsyncIterator[None]:
    """A listener that is killed at the end."""
    task = asyncio.create_task(listener.run())
    try:
        async with asyncio.timeout(30):
            while listener.report.code != "listening":
                await asyncio.sleep(0.01)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_standby_ends_what_was_over_before_it_took_over(
    database: Database, office: Office, tmp_path: Path
) -> None:
    """Its own journal says nothing of these calls: one by a click, and one that was talked in."""
    key = str(uuid.uuid4())
    clicked = {"Channel": "PJSIP/102-00000003", "Uniqueid": f"crm-{key}", "Linkedid": f"crm-{key}", "Context": "office"}
    async with database.write() as session:
        session.add(
            PhoneCommand(
                key=key,
                pbx="main",
                kind=CommandKind.ORIGINATE.value,
                user_id=office.id("olena"),
                extension="102",
                client_number="+380501112244",
                channel_id=f"crm-{key}",
                status=CommandStatus.SENT.value,
                created_at=now(),
                expires_at=now() + timedelta(seconds=30),
            )
        )
    async with FakeAmiServer() as pbx:
        async with listening(listener_on(pbx, database, tmp_path / "first")):
            await pbx.send(RINGS + message(Event="Newchannel", ChannelStateDesc="Down", **clicked))
            await call_with(database, CLIENT["Linkedid"], ringing=True)
            await call_with(database, clicked["Linkedid"])
        async with listening(listener_on(pbx, database, tmp_path / "second")):  # the PBX shows no channel any more
            call = await call_with(database, CLIENT["Linkedid"], over=True)
            await call_with(database, clicked["Linkedid"], over=True)
    assert (call.outcome, call.ringing) == ("unknown", [])
    async with database.read() as session:
        leg = (await session.exec(select(CallLeg).where(CallLeg.call_id == call.id))).one()
        command = (await session.exec(select(PhoneCommand))).one()
        episodes = (await session.exec(select(Episode))).all()
    assert (leg.result, leg.ended_at) == ("cancelled", call.ended_at)
    assert command.status == CommandStatus.DONE
    assert not episodes  # nobody knows that it was missed


async def test_a_standby_follows_what_goes_on_and_ends_only_the_rest(database: Database, tmp_path: Path) -> None:
    async with FakeAmiServer() as pbx:
        other = {**CLIENT, "Channel": "PJSIP/trunk-00000009", "Uniqueid": f"{BORN}.9", "Linkedid": f"{BORN}.9"}
        async with listening(listener_on(pbx, database, tmp_path / "first")):
            await pbx.send(RINGS + message(Event="Newchannel", ChannelStateDesc="Ring", **other))
            await call_with(database, CLIENT["Linkedid"], ringing=True)
            await call_with(database, other["Linkedid"])
        there = [
            {"ChannelStateDesc": "Ring", **CLIENT},
            {"ChannelStateDesc": "Ringing", "Application": "AppDial", **PHONE},
        ]
        pbx.responders["coreshowchannels"] = listing("CoreShowChannel", "CoreShowChannelsComplete", there)
        async with listening(listener_on(pbx, database, tmp_path / "second")):
            assert (await call_with(database, other["Linkedid"], over=True)).outcome == "unknown"
            assert (await call_with(database, CLIENT["Linkedid"])).outcome == "open"
            await pbx.send(message(Event="Hangup", **PHONE) + message(Event="Hangup", **CLIENT))
            assert (await call_with(database, CLIENT["Linkedid"], over=True)).outcome == "missed"


async def test_a_phone_that_rings_again_rings_also_for_a_standby(database: Database, tmp_path: Path) -> None:
    """A queue rings the same phone in rounds; the standby's tracker counts its first ring, which the database was told long ago."""
    async with FakeAmiServer() as pbx:
        async with listening(listener_on(pbx, database, tmp_path / "first")):
            await pbx.send(RINGS)
            await call_with(database, CLIENT["Linkedid"], ringing=True)
        pbx.responders["coreshowchannels"] = listing(
            "CoreShowChannel", "CoreShowChannelsComplete", [{"ChannelStateDesc": "Ring", **CLIENT}]
        )
        async with listening(listener_on(pbx, database, tmp_path / "second")):
            while (await call_with(database, CLIENT["Linkedid"])).ringing:
                await asyncio.sleep(0.02)  # a database cannot be awaited
            again = {**PHONE, "Channel": "PJSIP/101-00000005", "Uniqueid": f"{BORN}.5"}
            await pbx.send(
                RINGS.replace(b"101-00000002", b"101-00000005").replace(
                    PHONE["Uniqueid"].encode(), again["Uniqueid"].encode()
                )
            )
            call = await call_with(database, CLIENT["Linkedid"], ringing=True)
    assert call.ringing == ["101"]


async def test_who_talked_before_a_standby_took_over_has_talked(
    database: Database, office: Office, tmp_path: Path
) -> None:
    """The seller has gone, the client listens to music when the listener dies, and hangs up to the standby: no miss."""
    bridge = {"BridgeUniqueid": "b1", "BridgeTechnology": "simple_bridge"}
    async with FakeAmiServer() as pbx:
        async with listening(listener_on(pbx, database, tmp_path / "first")):
            await pbx.send(RINGS + message(Event="Newstate", ChannelStateDesc="Up", **PHONE))
            await pbx.send(
                message(Event="BridgeEnter", **PHONE, **bridge) + message(Event="BridgeEnter", **CLIENT, **bridge)
            )
            await pbx.send(
                message(Event="BridgeLeave", **PHONE, **bridge) + message(Event="BridgeLeave", **CLIENT, **bridge)
            )
            await pbx.send(message(Event="Hangup", **PHONE))
            while (before := await call_with(database, CLIENT["Linkedid"])).talking or not before.talked:
                await asyncio.sleep(0.02)  # a database cannot be awaited
        there = [{"ChannelStateDesc": "Up", **CLIENT}]
        pbx.responders["coreshowchannels"] = listing("CoreShowChannel", "CoreShowChannelsComplete", there)
        async with listening(listener_on(pbx, database, tmp_path / "second")):
            await pbx.send(message(Event="Hangup", **CLIENT))
            call = await call_with(database, CLIENT["Linkedid"], over=True)
    assert (call.outcome, call.missed_reason, call.answered_by) == ("answered", None, "101")
    assert (call.rang, call.talked, call.answered_at) == (["101"], ["101"], before.answered_at)
    async with database.read() as session:
        assert not (await session.exec(select(Episode))).all()


@pytest.mark.parametrize("since_reported", [timedelta(0), timedelta(minutes=5)])
async def test_a_standby_asks_the_records_of_the_pbx(
    database: Database, office: Office, tmp_path: Path, since_reported: timedelta
) -> None:
    """The call was missed, and makes the callback it should; also where its end was heard long ago but never applied."""
    phone = {**PHONE, "App": "AppDial", "AppData": "(Outgoing Line)"}
    dial = {**CLIENT, "App": "Dial", "AppData": "PJSIP/101"}
    cause = '{""hangupcause"":""16""}'
    lines = [
        record("CHAN_START", 0, CLIENT),
        record("APP_START", 0, dial),
        record("CHAN_START", 0, phone),
        record("HANGUP", 9, phone, cause),
        record("CHAN_END", 9, phone),
        record("HANGUP", 9, CLIENT, cause),
        record("CHAN_END", 9, CLIENT),
    ]
    cel = tmp_path / "cel.csv"
    cel.write_text("".join(lines))
    async with FakeAmiServer() as pbx:
        async with listening(listener_on(pbx, database, tmp_path / "first")):
            await pbx.send(RINGS)
            await call_with(database, CLIENT["Linkedid"], ringing=True)
        async with database.write() as session:
            known = await session.get(PbxStatus, "main")
            assert known is not None
            known.last_event_at = now() + since_reported
        recover = Backfill(lambda: Tracker(TrackerSettings(pbx="main", trunks=("trunk",))), cel_csv=cel)
        async with listening(listener_on(pbx, database, tmp_path / "second", recover)):
            call = await call_with(database, CLIENT["Linkedid"], over=True)
    assert (call.outcome, call.missed_reason, call.rang) == ("missed", "abandoned_ringing", ["101"])
    assert call.ended_at == datetime.fromtimestamp(BORN + 9, UTC)
    async with database.read() as session:
        leg = (await session.exec(select(CallLeg).where(CallLeg.call_id == call.id))).one()
        episode = (await session.exec(select(Episode))).one()
    assert leg.result == "cancelled"
    assert episode.owner_id == office.id("ivan")


def record(event: str, seconds: int, channel: dict[str, str], extra: str = "") -> str:
    """A line of CEL as Asterisk writes it."""
    row = [""] * 20
    row[:4] = event, str(BORN + seconds), "", channel.get("CallerIDNum", "")
    row[7:12] = (
        channel.get("Exten", ""),
        channel["Context"],
        channel["Channel"],
        channel.get("App", ""),
        channel.get("AppData", ""),
    )
    row[14:16] = channel["Uniqueid"], channel["Linkedid"]
    row[19] = extra
    return ",".join(f'"{field}"' for field in row) + "\n"
