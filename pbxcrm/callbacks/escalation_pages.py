"""Escalations of all states, page by page, for lists and programs. (The managers' own page is ``escalations.py``.)"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.callbacks.access import visible_escalations
from pbxcrm.callbacks.models import Episode, Escalation
from pbxcrm.people.models import User
from pbxcrm.shared.errors import NotFound


@dataclass(frozen=True, slots=True)
class EscalationFilter:
    """``responsible`` is the owner's login; ``since``/``until`` (exclusive) bound when it reached the manager."""

    status: str = ""
    responsible: str = ""
    deal_id: int | None = None
    contact_id: int | None = None
    client_number: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """For the WHERE clause of escalations joined with their callbacks."""
        found: list[ColumnElement[bool]] = []
        if self.status:
            found.append(col(Escalation.state) == self.status)
        if self.responsible:
            owner = select(User.id).where(User.login == self.responsible.lower())
            found.append(col(Escalation.owner_id).in_(owner))
        for column, value in (
            (Episode.deal_id, self.deal_id),
            (Episode.contact_id, self.contact_id),
            (Episode.client_number, self.client_number or None),
        ):
            if value is not None:
                found.append(col(column) == value)
        if self.since is not None:
            found.append(col(Escalation.opened_at) >= self.since)
        if self.until is not None:
            found.append(col(Escalation.opened_at) < self.until)
        return found


async def page_of_escalations(
    session: AsyncSession, viewer: Viewer, asked: EscalationFilter, *, before: int | None = None, limit: int = 50
) -> list[tuple[Escalation, Episode]]:
    """Newest first, each with its callback; ``before`` is an id."""
    query = (
        select(Escalation, Episode)
        .join(Episode, col(Episode.id) == col(Escalation.episode_id))
        .where(visible_escalations(viewer), *asked.conditions())
        .order_by(col(Escalation.id).desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(col(Escalation.id) < before)
    return [(escalation, episode) for escalation, episode in (await session.exec(query)).all()]


async def access_escalation(session: AsyncSession, viewer: Viewer, escalation_id: int) -> tuple[Escalation, Episode]:
    """One that the viewer may see, with its callback. Raises NotFound."""
    query = (
        select(Escalation, Episode)
        .join(Episode, col(Episode.id) == col(Escalation.episode_id))
        .where(Escalation.id == escalation_id, visible_escalations(viewer))
    )
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound("escalations.not_found", "There is no such escalation, or it is another team's.")
    return found[0], found[1]
