"""Memory of the tracker while it processes 100,000 calls: it must not grow, because finished calls are dropped."""

import resource
import sys
import time
from pathlib import Path

from ami.messages import Framer, is_wanted, parse
from ami.tracker import Tracker, TrackerSettings
from tests.bench.streams import fresh_calls
from tests.bench.table import Figure

CALLS = 100_000


def resident() -> float:
    """Resident memory of this process in MB (Linux); on other systems its peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def run() -> list[Figure]:
    framer, tracker = Framer(), Tracker(TrackerSettings())
    at: dict[int, float] = {}
    ended, started = 0, time.perf_counter()
    for number, stream in enumerate(fresh_calls("ring_group_abandoned", CALLS), 1):
        for raw in framer.feed(stream):
            if is_wanted(raw):
                ended += sum(fact.kind == "ended" for fact in tracker.feed(parse(raw)))
        if number in {CALLS // 10, CALLS // 2, CALLS}:
            at[number] = resident()
    ended += sum(fact.kind == "ended" for fact in tracker.close())
    seconds = time.perf_counter() - started
    grown = at[CALLS] - at[CALLS // 10]
    return [
        Figure("calls ended", f"{ended:,} of {CALLS:,}", f"{CALLS:,}", ended == CALLS),
        *(Figure(f"after {number:,} calls", f"{megabytes:.1f} MB") for number, megabytes in at.items()),
        Figure("growth over the last nine tenths", f"{grown:.1f} MB", "under 2 MB", grown < 2),
        Figure("calls a second, every event sent", f"{CALLS / seconds:,.0f}"),
    ]
