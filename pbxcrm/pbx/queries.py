"""Reads what PBXs said of themselves."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.pbx.models import PbxStatus


async def pbx_statuses(session: AsyncSession) -> list[PbxStatus]:
    """What each PBX said of itself last."""
    return list((await session.exec(select(PbxStatus).order_by(col(PbxStatus.pbx)))).all())
