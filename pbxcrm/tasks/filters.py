"""What one may ask a list of tasks for."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_
from sqlmodel import col, select

from pbxcrm.contacts.models import Phone
from pbxcrm.deals.models import Deal
from pbxcrm.people.models import User
from pbxcrm.shared.text_match import part_of
from pbxcrm.tasks.models import Task


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """``assignee`` is a login; ``since``/``until`` (exclusive) bound when it is due; ``text`` is a part of the title."""

    status: str = ""
    kind: str = ""
    assignee: str = ""
    deal_id: int | None = None
    contact_id: int | None = None
    client_number: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """For the WHERE clause of tasks."""
        found: list[ColumnElement[bool]] = []
        for column, value in (
            (Task.status, self.status or None),
            (Task.kind, self.kind or None),
            (Task.deal_id, self.deal_id),
            (Task.contact_id, self.contact_id),
        ):
            if value is not None:
                found.append(col(column) == value)
        if self.assignee:
            found.append(col(Task.assignee_id).in_(select(User.id).where(User.login == self.assignee.lower())))
        if self.client_number:
            of_contact = select(Phone.contact_id).where(Phone.number == self.client_number)
            of_deal = select(Deal.id).where(Deal.client_number == self.client_number)
            found.append(or_(col(Task.contact_id).in_(of_contact), col(Task.deal_id).in_(of_deal)))
        if self.since is not None:
            found.append(col(Task.due_at) >= self.since)
        if self.until is not None:
            found.append(col(Task.due_at) < self.until)
        if self.text.strip():
            found.append(part_of(col(Task.title_folded), self.text))
        return found
