"""Queries on the state of PBXs."""

import socket
from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.pbx.models import PbxJournal, PbxStatus
from pbxcrm.shared.lengths import cut

ALIVE = timedelta(minutes=1)


async def pbx_statuses(session: AsyncSession) -> list[PbxStatus]:
    """The latest status of each PBX, by name."""
    return list((await session.exec(select(PbxStatus).order_by(col(PbxStatus.pbx)))).all())


async def is_listened_to_here(session: AsyncSession, now: datetime) -> bool:
    """Whether a listener runs on this machine; one that was stopped has given up its journal."""
    here = (
        col(PbxJournal.owner) != "",
        col(PbxJournal.host) == cut(socket.gethostname(), PbxJournal.host),
        col(PbxJournal.seen_at) > now - ALIVE,
    )
    return (await session.exec(select(PbxJournal.journal).where(*here).limit(1))).first() is not None
