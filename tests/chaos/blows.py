"""Failures ("blows") that are injected during a call, by name. At the end of each, everything is restarted or reconnected."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable

from tests.asterisk.server import AsteriskServer
from tests.chaos.product import ProductParts
from tests.waiting import until

#: Kinds of blows; one that is listed twice is chosen twice as often.
KINDS = (
    "listener",
    "listener",
    "listener",
    "listener again and again",
    "listener stopped",
    "everything",
    "everything",
    "web",
    "worker",
    "redis",
    "cable",
    "database",
    "database and listener",
    "database and everything",
    "PBX",
    "PBX and listener",
    "PBX and everything",
)


async def strike(
    kind: str,
    product: ProductParts,
    pbx: AsteriskServer,
    dice: random.Random,
    when_pbx_goes: Callable[[], Awaitable[None]],
) -> bool:
    """Inject one blow. ``when_pbx_goes`` is called directly before the PBX is restarted or killed.

    Returns whether the PBX was killed while nothing listened to it: then no record says when it died.
    """
    unheard = False
    pause = dice.random() * 2.0
    with_database, with_pbx = "database" in kind, "PBX" in kind
    if with_database:
        await asyncio.to_thread(product.postgres.end, signal.SIGQUIT)
        await asyncio.sleep(dice.random())
    if kind.endswith("everything"):
        await product.kill()
    elif kind.endswith("listener"):
        product.signal_part("listen", signal.SIGKILL)
    elif kind in {"web", "worker", "redis"}:
        product.signal_part("work" if kind == "worker" else kind, signal.SIGKILL)
    elif kind == "listener again and again":
        for _ in range(3):
            product.signal_part("listen", signal.SIGKILL)
            await asyncio.sleep(dice.random())
    elif kind == "listener stopped":
        product.signal_part("listen", signal.SIGSTOP)
    elif kind == "cable":
        product.cable.cut()
    await asyncio.sleep(pause)
    if with_pbx:
        await when_pbx_goes()
        if dice.random() < 0.5:
            await pbx.restart()
        else:
            unheard = kind != "PBX"
            await pbx.kill()
            await pbx.start()
        await asyncio.sleep(dice.random())
    if kind == "listener stopped":
        product.signal_part("listen", signal.SIGCONT)
    product.cable.mend()
    if with_database:
        product.postgres.start()
        await until(product.postgres.answers)
    if product.run is None:
        await product.start()
    return unheard
