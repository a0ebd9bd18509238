"""Children that are forks: they behave like programs of their own, and share nothing with the parent that could do harm."""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pbxcrm.cli import forked
from pbxcrm.cli.forked import ForkedProcess, fork
from pbxcrm.cli.supervisor import Part, Supervisor
from tests.waiting import children_of, is_alive, until

pytestmark = pytest.mark.skipif(not forked.is_possible, reason="forks are used only on Linux")


def say(words: str) -> None:
    os.write(1, f"{words}\n".encode())


def nothing_to_run() -> list[str]:
    raise AssertionError("the program was started although this process can be forked")


async def output_of(main: Callable[[], object], **options: object) -> tuple[int, str]:
    process = await fork(main, "a test", limit=1 << 20, **options)  # type: ignore[arg-type]
    assert process.stdout is not None
    said = (await asyncio.wait_for(process.stdout.read(), 30)).decode()
    return await asyncio.wait_for(process.wait(), 30), said


@asynccontextmanager
async def waiting_fork() -> AsyncIterator[ForkedProcess]:
    def wait() -> None:
        say("here")
        signal.pause()

    process = await fork(wait, "pbxcrm sleeper", limit=1000)
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"here\n"
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        await asyncio.wait_for(process.wait(), 30)


@pytest.mark.parametrize(
    ("leaving", "code"), [(None, 0), (SystemExit(2), 2), (SystemExit("why"), 1), (ValueError("oops"), 1)]
)
async def test_it_ends_with_the_exit_code_that_a_program_would_have(leaving: BaseException | None, code: int) -> None:
    def main() -> None:
        if leaving is not None:
            raise leaving

    assert (await output_of(main))[0] == code


async def test_a_signal_ends_it_and_not_the_parent_that_handles_this_signal() -> None:
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, came.set)
    try:
        for _ in range(5):  # also one that comes before the fork has settled
            process = await fork(signal.pause, "a test")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGTERM
        assert not came.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(came.wait(), 30)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_it_has_an_event_loop_of_its_own() -> None:
    async def inside() -> None:
        await asyncio.sleep(0)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('grandchild')")
        say(f"ran with {await process.wait()}")

    assert await output_of(lambda: asyncio.run(inside())) == (0, "grandchild\nran with 0\n")


async def test_files_of_the_parent_are_not_open_in_it_except_those_it_gets(tmp_path: Path) -> None:
    """A lock of the supervisor would otherwise be held by a part that outlives it for a moment."""
    with (tmp_path / "lock").open("w") as lock, (tmp_path / "given").open("w") as given:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def main() -> None:
            for fd in (lock.fileno(), given.fileno()):
                say(os.readlink(f"/proc/self/fd/{fd}"))

        code, said = await output_of(main, pass_fds=(given.fileno(),))
    assert (code, said.split()) == (0, ["/dev/null", str(tmp_path / "given")])


async def test_it_has_what_was_added_to_its_environment_and_leaves_ours_alone() -> None:
    added = {"PBXCRM_TEST_OF_FORKS": "yes"}
    assert await output_of(lambda: say(os.environ["PBXCRM_TEST_OF_FORKS"]), environ=added) == (0, "yes\n")
    assert "PBXCRM_TEST_OF_FORKS" not in os.environ


async def test_lists_of_processes_show_its_title() -> None:
    async with waiting_fork() as process:
        assert children_of(os.getpid())[process.pid].startswith("pbxcrm sleeper")


async def test_a_supervisor_starts_a_killed_fork_again() -> None:
    said: list[str] = []

    def main() -> None:
        say(f"pid {os.getpid()}")
        signal.pause()

    supervisor = Supervisor([Part("one", nothing_to_run, main)], out=said.append)
    task = asyncio.create_task(supervisor.run())
    await until(lambda: said)
    first = supervisor.processes["one"].pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: len(said) == 2)
    second = supervisor.processes["one"].pid
    assert said == [f"one | pid {first}", f"one | pid {second}"]
    supervisor.stop()
    await asyncio.wait_for(task, 30)
    assert not is_alive(second)


async def test_it_dies_with_its_parent() -> None:
    program = (
        "import asyncio, signal\nfrom pbxcrm.cli.forked import fork\n"
        "async def main():\n"
        "    process = await fork(signal.pause, 'pbxcrm orphan')\n"
        "    print(process.pid, flush=True)\n"
        "    await process.wait()\n"
        "asyncio.run(main())"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    assert is_alive(pid)
    parent.kill()
    await parent.wait()
    await until(lambda: not is_alive(pid))
