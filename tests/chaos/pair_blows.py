"""Failures of two machines' listeners during a call, by name: several things fail and are mended again, each in any order."""

import asyncio
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from tests.asterisk.server import AsteriskServer
from tests.chaos.machine import Machine
from tests.chaos.two_machines import TwoMachines
from tests.waiting import until

_LONGEST = 5.0  # seconds between the last failure and the first repair
#: What fails at each blow. "its" is of the machine that is struck, mostly the one that leads; "other's" is of the other one.
ACTS: dict[str, tuple[str, ...]] = {
    "kill": ("kill",),
    "stop": ("stop",),
    "stop for long": ("stop",),
    "restart": ("restart",),
    "cable": ("its PBX",),
    "database": ("its database",),
    "both databases": ("its database", "other's database"),
    "kill + both databases": ("its database", "other's database", "kill"),
    "stop + both databases": ("its database", "other's database", "stop"),
    "cable + both databases": ("its database", "other's database", "its PBX"),
    "PostgreSQL": ("PostgreSQL",),
    "kill + PostgreSQL": ("PostgreSQL", "kill"),
    "cable + other's database": ("its PBX", "other's database"),
    "database + other's cable": ("its database", "other's PBX"),
    "stop + other killed": ("stop", "kill other"),
    "both killed": ("kill", "kill other"),
    "both cables": ("its PBX", "other's PBX"),
    "both cables + both databases": ("its PBX", "other's PBX", "its database", "other's database"),
    "kill + both cables": ("its PBX", "other's PBX", "kill"),
    "PBX": ("PBX",),
    "PBX + kill": ("PBX", "kill"),
    "PBX + both databases": ("PBX", "its database", "other's database"),
}
#: During these no machine hears the PBX for a while, so only CEL has all of it.
_DEAF = {"stop + other killed", "both killed", "both cables", "both cables + both databases", "kill + both cables"}
#: Kinds of blows; one that is listed more often is chosen more often.
KINDS = (*ACTS, "kill", "kill", "stop", "kill + both databases")
#: Blows during which one machine always hears the PBX, and the PBX goes on.
HEARD = tuple(kind for kind in KINDS if kind not in _DEAF and "PBX" not in ACTS[kind])


async def strike(
    kind: str,
    machines: TwoMachines,
    pbx: AsteriskServer | None,
    dice: random.Random,
    when_pbx_goes: Callable[[], Awaitable[None]],
) -> bool:
    """Inject one blow and mend it. ``when_pbx_goes`` is called directly before the PBX is restarted or killed.

    Returns False: at these blows a machine always hears how the PBX ends.
    """
    victim, other = await machines.victim_and_other()
    print(f"{datetime.now(UTC):%H:%M:%S} {kind}, machine {victim.folder.name}", file=sys.stderr, flush=True)
    if kind in {"kill", "stop for long"}:
        (act,) = ACTS[kind]
        async with machines.timed(victim):
            await _fail(act, machines, victim, other)
        await asyncio.sleep(dice.uniform(0.0, _LONGEST / 2))
        await _mend(act, machines, victim, other)
        return False
    acts = dice.sample(ACTS[kind], len(ACTS[kind]))
    for act in acts:
        await _fail(act, machines, victim, other)
        if act == "PBX" and pbx is not None:
            await when_pbx_goes()
            await (pbx.restart() if dice.random() < 0.5 else _crash(pbx))
        await asyncio.sleep(dice.uniform(0.0, 1.0))
    await asyncio.sleep(dice.uniform(0.0, _LONGEST))
    for act in dice.sample(acts, len(acts)):
        await _mend(act, machines, victim, other)
        await asyncio.sleep(dice.uniform(0.0, 1.0))
    return False


async def _crash(pbx: AsteriskServer) -> None:
    await pbx.kill()
    await pbx.start()


async def _fail(act: str, machines: TwoMachines, victim: Machine, other: Machine) -> None:
    if act == "kill":
        await victim.end(signal.SIGKILL)
    elif act == "kill other":
        await other.end(signal.SIGKILL)
    elif act == "restart":
        await victim.end(signal.SIGTERM)
    elif act == "stop":
        victim.send(signal.SIGSTOP)
    elif act == "PostgreSQL":
        await asyncio.to_thread(machines.postgres.end, signal.SIGQUIT)
    elif act.endswith("database"):
        (victim if act == "its database" else other).database.cut()
    elif act.endswith("'s PBX") or act == "its PBX":
        (victim if act == "its PBX" else other).pbx.cut()


async def _mend(act: str, machines: TwoMachines, victim: Machine, other: Machine) -> None:
    if act in {"kill", "restart"}:
        await victim.start()
    elif act == "kill other":
        await other.start()
    elif act == "stop":
        victim.send(signal.SIGCONT)
    elif act == "PostgreSQL":
        machines.postgres.start()
        await until(machines.postgres.answers)
    elif act.endswith("database"):
        (victim if act == "its database" else other).database.mend()
    elif act.endswith("'s PBX") or act == "its PBX":
        (victim if act == "its PBX" else other).pbx.mend()
