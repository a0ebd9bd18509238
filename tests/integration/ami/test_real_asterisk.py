"""Our link, listener, commands and backfill against a real Asterisk, 22 and 16, with the example configuration."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from ami.backfill import Backfill
from ami.command_executor import CommandResult
from ami.commands import Dialling
from ami.connection import Timing
from ami.listener import Listener, ListenerSettings
from ami.tracker import Tracker
from ami.url import AmiUrl
from pbxcrm.calls.facts import CallState, FactKind, Outcome
from pbxcrm.pbx.state import PbxState
from tests.asterisk.examples import ExampleOffice, example_office
from tests.fakes.memory_sink import MemorySink
from tests.integration.ami.office import now
from tests.integration.ami.test_commands import CommandDesk
from tests.waiting import until

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(900)]  # the first run installs Asterisk
CLIENT = "+380671112233"
GROUP, MANAGER = "0441230001", "0441230004"
CALL_ID = "0b0f9d1e-3b50-4a1f-9d3c-0123456789ab"
TIMING = Timing(ping_after=0.5, ping_answer=0.5, retry_first=0.1, retry_most=0.5)


class Ears:
    """A listener on the example office, and what it tells."""

    def __init__(self, office: ExampleOffice, folder: Path) -> None:
        self.office = office
        self.folder = folder
        self.sink = MemorySink(now)
        self.desk = CommandDesk()
        self.task: asyncio.Task[None] | None = None

    def start(self, secret: str = "change-me-manager") -> Listener:
        cel = self.office.server.folder / "log/cel-custom/Master.csv"
        listener = Listener(
            "main",
            AmiUrl.parse(f"ami://pbxcrm:{secret}@127.0.0.1:{self.office.server.ami_port}"),
            self.folder / "journal",
            Tracker,
            self.sink,
            now,
            settings=ListenerSettings(timing=TIMING, dialling=Dialling(context="pbxcrm-dial")),
            commands=self.desk,
            recover=Backfill(Tracker, cel_csv=cel),
        )
        self.task = asyncio.create_task(listener.run())
        return listener

    async def listening(self, times: int = 1) -> None:
        def there() -> bool:
            reports = self.sink.reports
            return sum(r.code == "syncing" for r in reports) >= times and reports[-1].state is PbxState.LISTENING

        await self.sink.until(there)

    async def kill(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None

    def of(self, kind: FactKind) -> list[CallState]:
        return [fact.call for fact in self.sink.facts.values() if fact.kind is kind]

    async def until(self, kind: FactKind, times: int = 1) -> CallState:
        await self.sink.until(lambda: len(self.of(kind)) >= times)
        return self.of(kind)[-1]

    async def command(self, name: str, kind: str, **params: str) -> CommandResult:
        self.desk.give(name, kind, params)
        return await self.desk.result(name)


@asynccontextmanager
async def ears(folder: Path, version: str = "22") -> AsyncIterator[Ears]:
    async with example_office(version) as office:
        made = Ears(office, folder)
        try:
            yield made
        finally:
            await made.kill()


@pytest.mark.parametrize("version", ["22", "16"])
async def test_hears_a_call_at_once_and_knows_version_and_clock(tmp_path: Path, version: str) -> None:
    async with ears(tmp_path, version) as here:
        here.start()
        await here.listening()
        client = await here.office.trunk.call_in(GROUP, caller=CLIENT)
        await here.until(FactKind.OPENED)
        legs = await here.office.ring("101", "102", "103")
        legs[1].answer()
        joined = await here.until(FactKind.JOINED)
        assert joined.talking == ("102",)
        await client.hang_up()
        ended = await here.until(FactKind.ENDED)
        assert (ended.outcome, ended.answered_by, ended.client_heard) == (Outcome.ANSWERED, "102", CLIENT)
        report = here.sink.reports[-1]
        assert report.asterisk_version is not None
        assert report.asterisk_version.startswith(f"{version}.")
        assert report.clock_offset_seconds is not None
        assert abs(report.clock_offset_seconds) < 2


async def test_a_wrong_secret_is_refused_once(tmp_path: Path) -> None:
    async with ears(tmp_path) as here:
        here.start(secret="wrong")
        report = await here.sink.until_state(PbxState.REFUSED, "login_refused")
        assert report.params["why"] == "Authentication failed"


async def test_a_frozen_pbx_is_noticed_and_found_again_with_its_call(tmp_path: Path) -> None:
    async with ears(tmp_path) as here:
        here.start()
        await here.listening()
        client = await here.office.trunk.call_in(MANAGER, caller=CLIENT)
        (leg,) = await here.office.ring("104")
        leg.answer()
        await here.until(FactKind.JOINED)
        process = here.office.server._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)  # TCP lives, nobody answers: a half-open link
        await here.sink.until(lambda: any(report.state is PbxState.SILENT for report in here.sink.reports))
        process.send_signal(signal.SIGCONT)
        await here.listening(2)
        assert not here.of(FactKind.ENDED)  # the snapshot shows it alive
        await client.hang_up()
        ended = await here.until(FactKind.ENDED)
        assert (ended.outcome, ended.answered_by) == (Outcome.ANSWERED, "104")


@pytest.mark.parametrize("version", ["22", "16"])
async def test_what_ended_while_nobody_listened_is_recovered_from_cel(tmp_path: Path, version: str) -> None:
    async with ears(tmp_path, version) as here:
        here.start()
        await here.listening()
        first = await here.office.trunk.call_in(MANAGER, caller="+380671110001")
        (leg,) = await here.office.ring("104")
        await here.until(FactKind.RINGING)
        await here.kill()
        leg.answer()
        await first.wait_answered()
        await here.office.connected()
        await first.hang_up()  # known to us, answered and ended unheard
        await here.office.over()
        second = await here.office.trunk.call_in(GROUP, caller="+380671110002")
        await here.office.ring("101", "102", "103")
        await second.cancel()  # never known to us
        await here.office.over()
        here.start()
        await here.until(FactKind.ENDED, 2)
        known, unseen = here.of(FactKind.ENDED)
        assert (known.client_heard, known.outcome, known.answered_by) == ("+380671110001", Outcome.ANSWERED, "104")
        assert (unseen.client_heard, unseen.outcome) == ("+380671110002", Outcome.MISSED)
        assert unseen.rang == ("101", "102", "103")


async def test_a_killed_pbx_leaves_interrupted_calls(tmp_path: Path) -> None:
    async with ears(tmp_path) as here:
        here.start()
        await here.listening()
        await here.office.trunk.call_in(MANAGER, caller=CLIENT)
        await here.office.ring("104")
        await here.until(FactKind.RINGING)
        await here.office.server.kill()
        killed = now()
        await here.sink.until(lambda: any(report.state is PbxState.UNREACHABLE for report in here.sink.reports))
        # All that tells one Asterisk from the next is CoreStartupTime, which has whole seconds; this one boots in less.
        await until(lambda: now().replace(microsecond=0) > killed)
        await here.office.start_again()
        ended = await here.until(FactKind.ENDED)
        assert ended.outcome is Outcome.INTERRUPTED


@pytest.mark.parametrize("version", ["22", "16"])
async def test_click_to_call_transfer_and_hang_up(tmp_path: Path, version: str) -> None:
    async with ears(tmp_path, version) as here:
        here.start()
        await here.listening()
        done = await here.command("call", "originate", extension="101", number=CLIENT, call_id=CALL_ID)
        assert done.done
        (seller,) = await here.office.ring("101")
        assert seller.caller_number == CLIENT
        seller.answer()
        client = await here.office.trunk.incoming()
        client.answer()
        talking = await here.until(FactKind.JOINED)
        assert (talking.linkedid, talking.made_by, talking.click_to_call) == (f"crm-{CALL_ID}", "101", True)
        assert talking.client_heard == CLIENT
        again = await here.command("again", "originate", extension="102", number=CLIENT, call_id=CALL_ID)
        assert again.done  # queued, as always; but the PBX makes no second channel of a living id
        await here.office.manager.event("OriginateResponse", Response="Failure")
        ours = next(leg.channel_id for leg in talking.legs if leg.extension == "101")
        gave = await here.command("give", "transfer", channel=ours, number="103")
        assert gave.done
        (third,) = await here.office.ring("103")
        third.answer()
        transferred = await here.until(FactKind.TRANSFERRED)
        assert [(t.source, t.target, t.kind) for t in transferred.transfers] == [("101", "103", "blind")]
        theirs = next(leg.channel_id for leg in transferred.legs if leg.extension == "103")
        assert (await here.command("end", "hangup", channel=theirs)).done
        ended = await here.until(FactKind.ENDED)
        assert (ended.outcome, ended.talked) == (Outcome.ANSWERED, ("101", "103"))
        gone = await here.command("gone", "hangup", channel=theirs)
        assert (gone.done, gone.code) == (False, "action_refused")
        assert here.office.phones["102"].quiet
        assert ended.ended_at is not None
        assert now() - ended.ended_at < timedelta(minutes=1)
