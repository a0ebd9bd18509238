"""What the panel of a deal's pause shows, on the page of the deal and alone."""

from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.pause_actions import APPROVE_BEYOND, look_at_end, pause_of, running_pause


async def standing_of(session: AsyncSession, deal_id: int, at: datetime) -> dict[str, Any]:
    """What the panel shows: the current pause, and what ending it now would do."""
    pause = await pause_of(session, deal_id, at)
    ended = await look_at_end(session, deal_id, at, now=at) if pause is not None else None
    at_once = ended is not None and ended.then_at is not None and ended.then_at <= at
    return {
        "pause": pause,
        "running": await running_pause(session, deal_id, at)
        if pause is not None and pause.waits_for_approval
        else None,
        "ended": ended,
        "lights_at_once": at_once,
        "look": None,
        "approve_days": APPROVE_BEYOND.days,
    }
