"""Another machine takes over in the middle of a recorded call, and the first one returns: the calls are told as heard.

Each machine has a journal of its own, and the second one's clock is wrong. In the failure that these tests repeat, the standby read
what the PBX had recorded after the snapshot as if it had happened before it, ended the call, and made a second one of the rest.
"""

import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from ami.messages import Framer, is_wanted, parse
from ami.replay import as_object
from tests.scenarios.machines import ListenerMachine, RecordedPbx, Stored, told_once
from tests.scenarios.test_cel import name_of
from tests.scenarios.test_cut_streams import STREAMS, CutListener, differences, time_of, written_until

_MOMENT = timedelta(milliseconds=20)
_SETTLED = timedelta(seconds=1)
RECORDED = [file for file in STREAMS if file.parent.name == "cel-22"]
FOLLOWED = [file for file in RECORDED if name_of(file).startswith("follow")]
OTHERS = [file for file in RECORDED if file not in FOLLOWED]


def messages_in(file: Path) -> list[bytes]:
    """The messages of the stream beside a CEL file that a listener wants."""
    stream = file.with_name(f"{name_of(file)}.ami")
    return [raw for raw in Framer().feed(stream.read_bytes()) if is_wanted(raw)]


def count_of(file: Path) -> int:
    return len(messages_in(file))


class Play:
    """One recorded call, two machines."""

    def __init__(self, file: Path, folder: Path, ahead: float) -> None:
        self.name = name_of(file)
        self._file = file
        self.raw = messages_in(file)
        self.messages = [parse(raw) for raw in self.raw]
        self.times = [time_of(message) for message in self.messages]
        began = self.times[0]
        self.pbx = RecordedPbx(began - timedelta(seconds=5), began - timedelta(hours=1))
        self.sink = Stored(lambda: self.pbx.now)
        self.cel = folder / "Master.csv"
        self.one = ListenerMachine(folder / "one", self.pbx, self.sink, self.cel)
        self.two = ListenerMachine(folder / "two", self.pbx, self.sink, self.cel, ahead)
        self._sent: Sequence[bytes] = ()

    def until(self, place: int) -> None:
        """The PBX has sent all messages before ``place``, and has written its file so far."""
        if place:
            self.pbx.now = max(self.pbx.now, self.times[place - 1] + _MOMENT)
        for message in self.messages[len(self._sent) : place]:
            self.pbx.shown.happens(message)
        self._sent = self.raw[:place]
        written_until(self._file, self.pbx.now, self.cel)

    def right(self) -> list[str]:
        heard = CutListener()
        for message in self.messages:
            heard.hear(message)
        heard.close()
        calls = sorted(self.sink.calls().values(), key=lambda call: (call.started_at, call.linkedid))
        return differences([as_object(call, "UA") for call in calls], heard.told(), self.name) + told_once(
            self.sink.facts
        )


async def play(file: Path, folder: Path, dies: int, returns: int, *, ahead: float, late: bool) -> list[str]:
    """The leader stops before message ``dies`` and is back before ``returns``.

    ``late``: what the standby heard is fed only when it takes over, because it had no database before.
    """
    folder.mkdir()
    it = Play(file, folder, ahead)
    it.until(0)
    await it.one.restart()
    await it.one.begin(leading=True)
    await it.two.restart()
    if not late:
        await it.two.begin()
    it.pbx.now = it.times[0] - _MOMENT
    await it.one.work()
    if not late:
        await it.two.work()
    it.until(dies)
    it.one.hear(it.raw[:dies])
    it.two.hear(it.raw[:dies])
    await it.one.work()
    if late:
        await it.two.begin()
    await it.two.take_over()
    it.until(returns)
    it.two.hear(it.raw[dies:returns])
    await it.two.work()
    it.one.hear(
        it.raw[dies:returns]
    )  # it was stopped: what had come meanwhile is written before it sees that another leads
    await it.one.restart()
    await it.one.begin()
    it.pbx.now += _SETTLED
    written_until(file, it.pbx.now, it.cel)
    await it.one.work()
    it.until(len(it.raw))
    for machine in (it.one, it.two):
        machine.hear(it.raw[returns:])
    for _ in range(3):
        await it.two.work()
        await it.one.work()
        it.pbx.now += timedelta(seconds=20)
    it.one.close()
    it.two.close()
    return it.right()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami.follower._SLOWER", 0.0)


#: Seconds by which the second machine's clock is fast.
FAST = pytest.mark.parametrize("ahead", [20.0, -20.0], ids=["20 s fast", "20 s slow"])
LATE = pytest.mark.parametrize("late", [False, True], ids=["standby", "standby without database"])


@LATE
@FAST
@pytest.mark.parametrize("file", FOLLOWED, ids=name_of)
async def test_a_followed_call_is_one_wherever_the_other_machine_takes_over(
    file: Path, ahead: float, late: bool, tmp_path: Path
) -> None:
    count = count_of(file)
    dice, wrong = random.Random(1), []
    for dies in range(1, count + 1):
        returns = dice.randint(dies, count)
        found = await play(file, tmp_path / str(dies), dies, returns, ahead=ahead, late=late)
        wrong += [f"stopped at {dies}, back at {returns}: {what}" for what in found]
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong[:20])


@LATE
@pytest.mark.parametrize("file", OTHERS, ids=name_of)
async def test_the_other_machine_takes_over_and_tells_the_same(file: Path, late: bool, tmp_path: Path) -> None:
    count = count_of(file)
    dice, wrong = random.Random(name_of(file)), []
    for number in range(2):
        dies = dice.randint(1, count)
        returns = dice.randint(dies, count)
        found = await play(file, tmp_path / str(number), dies, returns, ahead=20.0, late=late)
        wrong += [f"stopped at {dies}, back at {returns}: {what}" for what in found]
    assert not wrong, "\n".join(wrong)
