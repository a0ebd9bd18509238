"""The report on those who look for new clients (I3): the companies, clients and deals they made, how full the cards are, and files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select
from sqlalchemy import select as columns
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.contacts.access import is_live, visible_companies, visible_contacts
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import filled_percent
from pbxcrm.files.models import AttachedFile
from pbxcrm.people.directory import load_directory
from pbxcrm.reports.grouping import counted_rows, split, valued
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, RowsBehind, Table
from pbxcrm.reports.stage_stays import key_of_user
from pbxcrm.shared.reasons import N_


@dataclass(frozen=True, slots=True)
class _Made:
    """Something that was made in the period. ``column``: the column that counts it; ``filled``: percent, of deals."""

    column: str
    kind: str
    id: int
    title: str
    user_id: int | None
    at: datetime
    filled: int | None = None


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """What was made in the period and the viewer may see, by whose it is now; files by who attached them."""
    people = await load_directory(session)
    made = [
        *await _clients(session, viewer, asked),
        *await _deals(session, viewer, asked),
        *await _files(session, viewer, asked),
    ]

    return split(
        made,
        lambda each: key_of_user(people, each.user_id, asked.by),
        _line,
        lambda everything: _line("", "", everything),
    )


async def _clients(session: AsyncSession, viewer: Viewer, asked: Asked) -> list[_Made]:
    found = []
    for column, kind, model, visible in (
        ("companies", "company", Company, visible_companies(viewer)),
        ("contacts", "contact", Contact, visible_contacts(viewer)),
    ):
        query: Select[*tuple[Any, ...]] = columns(
            col(model.id), col(model.name), col(model.responsible_id), col(model.created_at)
        ).where(
            visible,
            col(model.created_at) >= asked.since,
            col(model.created_at) < asked.until,
            *asked.of_people(model.responsible_id),
        )
        if model is Contact:
            query = query.where(is_live())
        for row_id, name, user_id, at in await counted_rows(session, query.order_by(col(model.id))):
            found.append(_Made(column, kind, row_id, name or "—", user_id, at))
    return found


async def _deals(session: AsyncSession, viewer: Viewer, asked: Asked) -> list[_Made]:
    fields = await load_fields(session)
    query = (
        columns(
            *(col(each) for each in (Deal.id, Deal.title, Deal.responsible_id, Deal.created_at)),
            *(
                col(each)
                for each in (Deal.pipeline_id, Deal.stage_id, Deal.contact_id, Deal.amount, Deal.source, Deal.custom)
            ),
        )
        .where(
            visible_deals(viewer),
            col(Deal.created_at) >= asked.since,
            col(Deal.created_at) < asked.until,
            *asked.of_people(Deal.responsible_id),
        )
        .order_by(col(Deal.id))
    )
    found = []
    for row_id, title, user_id, at, pipeline_id, stage_id, *values, custom in await counted_rows(session, query):
        filled = filled_percent(fields.shown_at(pipeline_id, stage_id), custom, values)
        found.append(_Made("deals", "deal", row_id, title, user_id, at, filled))
    return found


async def _files(session: AsyncSession, viewer: Viewer, asked: Asked) -> list[_Made]:
    query = (
        columns(col(Deal.id), col(AttachedFile.name), col(AttachedFile.by_id), col(AttachedFile.at))
        .join(AttachedFile, col(AttachedFile.deal_id) == col(Deal.id))
        .where(
            visible_deals(viewer),
            col(AttachedFile.removed_at).is_(None),
            col(AttachedFile.at) >= asked.since,
            col(AttachedFile.at) < asked.until,
            *asked.of_people(AttachedFile.by_id),
        )
        .order_by(col(AttachedFile.id))
    )
    return [_Made("files", "deal", *row) for row in await counted_rows(session, query)]


def _line(key: str, name: str, made: Sequence[_Made]) -> ReportLine:
    rows: Mapping[str, list[_Made]] = {
        column: [each for each in made if each.column == column]
        for column in ("companies", "contacts", "deals", "files")
    }
    filled = [each.filled for each in rows["deals"] if each.filled is not None]
    values = {
        **{column: len(found) for column, found in rows.items()},
        "percent_filled": round(sum(filled) / len(filled)) if filled else None,
    }
    behind = {
        **{column: RowsBehind(found, _behind) for column, found in rows.items()},
        "percent_filled": valued(
            [each for each in rows["deals"] if each.filled is not None], lambda each: each.filled, _behind
        ),
    }
    return ReportLine(key, name, values, behind)


def _behind(each: _Made) -> Behind:
    return Behind(each.kind, each.id, each.title, each.at)


COLD_SELLERS = Report(
    name="cold_sellers",
    title=N_("New clients and cards"),
    question=N_("Who brings new clients and deals, and how well are their cards filled?"),
    definition=N_(
        "Companies, clients and deals that were made in the period, by whose they are now. Cards filled: of the client, the amount, the "
        "source and the own fields that the deal's stage shows, the share that is filled in, on average over the deals. Files: those that "
        "somebody attached to deals in the period, such as the photo of a sample that a stage asks for, by who attached them."
    ),
    dimensions={"owner": N_("By person"), "team": N_("By team")},
    columns=(
        Column("companies", N_("Companies"), ColumnKind.COUNT, opens=True),
        Column("contacts", N_("Clients"), ColumnKind.COUNT, opens=True),
        Column("deals", N_("Deals made"), ColumnKind.COUNT, opens=True),
        Column("percent_filled", N_("Cards filled"), ColumnKind.PERCENT, opens=True),
        Column("files", N_("Files attached"), ColumnKind.COUNT, opens=True),
    ),
    load=load,
    bar="deals",
    compared=("contacts", "deals"),
)
