"""Waiting for an event with a timeout."""

import asyncio


async def wait_at_most(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for an event, at most ``seconds`` (None: no limit); return whether it was set.

    Not ``asyncio.wait_for``: until Python 3.12 that swallows a cancellation that comes at the same time as the event.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
