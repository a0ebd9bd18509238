"""From bytes of recorded AMI to call facts: ours compared with cacofonisk on panoramisk, on the same streams in one run."""

import hashlib
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

from ami.messages import Framer, is_wanted, parse
from ami.tracker import Tracker, TrackerSettings
from tests.bench.streams import RECORDED, chunks, recorded
from tests.bench.table import Figure

ROUNDS = 20
TURNS = 5  # runs of each side, alternating; the fastest counts, because noise only adds time
REQUIREMENTS = Path(__file__).parent.parent.parent / "requirements" / "cacofonisk.txt"
GOAL = 5.0


def ours(streams: list[bytes]) -> int:
    """Feed every stream to its own tracker. Returns the number of facts, so that the work cannot be skipped."""
    facts = 0
    for stream in streams:
        framer, tracker = Framer(), Tracker(TrackerSettings())
        for chunk in chunks(stream):
            for raw in framer.feed(chunk):
                if is_wanted(raw):
                    facts += len(tracker.feed(parse(raw)))
        facts += len(tracker.close())
    return facts


def framed(streams: list[bytes]) -> int:
    """Only split into messages and filter, without decoding."""
    return sum(
        is_wanted(raw)
        for stream in streams
        for framer in [Framer()]
        for chunk in chunks(stream)
        for raw in framer.feed(chunk)
    )


def run() -> list[Figure]:
    streams = recorded()
    events = sum(stream.count(b"\r\nEvent: ") for stream in streams) * ROUNDS
    python, files = cacofonisk(), [str(path) for path in sorted(RECORDED.glob("*.ami"))]
    mine, theirs, cutting = [], [], []
    for _ in range(TURNS):
        mine.append(_seconds(lambda: [ours(streams) for _ in range(ROUNDS)]))
        cutting.append(_seconds(lambda: [framed(streams) for _ in range(ROUNDS)]))
        said = subprocess.run(
            [python, str(Path(__file__).parent / "cacofonisk_side.py"), str(ROUNDS), *files],
            check=True,
            capture_output=True,
            text=True,
        )
        theirs.append(float(said.stdout))
    ratio = min(theirs) / min(mine)
    return [
        Figure("cutting and choosing", f"{events / min(cutting):,.0f} events/s"),
        Figure("bytes to facts, ours", f"{events / min(mine):,.0f} events/s"),
        Figure("bytes to facts, cacofonisk on panoramisk", f"{events / min(theirs):,.0f} events/s"),
        Figure("ours to theirs", f"{ratio:.1f} times", f"{GOAL:.0f} times", ratio >= GOAL),
    ]


def _seconds(work: object) -> float:
    assert callable(work)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def cacofonisk() -> str:
    """The Python of a virtual environment with cacofonisk, created once and kept in the cache folder of the tests."""
    kept = Path(os.environ.get("PBXCRM_TEST_CACHE", "~/.cache/pbxcrm-tests")).expanduser()
    folder = kept / f"cacofonisk-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]}-{sys.version_info.minor}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", REQUIREMENTS],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        (folder / "ready").touch()
    return str(python)
