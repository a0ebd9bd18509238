"""Where the difference to cacofonisk on panoramisk comes from: the time of each kind of AMI message on both sides, and the ratio for
streams as Asterisk sends them, for filtered ones, and for one with thousands of calls.
"""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from ami.messages import Framer, is_wanted, parse
from ami.tracker import Tracker, TrackerSettings
from tests.bench.bench_tracker import cacofonisk, ours
from tests.bench.streams import RECORDED, fresh_calls, recorded
from tests.bench.table import Figure

ROUNDS, TURNS, LONG = 10, 3, 2_000
SHOWN = 14
SIDE = Path(__file__).parent / "cacofonisk_side.py"


def ours_by_kind(streams: list[bytes]) -> dict[str, list[float]]:
    """For each kind: the number of messages, and the seconds from bytes to facts."""
    kinds: dict[str, list[float]] = {}
    for stream in streams:
        framer, tracker = Framer(), Tracker(TrackerSettings())
        for raw in stream.split(b"\r\n\r\n"):
            found = kinds.setdefault(
                raw.partition(b"\r\n")[0].removeprefix(b"Event: ").decode("ascii", "replace"), [0, 0.0]
            )
            began = time.perf_counter()
            for message in framer.feed(raw + b"\r\n\r\n"):
                if is_wanted(message):
                    tracker.feed(parse(message))
            found[1] += time.perf_counter() - began
            found[0] += 1
    return kinds


def only_wanted(streams: list[bytes]) -> list[bytes]:
    return [b"".join(raw + b"\r\n\r\n" for raw in Framer().feed(stream) if is_wanted(raw)) for stream in streams]


def run() -> list[Figure]:
    streams = recorded()
    python = cacofonisk()
    with tempfile.TemporaryDirectory() as folder:
        names = [str(path) for path in sorted(RECORDED.glob("*.ami"))]
        figures = [_ratio("every message, as Asterisk sends it", python, streams, folder)]
        figures.append(_ratio("only what our filters leave", python, only_wanted(streams), folder))
        long = [b"".join(fresh_calls("ring_group_answered", LONG))]
        figures.append(_ratio(f"the same, {LONG:,} calls in one stream", python, long, folder, rounds=1))
        said = _side(python, "--kinds", str(ROUNDS), *names)
    theirs: dict[str, list[float]] = json.loads(said)
    mine: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for kind, (count, seconds) in ours_by_kind(streams).items():
            found = mine.setdefault(kind, [0, 0.0])
            found[0], found[1] = found[0] + count, found[1] + seconds
    total, their_total = sum(found[1] for found in mine.values()), sum(found[1] for found in theirs.values())
    everything = sum(found[0] for found in mine.values())
    wanted = {
        raw.partition(b"\r\n")[0].removeprefix(b"Event: ").decode()
        for raw in b"\r\n\r\n".join(only_wanted(streams)).split(b"\r\n\r\n")
    }
    for kind in sorted(theirs, key=lambda kind: -theirs[kind][1])[:SHOWN]:
        count, seconds = mine.get(kind, [0, 0.0])
        if not count:
            continue
        per, their_per = seconds / count * 1e6, theirs[kind][1] / theirs[kind][0] * 1e6
        figures.append(
            Figure(
                f"{kind or '(answers)'}{'' if kind in wanted else ' (cut off)'}: {count / everything:.0%} of the messages",
                f"{per:.1f} µs, theirs {their_per:.1f}: {their_per / per:.1f} times; {seconds / total:.0%} of our time, "
                f"{theirs[kind][1] / their_total:.0%} of theirs",
            )
        )
    return figures


def _ratio(name: str, python: str, streams: list[bytes], folder: str, rounds: int = ROUNDS) -> Figure:
    paths = []
    for number, stream in enumerate(streams):
        path = Path(folder) / f"{number}.ami"
        path.write_bytes(stream)
        paths.append(str(path))
    mine, theirs = [], []
    for _ in range(TURNS):
        began = time.perf_counter()
        for _ in range(rounds):
            ours(streams)
        mine.append(time.perf_counter() - began)
        theirs.append(float(_side(python, str(rounds), *paths)))
    for each in paths:
        Path(each).unlink()
    return Figure(f"ours to theirs: {name}", f"{min(theirs) / min(mine):.1f} times")


def _side(python: str, *words: str) -> str:
    return subprocess.run([python, str(SIDE), *words], check=True, capture_output=True, text=True).stdout
