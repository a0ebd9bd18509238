"""Queries for digests and their errors."""

from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.notices.models import Digest, DigestState

RECENT = timedelta(days=2)


async def last_digest(session: AsyncSession, user_id: int) -> Digest | None:
    """The newest digest of a user; None without one."""
    return (
        await session.exec(select(Digest).where(Digest.user_id == user_id).order_by(col(Digest.day).desc()))
    ).first()


async def troubled_digests(session: AsyncSession, now: datetime, limit: int = 50) -> list[Digest]:
    """Digests of the last two days that were refused by the mail server or given up, newest first."""
    rows = await session.exec(
        select(Digest)
        .where(col(Digest.next_at) >= now - RECENT, Digest.error != "", Digest.state != DigestState.SENT.value)
        .order_by(col(Digest.id).desc())
        .limit(limit)
    )
    return list(rows.all())
