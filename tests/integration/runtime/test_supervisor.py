"""The supervisor, with small children of every temper."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pbxcrm.cli import supervisor as module
from pbxcrm.cli.supervisor import Part, Supervisor
from tests.waiting import is_alive, until

PATIENT = "import time\nprint('here', flush=True)\nwhile True: time.sleep(1)"
STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PATIENT


def part(name: str, program: str, **options: object) -> Part:
    return Part(name, lambda: [sys.executable, "-c", program], **options)  # type: ignore[arg-type]


@asynccontextmanager
async def supervised(*parts: Part) -> AsyncIterator[tuple[Supervisor, list[str]]]:
    said: list[str] = []
    supervisor = Supervisor(list(parts), out=said.append)
    task = asyncio.create_task(supervisor.run())
    yield supervisor, said
    supervisor.stop()
    await asyncio.wait_for(task, 30)


def here(said: list[str], *names: str) -> Callable[[], bool]:
    return lambda: all(any(line.split(" | ")[0].strip() == name for line in said) for name in names)


async def test_what_children_say_is_prefixed_and_all_are_gone_after_the_stop() -> None:
    async with supervised(part("one", PATIENT), part("another", PATIENT)) as (supervisor, said):
        await until(here(said, "one", "another"))
        pids = [process.pid for process in supervisor.processes.values()]
        assert "one     | here" in said
    assert len(pids) == 2
    assert not any(is_alive(pid) for pid in pids)


async def test_a_killed_part_is_started_again() -> None:
    async with supervised(part("one", PATIENT)) as (supervisor, said):
        await until(here(said, "one"))
        first = supervisor.processes["one"].pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: "one" in supervisor.processes and supervisor.processes["one"].pid != first)
        await until(lambda: said.count("one | here") == 2)


async def test_the_pause_is_never_long_and_begins_anew_after_a_steady_life(monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(module.BACKOFF) <= 10
    assert module.STEADY_SECONDS <= 60
    monkeypatch.setattr(module, "BACKOFF", (0.01, 0.02))
    monkeypatch.setattr(module, "STEADY_SECONDS", 0.0)  # every life is long enough
    with capture_logs() as said:
        async with supervised(part("one", "raise SystemExit(1)")):
            await until(lambda: len([line for line in said if line["event"] == "part.died"]) > 3)
    assert {line["again_in_seconds"] for line in said if line["event"] == "part.died"} == {0.01}


async def test_one_who_ignores_the_request_is_ended_by_force_in_time() -> None:
    clock = asyncio.get_running_loop().time
    async with supervised(part("one", STUBBORN), part("two", STUBBORN, level=2)) as (supervisor, said):
        await until(here(said, "one", "two"))
        pids = [process.pid for process in supervisor.processes.values()]
        began = clock()
    assert clock() - began < 20  # 4.1 by the constants, and what a busy machine adds
    assert not any(is_alive(pid) for pid in pids)


async def test_the_last_level_stops_first(tmp_path: Path) -> None:
    def noting(name: str) -> str:
        return (
            "import signal, sys, time\n"
            f"def end(*_):\n open({str(tmp_path / 'order')!r}, 'a').write({name!r}); sys.exit(0)\n"
            f"signal.signal(signal.SIGTERM, end)\n{PATIENT}"
        )

    parts = [part("a", noting("a"), level=0), part("c", noting("c"), level=2), part("b", noting("b"), level=1)]
    async with supervised(*parts) as (_, said):
        await until(here(said, "a", "b", "c"))
    assert (tmp_path / "order").read_text() == "cba"


async def test_a_level_waits_until_the_one_before_is_ready() -> None:
    gate = asyncio.Event()

    async def ready() -> None:
        await gate.wait()

    async with supervised(part("first", PATIENT, level=0, ready=ready), part("second", PATIENT)) as (supervisor, said):
        await until(here(said, "first"))
        assert "second" not in supervisor.processes
        gate.set()
        await until(here(said, "second"))


async def test_a_part_that_cannot_work_with_the_settings_is_not_tried_again() -> None:
    supervisor = Supervisor([part("one", "raise SystemExit(2)", needed=True)], out=lambda _line: None)
    assert await asyncio.wait_for(supervisor.run(), 30) == 1


async def test_endless_and_broken_lines_do_no_harm() -> None:
    program = (
        "import sys\nsys.stdout.buffer.write(b'x' * 300_000 + b'\\n\\xff\\xfe broken\\n')\nsys.stdout.flush()\n"
        + PATIENT
    )
    async with supervised(part("one", program)) as (_, said):
        await until(lambda: "one | here" in said)
        assert any("broken" in line for line in said)
        assert max(len(line) for line in said) < 100_000


async def test_a_program_that_does_not_exist_is_said_and_stopping_still_works() -> None:
    async with supervised(Part("ghost", lambda: ["/nonexistent/program"])) as (_, said):
        await until(here(said, "ghost"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_nothing_is_left_behind_however_the_supervisor_ends(number: signal.Signals) -> None:
    program = (
        "import asyncio, sys\nfrom pbxcrm.cli.supervisor import Part, Supervisor\n"
        f"programs = {[PATIENT, STUBBORN]!r}\n"
        "parts = [Part(f'p{n}', lambda code=code: [sys.executable, '-c', code]) for n, code in enumerate(programs)]\n"
        "said = []\nsupervisor = Supervisor(parts, out=said.append)\n"
        "async def pids():\n"
        "    while len(said) < 2: await asyncio.sleep(0.01)\n"
        "    print(*(each.pid for each in supervisor.processes.values()), flush=True)\n"
        "sys.exit(asyncio.run(supervisor.run(pids)))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    pids = [int(word) for word in (await process.stdout.readline()).split()]
    assert len(pids) == 2
    assert all(is_alive(pid) for pid in pids)
    process.send_signal(number)
    code = await asyncio.wait_for(process.wait(), 30)
    await until(lambda: not any(is_alive(pid) for pid in pids))
    assert code == (-9 if number == signal.SIGKILL else 0)
