"""The listener after the link to the PBX was down: what it could not hear is unknown until the PBX's files tell it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from ami.cel_translation import Told
from ami.snapshot import Snapshot
from pbxcrm.calls.facts import CallFact, Outcome
from pbxcrm.pbx.state import PbxState
from tests.integration.ami.office import PbxOffice, now, office

__all__ = ["office"]


class Files:
    """No CEL file; what a CDR file says is made up."""

    def __init__(self, better: Callable[[Sequence[CallFact], datetime, datetime], list[CallFact]]) -> None:
        self.better = better

    def missed(
        self, snapshot: Snapshot, since: datetime | None, until: datetime, *, restarted: bool = False
    ) -> list[Told]:
        return []

    def is_unsettled(self, snapshot: Snapshot, until: datetime) -> bool:
        return False

    def __call__(
        self, facts: Sequence[CallFact], since: datetime, until: datetime, clock_error: timedelta = timedelta(0)
    ) -> list[CallFact]:
        return self.better(facts, since, until)


async def test_calls_that_ended_while_the_link_was_down_are_unknown_not_missed(office: PbxOffice) -> None:
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    await office.pbx.send(office.begin("1.1") + office.begin("1.2"))
    await office.heard("1.2 opened:#1")
    office.end("1.1")  # nobody hears it
    office.pbx.drop()
    await office.heard("1.1 ended:#1")
    assert office.sink.facts["1.1", "ended:#1"].call.outcome is Outcome.UNKNOWN
    await office.pbx.send(office.end("1.2"))
    await office.heard("1.2 ended:#1")
    assert office.sink.facts["1.2", "ended:#1"].call.outcome is Outcome.MISSED


async def test_recovery_betters_what_a_snapshot_could_not_know(office: PbxOffice) -> None:
    gaps: list[timedelta] = []

    def recover(_facts: Sequence[CallFact], since: datetime, until: datetime) -> list[CallFact]:
        gaps.append(until - since)
        return []

    office.listen(recover=Files(recover))
    await office.sink.until_state(PbxState.LISTENING)
    await office.pbx.send(office.begin("1.1"))
    await office.heard("1.1 opened:#1")
    office.end("1.1")
    office.pbx.drop()
    await office.listening(2)
    await office.call("1.3")
    await office.heard("1.3 ended:#1")
    assert ("1.1", "ended:#1") not in office.sink.facts
    assert len(gaps) == 1
    assert timedelta(0) < gaps[0] < timedelta(seconds=60)


async def test_a_recovery_that_fails_leaves_endings_unknown(office: PbxOffice) -> None:
    def recover(_facts: Sequence[CallFact], _since: datetime, _until: datetime) -> list[CallFact]:
        raise ZeroDivisionError

    office.listen(recover=Files(recover))
    await office.sink.until_state(PbxState.LISTENING)
    await office.pbx.send(office.begin("1.1"))
    await office.heard("1.1 opened:#1")
    office.end("1.1")
    office.pbx.drop()
    await office.heard("1.1 ended:#1")
    assert office.sink.facts["1.1", "ended:#1"].call.outcome is Outcome.UNKNOWN


async def test_recovery_also_looks_back_after_a_quiet_restart(office: PbxOffice) -> None:
    """No call was going on when the listener died: nothing is replayed, yet the gap begins at the last message."""
    gaps: list[tuple[datetime, datetime]] = []

    def recover(facts: Sequence[CallFact], since: datetime, until: datetime) -> list[CallFact]:
        gaps.append((since, until))
        return list(facts)

    office.listen(recover=Files(recover))
    await office.listening()
    before = now()
    await office.call("1.1")
    await office.heard("1.1 ended:#1")
    await office.stop()
    stopped = now()
    assert gaps == []  # before the first message ever, there is nothing to recover
    office.listen(recover=Files(recover))
    await office.listening(2)
    await office.call("1.2")
    await office.heard("1.2 ended:#1")
    ((since, until),) = gaps
    assert before <= since <= stopped <= until
