"""What a listener says of its PBX in the log."""

from structlog.testing import capture_logs

from ami.state_reports import Reporter
from pbxcrm.pbx.state import PbxState
from tests.calls import NOON
from tests.fakes.memory_sink import MemorySink


def test_a_standby_says_once_that_it_stands_by() -> None:
    reporter = Reporter("default", MemorySink(lambda: NOON), lambda: NOON)
    with capture_logs() as said:
        reporter.stand_by(waiting=True)
        for state, code in ((PbxState.SYNCING, "syncing"), (PbxState.LISTENING, "listening")):
            reporter.tell(state, code)
        reporter.trouble("database", "database_away", {"why": "x"})
        reporter.trouble("database", None, {})
        reporter.stand_by(waiting=False)
        reporter.stand_by(waiting=True)
    assert [line["code"] for line in said] == ["standby", "listening", "standby"]
