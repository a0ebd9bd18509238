"""Commands from people: once or never, and never late."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from ami.command_executor import CommandRequest, CommandResult
from pbxcrm.pbx.report_sentences import REPORTS
from pbxcrm.pbx.state import PbxState
from tests.fakes.ami_server import FakeAmiServer, error, success
from tests.integration.ami.office import PbxOffice, now, quick

CALL = {"extension": "101", "number": "+380671234567", "call_id": "0b0f9d1e-3b50-4a1f-9d3c-0123456789ab"}


class CommandDesk:
    """Where people give commands."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[CommandRequest] = asyncio.Queue()
        self.results: dict[str, CommandResult] = {}
        self._changed = asyncio.Condition()

    async def requests(self, pbx: str) -> AsyncIterator[CommandRequest]:
        assert pbx == "main"
        while True:
            request = await self.given.get()
            if request.kind == "the source breaks":
                raise OSError("Redis is gone")
            yield request

    async def finish(self, result: CommandResult) -> None:
        self.results[result.id] = result
        async with self._changed:
            self._changed.notify_all()
        if result.id == "fails":
            raise OSError("Redis is gone")

    def give(self, name: str, kind: str, params: dict[str, str], seconds: float = 10) -> None:
        self.given.put_nowait(CommandRequest(name, kind, params, now() + timedelta(seconds=seconds)))

    async def result(self, name: str) -> CommandResult:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: name in self.results)
        result = self.results[name]
        if not result.done:
            assert REPORTS[result.code].format_map(result.params)  # people get a whole sentence
        return result


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[PbxOffice]:
    async with FakeAmiServer() as pbx:
        made = PbxOffice(pbx, tmp_path)
        yield made
        await made.kill()


@pytest.fixture
async def desk(office: PbxOffice) -> CommandDesk:
    desk = CommandDesk()
    office.listen(commands=desk)
    await office.sink.until_state(PbxState.LISTENING)
    return desk


async def test_a_click_reaches_the_pbx(office: PbxOffice, desk: CommandDesk) -> None:
    desk.give("one", "originate", CALL)
    assert await desk.result("one") == CommandResult("one", True, "done")
    sent = await office.pbx.asked("Originate")
    assert (sent["Channel"], sent["Exten"], sent["ChannelId"]) == (
        "PJSIP/101",
        CALL["number"],
        f"crm-{CALL['call_id']}",
    )


async def test_given_twice_it_is_done_once(office: PbxOffice, desk: CommandDesk) -> None:
    desk.give("one", "originate", CALL)
    desk.give("one", "originate", CALL)
    desk.give("two", "hangup", {"channel": "PJSIP/101-1"})
    await desk.result("two")
    assert office.pbx.names().count("Originate") == 1


async def test_too_late_is_never(office: PbxOffice, desk: CommandDesk) -> None:
    desk.give("late", "originate", CALL, seconds=-0.001)
    assert (await desk.result("late")).code == "command_expired"
    assert "Originate" not in office.pbx.names()


async def test_a_click_while_the_pbx_is_away_never_dials_later(office: PbxOffice, desk: CommandDesk) -> None:
    await office.pbx.stop()
    await office.sink.until(lambda: any(report.state is PbxState.UNREACHABLE for report in office.sink.reports))
    desk.give("away", "originate", CALL)
    assert (await desk.result("away")).code == "link_down"
    await office.pbx.start()
    await office.listening(2)
    desk.give("after", "hangup", {"channel": "PJSIP/101-1"})
    await desk.result("after")
    assert "Originate" not in office.pbx.names()


async def test_refusals_and_nonsense_come_back_in_words(office: PbxOffice, desk: CommandDesk) -> None:
    office.pbx.responders["hangup"] = lambda action: error(action, "No such channel")
    desk.give("gone", "hangup", {"channel": "PJSIP/101-1"})
    assert (await desk.result("gone")).params == {"why": "No such channel", "action": "Hangup"}
    desk.give("evil", "originate", {**CALL, "number": "1\r\nAction: Command"})
    assert (await desk.result("evil")).code == "unsafe_value"
    desk.give("what", "format_disk", {})
    assert (await desk.result("what")).code == "unsafe_value"
    desk.give("fails", "hangup", {"channel": "PJSIP/101-1"})
    await desk.result("fails")
    desk.give("still", "hangup", {"channel": "PJSIP/101-1"})
    await desk.result("still")


async def test_a_transfer_to_what_the_dialplan_does_not_have_is_not_sent(office: PbxOffice, desk: CommandDesk) -> None:
    value = "0"

    office.pbx.responders["getvar"] = lambda action: success(action, Value=value)
    to = {"channel": "PJSIP/101-1", "number": "199"}
    for kind in ("transfer", "attended_transfer"):
        desk.give(f"nowhere {kind}", kind, to)
        result = await desk.result(f"nowhere {kind}")
        assert (result.code, result.params) == ("number_unknown", {"number": "199"})
    assert (await office.pbx.asked("Getvar"))["Variable"] == "DIALPLAN_EXISTS(from-internal,199,1)"
    assert not {"BlindTransfer", "Atxfer"} & set(office.pbx.names())
    value = "1"
    desk.give("there", "transfer", to)
    assert (await desk.result("there")).done
    office.pbx.responders["getvar"] = lambda action: error(action, "No such variable")  # func_dialplan is not loaded
    desk.give("who knows", "transfer", to)
    assert (await desk.result("who knows")).done
    assert office.pbx.names().count("BlindTransfer") == 2


async def test_a_pbx_that_hangs_is_told_nothing_that_it_would_do_later(office: PbxOffice, desk: CommandDesk) -> None:
    office.pbx.mute = True
    desk.give("hangs", "originate", CALL)
    assert (await desk.result("hangs")).code == "link_down"
    assert "Ping" in office.pbx.names()
    assert "Originate" not in office.pbx.names()


async def test_a_pbx_that_does_not_answer_holds_up_nobody(office: PbxOffice) -> None:
    desk = CommandDesk()
    timing = quick().timing
    office.pbx.responders["originate"] = lambda action: None
    office.listen(commands=desk, settings=quick(timing=type(timing)(answer=0.5, ping_after=5)))
    await office.listening()
    desk.give("slow", "originate", CALL)
    desk.give("quick", "hangup", {"channel": "PJSIP/101-1"})
    await desk.result("quick")
    assert "slow" not in desk.results
    assert (await desk.result("slow")).code == "command_silent"


async def test_a_source_that_breaks_ends_neither_listening_nor_commands(office: PbxOffice, desk: CommandDesk) -> None:
    desk.give("break", "the source breaks", {})
    desk.give("after", "hangup", {"channel": "PJSIP/101-1"})
    await office.call("1.1")
    await office.heard("1.1 ended:#1")
    assert (await desk.result("after")).done
    assert office.pbx.connections == 1
