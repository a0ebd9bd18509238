"""A child process that is a fork of this one and calls a function, instead of starting a new program.

What this process has imported exists once in memory for all its forks, and a fork starts in milliseconds where Python takes
two seconds. A fork inherits everything, so it gives back here what a new program would not have: open files, signal handlers
and the event loop. Only on Linux (``is_possible``), and only in a process without other threads that hold locks.
"""

import asyncio
import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NoReturn

from pbxcrm.shared import child

is_possible = sys.platform == "linux" and hasattr(os, "pidfd_open")
_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class ForkedProcess:
    """A fork with the parts of ``asyncio.subprocess.Process`` that the supervisor uses. ``stdout`` is what it prints, if we read it."""

    def __init__(self, pid: int, stdout: asyncio.StreamReader | None) -> None:
        self.pid = pid
        self.stdout = stdout
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._pidfd = os.pidfd_open(pid)
        self._loop.add_reader(self._pidfd, self._reap)

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for the signal that killed it; None while it runs."""
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        """The exit code, once the process has ended."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)  # not reaped yet, so no other process can have this id

    def _reap(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._ended.set_result(os.waitstatus_to_exitcode(status))


async def fork(
    main: Callable[[], object],
    title: str,
    *,
    environ: Mapping[str, str] | None = None,
    pass_fds: Collection[int] = (),
    limit: int | None = None,
) -> ForkedProcess:
    """Fork a child that calls ``main`` and ends.

    ``title`` is its command line in lists of processes, ``environ`` is added to its environment, and ``pass_fds`` stay open in it.
    With ``limit``, the longest line in bytes, we read what it prints; without, it prints where we do.
    """
    reading, writing = (None, None) if limit is None else os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    # A signal that came before the child has its own handlers would run those of this process.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        pid = os.fork()
        if not pid:
            _run(main, lambda: _settle(parent, title, writing, environ or {}, pass_fds))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    if reading is None or writing is None or limit is None:
        return ForkedProcess(pid, None)
    os.close(writing)
    stdout = asyncio.StreamReader(limit=limit)
    process = ForkedProcess(pid, stdout)
    pipe = os.fdopen(reading, "rb", 0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), pipe)
    return process


def _run(main: Callable[[], object], settle: Callable[[], None]) -> NoReturn:
    """Call ``main`` and leave. The frames and objects of the parent below this call are never unwound or destroyed."""
    code = 1
    try:
        settle()
        main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001  # as Python itself does when a program ends
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _settle(parent: int, title: str, output: int | None, environ: Mapping[str, str], pass_fds: Collection[int]) -> None:
    os.setsid()
    child.end_with_parent(parent, signal.SIGKILL)
    gc.freeze()  # the parent's objects: the collector must neither visit nor destroy them
    signal.set_wakeup_fd(-1)
    for number in _HANDLED:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    if output is not None:
        os.dup2(output, 1)
        os.dup2(output, 2)
    # Replaced instead of closed: if an object of the parent closed this number later, it would close a file of ours.
    for fd in [int(name) for name in os.listdir("/proc/self/fd")]:
        if fd > 2 and fd not in {nothing, *pass_fds}:
            os.dup2(nothing, fd, inheritable=False)
    os.environ.update(environ)
    asyncio._set_running_loop(None)
    asyncio.set_event_loop_policy(None)
    set_title(title)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)


def set_title(title: str) -> None:
    """Set the command line that lists of processes show, as far as there is room in the old one."""
    fields = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # the 48th and 49th of all: where the arguments lie
    room = end - start
    if start > 0 and room > 1:
        ctypes.memmove(start, title.encode()[: room - 1].ljust(room, b"\0"), room)
