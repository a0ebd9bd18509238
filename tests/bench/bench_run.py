"""``pbxcrm run`` as an administrator starts it: the time until the first page answers, and the memory of its processes."""

import asyncio
import os
import re
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.bench.table import Figure
from tests.running import Running, running
from tests.waiting import until

SECONDS_GOAL, MEGABYTES_GOAL = 3.0, 250
SETTLED = 10  # seconds after which the caches of the processes are filled


def proportional(pid: int) -> int:
    """The proportional set size of a process in KiB: its own memory and its share of shared pages (Linux)."""
    found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}login", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


async def first_page(run: Running, began: float) -> float:
    """Seconds from ``began`` to the first answer. It polls, because nothing tells a browser when the server is ready."""
    await until(lambda: run.address, 120)
    while not await asyncio.to_thread(answers, run.address):
        await asyncio.sleep(0.01)
    return time.perf_counter() - began


async def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        seconds: list[float] = []
        for _ in range(4):  # the first run creates the database
            began = time.perf_counter()
            async with running("--demo", PBXCRM_DATA_DIR=folder, PBXCRM_LOG_LEVEL="WARNING") as run:
                seconds.append(await first_page(run, began))
                if len(seconds) < 4:
                    continue
                await until(run.listens, 60)
                await asyncio.sleep(SETTLED)
                ours = {"web", "listen", "work"}  # without the simulated PBX
                held = {name: proportional(pid) for name, pid in run.parts().items() if name in ours}
                held["supervisor"] = proportional(run.process.pid)
                simulated = proportional(run.parts()["simulate"]) / 1000
    again = sorted(seconds[1:])[1]
    total = sum(held.values()) / 1000
    parts = " + ".join(f"{name} {kib / 1000:.0f}" for name, kib in sorted(held.items()))
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return [
        Figure("from the command to the first page, new data folder", f"{seconds[0]:.1f} s ({load})"),
        Figure(
            "the same with a data folder that is there, median of three",
            f"{again:.1f} s ({load})",
            f"under {SECONDS_GOAL:.0f} s",
            again < SECONDS_GOAL,
        ),
        Figure(
            f"memory of its {len(held)} Python processes (PSS)",
            f"{total:.0f} MB: {parts} (the simulated PBX, which shares pages with them: {simulated:.0f})",
            f"under {MEGABYTES_GOAL} MB",
            total < MEGABYTES_GOAL,
        ),
    ]


def run() -> list[Figure]:
    return asyncio.run(measure())
