"""The columns of the list of deals: which there are, and what each says of a deal on a page and in a file."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from pbxcrm.deals.fields import BY_KEY, FIELDS, MOMENTS, FieldKind
from pbxcrm.deals.queries import DealRow
from pbxcrm.fields.conditions import Vocabulary
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import FieldSet, Named
from pbxcrm.fields.terms import SORTABLE
from web import formats, words
from web.i18n import N_
from web.i18n import gettext as _
from web.list_columns import ListColumn, custom_columns, those_shown, value_of_field

#: The built-in columns with their names; the title is always the first.
BUILT_IN: Mapping[str, str] = {
    "title": N_("Deal"),
    "client": N_("Client"),
    "company": N_("Company"),
    "number": N_("Number"),
    "amount": BY_KEY["amount"].name,
    "pipeline": N_("Pipeline"),
    "stage": N_("Stage"),
    "responsible": N_("Responsible"),
    "next_task": N_("Next task"),
    "lamp": N_("Lamp"),
    "tags": N_("Tags"),
    "stage_since": N_("In the stage since"),
    "created_at": N_("Made"),
    "closed_at": N_("Closed"),
    "lost_reason": N_("Lost because"),
    **{field.key: field.name for field in FIELDS if field.key not in {"title", "amount"}},
}
FIRST = ("title", "client", "stage", "amount", "responsible", "next_task", "stage_since")
_LAMPS = {"none": "", "first": N_("due now"), "second": N_("with the manager")}


def all_columns(fields: FieldSet, terms: Vocabulary) -> dict[str, ListColumn]:
    """Every column there is, by key."""

    def sort(name: str) -> str:
        return name if name in terms and terms[name].shape in SORTABLE else ""

    own = {
        key: ListColumn(key, _(title), sort=sort(key), is_numeric=words.DEAL_KINDS.get(key) is FieldKind.AMOUNT)
        for key, title in BUILT_IN.items()
    }
    return own | custom_columns(fields, FieldEntity.DEAL, sort)


def shown_columns(known: Mapping[str, ListColumn], chosen: Sequence[str] | None) -> list[ListColumn]:
    """The chosen ones that still exist, the title first."""
    return those_shown(known, chosen, "title", FIRST)


def value(column: ListColumn, row: DealRow, named: Named) -> str | Decimal | date | None:
    """What a file holds: a number and a time as such, everything else in the reader's words."""
    deal = row.deal
    if column.definition is not None:
        return value_of_field(column.definition, deal.custom, named)
    if column.key in BY_KEY and column.key not in {"title", *MOMENTS}:
        found: str | Decimal | None = getattr(deal, column.key)
        return found
    if column.key in {"stage_since", "created_at", "closed_at", *MOMENTS}:
        moment = getattr(deal, column.key)
        return formats.in_file(moment) if moment is not None else ""
    return {
        "title": words.deal_title(deal),
        "client": row.contact.name if row.contact else "",
        "company": row.company.name if row.company else "",
        "number": deal.client_number or "",
        "pipeline": _(row.pipeline.name),
        "stage": words.stage(row.stage),
        "responsible": row.responsible.name if row.responsible else "",
        "next_task": f"{formats.in_file(row.next_task.due_at):%Y-%m-%d %H:%M} {words.task_title(row.next_task)}"
        if row.next_task
        else "",
        "lamp": _(_LAMPS[row.lamp]) if row.lamp != "none" else "",
        "tags": ", ".join(row.tags),
        "lost_reason": words.lost_reason(deal),
    }[column.key]
