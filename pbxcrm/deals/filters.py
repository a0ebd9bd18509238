"""The filters of a list of deals."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import Mapped
from sqlmodel import col, select

from pbxcrm.contacts.models import Phone
from pbxcrm.deals.models import Deal, Pipeline, Stage
from pbxcrm.people.filters import of_login
from pbxcrm.shared.conditions import equal, within
from pbxcrm.shared.text_match import part_of

CLOSED_STATUSES = {"won": "won", "lost": "lost"}


@dataclass(frozen=True, slots=True)
class DealFilter:
    """``status`` is open, won or lost; ``responsible`` a login; ``stage`` and ``pipeline`` a name or an id. The time of creation is
    from ``since`` to ``until`` (exclusive). ``text`` holds parts of the title. Empty values do not filter.
    """

    status: str = ""
    responsible: str = ""
    stage: str = ""
    stage_kind: str = ""
    pipeline: str = ""
    contact_id: int | None = None
    company_id: int | None = None
    client_number: str = ""
    source: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions for the WHERE clause of a query for deals."""
        found = equal(
            (Deal.contact_id, self.contact_id), (Deal.company_id, self.company_id), (Deal.source, self.source)
        )
        found += of_login(Deal.responsible_id, self.responsible)
        if self.status == "open":
            found.append(col(Deal.closed_at).is_(None))
        kinds = [kind for kind in (CLOSED_STATUSES.get(self.status), self.stage_kind) if kind]
        found.extend(col(Deal.stage_id).in_(select(Stage.id).where(Stage.kind == kind)) for kind in kinds)
        if self.stage:
            found.append(col(Deal.stage_id).in_(select(Stage.id).where(_named(col(Stage.name), self.stage, Stage))))
        if self.pipeline:
            named = _named(col(Pipeline.name), self.pipeline, Pipeline)
            found.append(col(Deal.pipeline_id).in_(select(Pipeline.id).where(named)))
        if self.client_number:
            of_contact = select(Phone.contact_id).where(Phone.number == self.client_number)
            found.append(or_(col(Deal.client_number) == self.client_number, col(Deal.contact_id).in_(of_contact)))
        found += within(Deal.created_at, self.since, self.until)
        if self.text.strip():
            found.append(part_of(col(Deal.title_folded), self.text))
        return found


def _named(name: Mapped[str], asked: str, table: type[Stage] | type[Pipeline]) -> ColumnElement[bool]:
    if asked.isascii() and asked.isdigit() and len(asked) < 10:
        return or_(name == asked, col(table.id) == int(asked))
    return name == asked
