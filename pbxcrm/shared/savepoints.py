"""A part of a transaction that is undone alone: its rows, and the hints and audit entries that it has collected."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlmodel.ext.asyncio.session import AsyncSession


@asynccontextmanager
async def savepoint(session: AsyncSession) -> AsyncIterator[None]:
    """Undo everything in the block if it raises, and raise on. What the session had collected before stays."""
    kept = {
        key: list(value) if isinstance(value, list) else dict(value)
        for key, value in session.info.items()
        if isinstance(value, (list, dict))
    }
    try:
        async with session.begin_nested():
            yield
    except BaseException:
        for key in [key for key, value in session.info.items() if isinstance(value, (list, dict))]:
            if key in kept:
                session.info[key] = kept[key]
            else:
                session.info[key].clear()
        raise
