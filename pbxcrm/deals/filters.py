"""The one filter of deals: board, table, export, bulk acts and API select by it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, exists, or_
from sqlalchemy.orm import Mapped
from sqlmodel import col, select

from pbxcrm.access.owners import there_is
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.deals.lamp_queries import lamp_rank
from pbxcrm.deals.models import CLOSED_KINDS, Deal, DealTag, Pipeline, Stage, StageKind, Tag
from pbxcrm.people.filters import of_login
from pbxcrm.people.models import Team, User
from pbxcrm.shared.conditions import equal, within
from pbxcrm.shared.search_keys import search_key
from pbxcrm.shared.text_match import digits_of, part_of
from pbxcrm.tasks.models import Task, is_open

STATUSES = ("open", "closed", "won", "lost")
LAMPS = ("any", "first", "second", "none")
_KINDS_OF_STATUS = {"won": (StageKind.WON,), "lost": (StageKind.LOST,), "closed": CLOSED_KINDS}


@dataclass(frozen=True, slots=True)
class DealFilter:
    """Which deals; all conditions must hold, and empty values do not filter.

    ``status`` is one of ``STATUSES``, ``lamp`` one of ``LAMPS``; ``responsible`` a login; ``stage``, ``pipeline`` and ``team`` a name or
    an id. Times: of creation from ``since`` to ``until`` (exclusive), of entry into the stage from ``entered_since`` to ``entered_until``.
    ``amount_min`` and ``amount_max`` include themselves. ``no_task``: open deals without an open task. ``text``: a part of a title, of a
    client's or company's name, or digits of a number. ``more``: further conditions, for example of custom fields.
    """

    status: str = ""
    responsible: str = ""
    responsible_id: int | None = None
    nobodys: bool = False
    team: str = ""
    stage: str = ""
    stage_kind: str = ""
    pipeline: str = ""
    contact_id: int | None = None
    company_id: int | None = None
    client_number: str = ""
    source: str = ""
    since: datetime | None = None
    until: datetime | None = None
    entered_since: datetime | None = None
    entered_until: datetime | None = None
    amount_min: Decimal | None = None
    amount_max: Decimal | None = None
    lamp: str = ""
    no_task: bool = False
    tag: str = ""
    text: str = ""
    deal_ids: tuple[int, ...] | None = None
    more: tuple[ColumnElement[bool], ...] = ()

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions for the WHERE clause of a query for deals."""
        found = equal(
            (Deal.contact_id, self.contact_id),
            (Deal.company_id, self.company_id),
            (Deal.source, self.source),
            (Deal.responsible_id, self.responsible_id),
        )
        found += of_login(Deal.responsible_id, self.responsible)
        if self.nobodys:
            found.append(col(Deal.responsible_id).is_(None))
        if self.team:
            found.append(col(Deal.responsible_id).in_(_of_team(self.team)))
        found += self._of_stage()
        if self.client_number:
            of_contact = select(Phone.contact_id).where(Phone.number == self.client_number)
            found.append(or_(col(Deal.client_number) == self.client_number, col(Deal.contact_id).in_(of_contact)))
        found += within(Deal.created_at, self.since, self.until)
        found += within(Deal.stage_since, self.entered_since, self.entered_until)
        if self.amount_min is not None:
            found.append(col(Deal.amount) >= self.amount_min)
        if self.amount_max is not None:
            found.append(col(Deal.amount) <= self.amount_max)
        if self.lamp:
            found.append(_burns(self.lamp))
        if self.no_task:
            planned = exists().where(col(Task.deal_id) == col(Deal.id), is_open()).correlate(Deal)
            found += [col(Deal.closed_at).is_(None), ~planned]
        if self.tag:
            tagged = select(DealTag.deal_id).join(Tag, col(Tag.id) == col(DealTag.tag_id))
            found.append(col(Deal.id).in_(tagged.where(Tag.key == tag_key(self.tag))))
        if self.deal_ids is not None:
            found.append(col(Deal.id).in_(self.deal_ids))
        if self.text.strip():
            found.append(matches_text(self.text.strip()))
        return [*found, *self.more]

    def _of_stage(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.status == "open":
            found.append(col(Deal.closed_at).is_(None))
        kinds = [_KINDS_OF_STATUS.get(self.status, ()), (self.stage_kind,) if self.stage_kind else ()]
        found.extend(
            col(Deal.stage_id).in_(select(Stage.id).where(col(Stage.kind).in_(some))) for some in kinds if some
        )
        if self.stage:
            found.append(col(Deal.stage_id).in_(select(Stage.id).where(_named(col(Stage.name), self.stage, Stage))))
        if self.pipeline:
            named = _named(col(Pipeline.name), self.pipeline, Pipeline)
            found.append(col(Deal.pipeline_id).in_(select(Pipeline.id).where(named)))
        return found


def tag_key(name: str) -> str:
    """The key under which all spellings of a tag are one."""
    return search_key(name) or name.strip().casefold()


def matches_text(text: str) -> ColumnElement[bool]:
    """The condition that a deal matches ``text``, tested for each deal."""
    digits = digits_of(text)
    contact, company = col(Contact.id) == col(Deal.contact_id), col(Company.id) == col(Deal.company_id)
    named = [
        part_of(col(Deal.title_folded), text),
        there_is(Deal, contact, part_of(col(Contact.name_folded), text)),
        there_is(Deal, company, part_of(col(Company.name_folded), text)),
    ]
    if digits:
        has_it = col(Phone.number).contains(digits, autoescape=True)
        named += [
            col(Deal.client_number).contains(digits, autoescape=True),
            there_is(Deal, col(Phone.contact_id) == col(Deal.contact_id), has_it),
        ]
    return or_(*named)


def ways_to_match(text: str) -> list[ColumnElement[bool]]:
    """The same as ``matches_text`` in parts, each of which begins at the index of what it looks for. A deal may match several."""
    digits = digits_of(text)
    contacts = select(Contact.id).where(part_of(col(Contact.name_folded), text))
    companies = select(Company.id).where(part_of(col(Company.name_folded), text))
    found = [
        part_of(col(Deal.title_folded), text),
        col(Deal.contact_id).in_(contacts),
        col(Deal.company_id).in_(companies),
    ]
    if digits:
        phones = select(Phone.contact_id).where(col(Phone.number).contains(digits, autoescape=True))
        found += [col(Deal.client_number).contains(digits, autoescape=True), col(Deal.contact_id).in_(phones)]
    return found


def _burns(lamp: str) -> ColumnElement[bool]:
    rank = lamp_rank()
    return {"any": rank > 0, "first": rank == 1, "second": rank == 2}.get(lamp, rank == 0)


def _of_team(team: str) -> Any:  # a select for ids
    return select(User.id).where(col(User.team_id).in_(select(Team.id).where(_named(col(Team.name), team, Team))))


def _named(name: Mapped[str], asked: str, table: type[Stage] | type[Pipeline] | type[Team]) -> ColumnElement[bool]:
    if asked.isascii() and asked.isdigit() and len(asked) < 10:
        return or_(name == asked, col(table.id) == int(asked))
    return name == asked
