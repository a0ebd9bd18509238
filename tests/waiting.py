"""Waiting for other processes: no longer than necessary, and with a timeout."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path


async def until(condition: Callable[[], object] | Callable[[], Awaitable[object]], seconds: float = 30) -> None:
    """Return once ``condition()`` holds (it may be asynchronous); raises TimeoutError after ``seconds``."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process is running. A zombie is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def children_of(pid: int) -> dict[int, str]:
    """The running children of a process: pid -> command line."""
    found: dict[int, str] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                line = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue
            if int(stat[1]) == pid and stat[0] not in {"Z", "X"}:
                found[int(entry)] = line
    return found
