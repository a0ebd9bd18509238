"""Queries on the state of PBXs."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.pbx.models import PbxStatus


async def pbx_statuses(session: AsyncSession) -> list[PbxStatus]:
    """The latest status of each PBX, by name."""
    return list((await session.exec(select(PbxStatus).order_by(col(PbxStatus.pbx)))).all())
