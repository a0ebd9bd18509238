"""The report on filled fields (I3): which fields of deals, clients and companies are filled in, and whose cards are not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select
from sqlalchemy import select as columns
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.owners import there_is
from pbxcrm.access.permissions import Viewer
from pbxcrm.contacts.access import is_live, visible_companies, visible_contacts
from pbxcrm.contacts.models import Company, Contact, Email, Phone
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.deals.queries import load_funnel
from pbxcrm.fields.models import FieldDefinition, FieldEntity
from pbxcrm.fields.queries import FieldSet, load_fields
from pbxcrm.people.directory import load_directory
from pbxcrm.reports.grouping import counted_rows, valued
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, RowsBehind, Table
from pbxcrm.reports.stage_stays import key_of_user
from pbxcrm.shared.reasons import N_

ENTITIES = {FieldEntity.DEAL: N_("Deal"), FieldEntity.CONTACT: N_("Client"), FieldEntity.COMPANY: N_("Company")}
#: What a card has besides custom fields, and whether it is filled in. What a card cannot be without is left out.
OWN: Mapping[FieldEntity, Mapping[str, tuple[str, ColumnElement[bool]]]] = {
    FieldEntity.DEAL: {
        "contact": (N_("Client"), col(Deal.contact_id).is_not(None)),
        "amount": (N_("Amount"), col(Deal.amount).is_not(None)),
        "source": (N_("Source"), col(Deal.source) != ""),
    },
    FieldEntity.CONTACT: {
        "name": (N_("Name"), col(Contact.name) != ""),
        "phone": (N_("Number"), there_is(Contact, col(Phone.contact_id) == col(Contact.id))),
        "email": (N_("E-mail"), there_is(Contact, col(Email.contact_id) == col(Contact.id))),
        "company": (N_("Company"), col(Contact.company_id).is_not(None)),
        "birthday": (N_("Birthday"), col(Contact.birth_day).is_not(None)),
    },
    FieldEntity.COMPANY: {
        "people": (
            N_("Clients of the company"),
            there_is(Company, col(Contact.company_id) == col(Company.id), is_live()),
        ),
    },
}


class _Card(NamedTuple):
    """A card, and which of its fields are filled in, by their place among ``fields``."""

    entity: FieldEntity
    id: int
    title: str
    user_id: int | None
    at: datetime
    fields: Sequence["_Field"]
    filled: Sequence[bool]


class _Field(NamedTuple):
    """``place``: in which order lines are shown."""

    key: str
    name: str
    place: int


_Counted = tuple[_Card, int]  # with how many per cent of what its line asks are filled in
_Line = tuple[Any, str, str, str]  # by what it is sorted, its key, name and second name


def _fields(known: FieldSet, entity: FieldEntity, shown: Iterable[FieldDefinition]) -> list[_Field]:
    """The fields of an entity: what its cards have besides custom fields first, then those ``shown`` in the order of the settings."""
    place = 1000 * list(ENTITIES).index(entity)
    own = [_Field(key, name, place + at) for at, (key, (name, _sql)) in enumerate(OWN[entity].items())]
    ranks = {each.id: rank for rank, each in enumerate(known.of(entity), place + len(own))}
    return own + [_Field(f"field.{each.key}", each.name, ranks[each.id]) for each in shown]


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Cards that were made in the period and the viewer may see, by their fields, or by whose they are now."""
    people = await load_directory(session)
    cards = await _deals(session, viewer, asked)
    if asked.pipeline_id is None:
        cards += await _cards_of(session, asked, FieldEntity.CONTACT, Contact, visible_contacts(viewer))
        cards += await _cards_of(session, asked, FieldEntity.COMPANY, Company, visible_companies(viewer))

    whole = [(card, 100 * sum(card.filled) // len(card.filled)) for card in cards]
    found: dict[_Line, list[_Counted]] = {}
    if asked.by in {"owner", "team"}:
        for card, share in whole:
            key, name = key_of_user(people, card.user_id, asked.by)
            under = ENTITIES[card.entity]
            found.setdefault((name, f"{card.entity}.{key}", name, under), []).append((card, share))
    else:
        _by_field(cards, found, lambda card: key_of_user(people, card.user_id, "owner"), of_people=asked.by != "field")
    lines = [_line(key, name, under, rows) for (_place, key, name, under), rows in sorted(found.items())]
    return Table(lines, _line("", "", "", whole) if whole else None)


def _by_field(
    cards: Iterable[_Card],
    found: dict[_Line, list[_Counted]],
    person_of: Callable[[_Card], tuple[str, str]],
    *,
    of_people: bool,
) -> None:
    lines: dict[tuple[FieldEntity, str, str], list[_Counted]] = {}
    for card in cards:
        person, name = person_of(card) if of_people else ("", "")
        for each, is_filled in zip(card.fields, card.filled, strict=True):
            counted = lines.get((card.entity, each.key, person))
            if counted is None:
                counted = lines[card.entity, each.key, person] = []
                key = f"{card.entity}.{each.key}"
                if of_people:
                    found[(name, each.place), f"{key}.{person}", name, each.name] = counted
                else:
                    found[each.place, key, each.name, ENTITIES[card.entity]] = counted
            counted.append((card, 100 if is_filled else 0))


async def _deals(session: AsyncSession, viewer: Viewer, asked: Asked) -> list[_Card]:
    known, funnel = await load_fields(session), await load_funnel(session)
    query = _made(FieldEntity.DEAL, Deal, Deal.title, asked).add_columns(col(Deal.pipeline_id), col(Deal.stage_id))
    query = query.where(
        visible_deals(viewer), *([col(Deal.pipeline_id) == asked.pipeline_id] if asked.pipeline_id else [])
    )
    shown: dict[int, tuple[list[_Field], list[str]]] = {}  # by stage
    found = []
    for row_id, title, user_id, at, custom, contact, amount, source, pipeline_id, stage_id in await counted_rows(
        session, query
    ):
        if stage_id not in shown:
            required = Requirements.load(funnel.stages[stage_id].requires).fields
            definitions = [each for each in known.shown_at(pipeline_id, stage_id, required) if not each.formula]
            shown[stage_id] = _fields(known, FieldEntity.DEAL, definitions), [str(each.id) for each in definitions]
        fields, names = shown[stage_id]
        filled = [bool(contact), bool(amount), bool(source), *(custom.get(name) is not None for name in names)]
        found.append(_Card(FieldEntity.DEAL, row_id, title, user_id, at, fields, filled))
    return found


async def _cards_of(
    session: AsyncSession,
    asked: Asked,
    entity: FieldEntity,
    model: type[Contact] | type[Company],
    visible: ColumnElement[bool],
) -> list[_Card]:
    known = await load_fields(session)
    definitions = known.of(entity, typed=True)
    fields, names = _fields(known, entity, definitions), [str(each.id) for each in definitions]
    query = _made(entity, model, model.name, asked).where(visible)
    found = []
    for row_id, title, user_id, at, custom, *own in await counted_rows(session, query):
        filled = [*(bool(each) for each in own), *(custom.get(name) is not None for name in names)]
        found.append(_Card(entity, row_id, title or "—", user_id, at, fields, filled))
    return found


def _made(entity: FieldEntity, model: Any, title: Any, asked: Asked) -> Select[*tuple[Any, ...]]:
    own = [is_filled.label(f"has_{key}") for key, (_name, is_filled) in OWN[entity].items()]
    return (
        columns(col(model.id), col(title), col(model.responsible_id), col(model.created_at), col(model.custom), *own)
        .where(
            col(model.created_at) >= asked.since,
            col(model.created_at) < asked.until,
            *asked.of_people(model.responsible_id),
        )
        .order_by(col(model.id))
    )


def _line(key: str, name: str, under: str, counted: Sequence[_Counted]) -> ReportLine:
    filled = [each for each in counted if each[1] == 100]
    empty = [each for each in counted if each[1] < 100]
    values = {
        "cards": len(counted),
        "filled": len(filled),
        "empty": len(empty),
        "percent": round(sum(share for _card, share in counted) / len(counted)),
    }
    behind = {
        "cards": RowsBehind(counted, _behind),
        "filled": RowsBehind(filled, _behind),
        "empty": RowsBehind(empty, _behind),
        "percent": valued(counted, lambda each: each[1], _behind),
    }
    return ReportLine(key, name, values, behind, under)


def _behind(counted: _Counted) -> Behind:
    card, _share = counted
    return Behind(card.entity.value, card.id, card.title, card.at)


FILLED_FIELDS = Report(
    name="filled_fields",
    title=N_("Filled fields"),
    question=N_("Which fields of the cards stay empty, and whose?"),
    definition=N_(
        "Deals, clients and companies that were made in the period, by whose they are now. Of a deal its client, amount, source and the "
        "own fields that its stage shows or requires count; of a client name, number, e-mail, company, birthday and own fields; of a "
        "company whether it has clients, and own fields. By field, a card is filled where this field is. By person or team, where no "
        "field is empty; the share is then the average of the cards."
    ),
    dimensions={
        "field": N_("By field"),
        "owner": N_("By person"),
        "owner_field": N_("By person and field"),
        "team": N_("By team"),
    },
    columns=(
        Column("cards", N_("Cards"), ColumnKind.COUNT, opens=True),
        Column("filled", N_("Filled"), ColumnKind.COUNT, opens=True),
        Column("empty", N_("With gaps"), ColumnKind.COUNT, opens=True),
        Column("percent", N_("Share filled"), ColumnKind.PERCENT, opens=True),
    ),
    load=load,
    bar="percent",
    by_pipeline=True,
    compared=("percent",),
)
