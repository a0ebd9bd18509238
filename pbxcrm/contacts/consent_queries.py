"""Queries on consents: what each client said last, and before."""

from collections.abc import Collection, Sequence

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.models import Consent

MOST_SHOWN = 50


async def consents_of(session: AsyncSession, contact_id: int) -> Sequence[Consent]:
    """What a client said about the use of their data, the last word first. The caller has checked access to the client."""
    asked = select(Consent).where(Consent.contact_id == contact_id).order_by(col(Consent.id).desc())
    return (await session.exec(asked.limit(MOST_SHOWN))).all()


async def consent_now(session: AsyncSession, contact_ids: Collection[int]) -> dict[int, bool]:
    """Whether these clients agree at present; those who said nothing are left out. One query."""
    last = (
        select(func.max(col(Consent.id)))
        .where(col(Consent.contact_id).in_(contact_ids))
        .group_by(col(Consent.contact_id))
    )
    found = await session.exec(select(Consent.contact_id, Consent.is_given).where(col(Consent.id).in_(last)))
    return dict(found.all())
