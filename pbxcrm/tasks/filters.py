"""The filters of a list of tasks."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_
from sqlmodel import col, select

from pbxcrm.contacts.models import Phone
from pbxcrm.deals.models import Deal
from pbxcrm.people.filters import of_login
from pbxcrm.shared.conditions import equal, within
from pbxcrm.shared.text_match import part_of
from pbxcrm.tasks.models import Task


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """``assignee`` is a login. Tasks are due from ``since`` to ``until`` (exclusive). ``text`` holds parts of the title."""

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
        """The conditions for the WHERE clause of a query for tasks."""
        found = equal(
            (Task.status, self.status),
            (Task.kind, self.kind),
            (Task.deal_id, self.deal_id),
            (Task.contact_id, self.contact_id),
        )
        found += of_login(Task.assignee_id, self.assignee)
        if self.client_number:
            of_contact = select(Phone.contact_id).where(Phone.number == self.client_number)
            of_deal = select(Deal.id).where(Deal.client_number == self.client_number)
            found.append(or_(col(Task.contact_id).in_(of_contact), col(Task.deal_id).in_(of_deal)))
        found += within(Task.due_at, self.since, self.until)
        if self.text.strip():
            found.append(part_of(col(Task.title_folded), self.text))
        return found
