"""A supervisor of child processes: starts them, prefixes their output, restarts dead ones, and stops all of them.

It does not know what the children do. A child is a program or a fork (``pbxcrm.cli.forked``). None of them outlives it, even
after ``kill -9``: each asked the kernel for that before it began (``pbxcrm.shared.child``).
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from pbxcrm.cli import forked
from pbxcrm.cli.forked import ForkedProcess
from pbxcrm.shared import child

log = structlog.get_logger()

# Seconds before a part that keeps dying is restarted: never long, because calls are missed while nobody hears the PBX.
BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 30.0  # after this lifetime the next restart has the shortest pause
STOP_SECONDS = 2.5  # from the request to stop until the first level is killed; the others get at least
LEAST_PATIENCE = 0.2
REAP_SECONDS = 0.4  # from the kill to the last output; three levels take 4.1 seconds at worst
USELESS = 2  # exit code of a part that cannot work with these settings, so it is not restarted
LONGEST_LINE = 64 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One child. ``command`` is called at each start. Parts with a higher ``level`` start later and stop earlier.

    Where this process can be forked, ``main`` is called in a fork instead of the program ``command``.
    """

    name: str
    command: Callable[[], list[str]]
    main: Callable[[], object] | None = None
    ready: Callable[[], Awaitable[None]] | None = None  # awaited at the first start, before the next level
    level: int = 1
    environ: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    needed: bool = False  # if it cannot work with these settings, stop everything


class Supervisor:
    """``run`` starts the parts, keeps them alive until ``stop``, and returns the exit code."""

    def __init__(self, parts: list[Part], *, out: Callable[[str], None] | None = None) -> None:
        self.parts = parts
        self.processes: dict[str, Process | ForkedProcess] = {}
        self._out = out or _print
        self._stopping = asyncio.Event()
        self._code = 0
        self._width = max(len(part.name) for part in parts)

    def stop(self) -> None:
        """Ask every part to end; ``run`` returns when they have."""
        self._stopping.set()

    async def run(self, started: Callable[[], Awaitable[None]] | None = None) -> int:
        """Keep the parts alive until ``stop``. ``started`` is awaited once all of them are ready."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        keepers: dict[str, asyncio.Task[None]] = {}
        try:
            for part in sorted(self.parts, key=lambda each: each.level):
                keepers[part.name] = asyncio.create_task(self._keep(part))
                if part.ready and not await self._unless_stopped(part.ready()):
                    break
            else:
                if started is None or await self._unless_stopped(started()):
                    await self._stopping.wait()
        finally:
            self._stopping.set()
            await self._stop_all(keepers)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)
        return self._code

    async def _unless_stopped(self, work: Awaitable[None]) -> bool:
        """Wait for ``work``; False when the stop came first. An error of ``work`` is raised."""
        doing = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({doing, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
            return False
        stop.cancel()
        doing.result()
        return True

    async def _keep(self, part: Part) -> None:
        failures = 0
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            began = clock()
            code = await self._live(part)
            if self._stopping.is_set():
                return
            failures = 1 if clock() - began >= STEADY_SECONDS else failures + 1
            if code == USELESS:
                log.error(
                    "part.useless", part=part.name, hint="The reason is above. Correct the settings and start again."
                )
                if part.needed:
                    self._code = 1
                    self.stop()
                return
            pause = BACKOFF[min(failures, len(BACKOFF)) - 1]
            log.warning("part.died", part=part.name, how=_how(code), again_in_seconds=pause)
            await self._unless_stopped(asyncio.sleep(pause))

    async def _live(self, part: Part) -> int:
        """Run a part once, from its start to its exit; return the exit code."""
        try:
            process = await _start(part)
        except OSError as error:
            log.error("part.not_started", part=part.name, why=str(error))  # noqa: TRY400  # one line is enough
            return 1
        self.processes[part.name] = process
        assert process.stdout
        try:
            await self._prefix(part.name, process.stdout)
            return await process.wait()
        finally:
            self.processes.pop(part.name, None)

    async def _prefix(self, name: str, lines: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await lines.readline()
            except ValueError:  # line longer than the limit: drop it
                continue
            if not line:
                return
            self._out(f"{name:<{self._width}} | {line.decode(errors='replace').rstrip()}")

    async def _stop_all(self, keepers: dict[str, asyncio.Task[None]]) -> None:
        """Stop level by level, the last started first; kill the parts that do not stop in time."""
        deadline = asyncio.get_running_loop().time() + STOP_SECONDS
        for level in sorted({part.level for part in self.parts}, reverse=True):
            names = [part.name for part in self.parts if part.level == level and part.name in keepers]
            for name in names:
                self._signal(name, signal.SIGTERM)
            tasks = [keepers[name] for name in names]
            if tasks:
                patience = max(LEAST_PATIENCE, deadline - asyncio.get_running_loop().time())
                _, late = await asyncio.wait(tasks, timeout=patience)
                for name in names:
                    self._signal(name, signal.SIGKILL)
                if late:
                    await asyncio.wait(late, timeout=REAP_SECONDS)
        for task in keepers.values():
            task.cancel()
        await asyncio.gather(*keepers.values(), return_exceptions=True)

    def _signal(self, name: str, number: signal.Signals) -> None:
        process = self.processes.get(name)
        if process is not None and process.returncode is None:
            process.send_signal(number)


async def _start(part: Part) -> Process | ForkedProcess:
    """Start a child in a session of its own: Ctrl+C reaches only the supervisor, which stops the parts in order."""
    if part.main is not None and forked.is_possible:
        title = f"pbxcrm {part.name}"
        return await forked.fork(part.main, title, environ=part.environ, pass_fds=part.pass_fds, limit=LONGEST_LINE)
    return await asyncio.create_subprocess_exec(
        *child.command(part.command(), at_parents_death=signal.SIGKILL),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **part.environ},
        pass_fds=part.pass_fds,
        limit=LONGEST_LINE,
        start_new_session=True,
    )


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
