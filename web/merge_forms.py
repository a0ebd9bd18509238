"""What the pages of merges of clients and of companies share: the choice of values, and what an undo does not restore, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.hooks import Left, Why
from pbxcrm.contacts.merge_rules import CUSTOM, FIELDS, NOTE_MAX, WITH, default_choice, joined
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import DealRow, list_deals
from web import words
from web.forms import Form
from web.i18n import N_
from web.i18n import gettext as _

MOST_NAMED = 50  # deals

#: Field of the client -> field of the form.
TAKE = {
    "name": "take_name",
    "company_id": "take_company",
    "responsible_id": "take_responsible",
    "birth_day": "take_birthday",
    "language": "take_language",
    "note": "take_note",
}


NAMES = {
    "name": N_("Name"),
    "company_id": N_("Company"),
    "responsible_id": N_("Responsible"),
    "birth_day": N_("Birthday"),
    "birth_year": N_("Year of birth"),
    "language": N_("Language"),
    "note": N_("Note"),
}


def field_choices(
    mine: Mapping[str, Any], theirs: Mapping[str, Any], form: Form, fields: Sequence[str] = FIELDS
) -> list[tuple[str, str, str, bool]]:
    """The fields that differ: label, name in the form, ticked value, and whether both values can be kept."""
    return [
        (
            field,
            TAKE[field],
            form.get(TAKE[field]) or default_choice(field, mine, theirs),
            field == "note" and bool(mine["note"] and theirs["note"]) and len(joined(mine, theirs)) <= NOTE_MAX,
        )
        for field in fields
        if any(mine[one] != theirs[one] for one in (field, *WITH.get(field, ())))
    ]


def told(left: Sequence[Left], deals: Mapping[int, DealRow]) -> tuple[list[str], list[DealRow]]:
    """What an undo does not restore, as sentences, and the deals that they name."""
    sentences: list[str] = []
    for each in left:
        unnamed = [one for one in each.ids if each.what != "deals" or one not in deals]
        if unnamed or not each.ids:
            sentences.append(_sentence(each, unnamed))
    return sentences, [deals[one] for each in left if each.what == "deals" for one in each.ids if one in deals]


async def seen_deals(session: AsyncSession, who: Viewer, left: Sequence[Left]) -> dict[int, DealRow]:
    """The deals that the reader may see, by id. Of the others only the number is told."""
    ids = tuple(one for each in left if each.what == "deals" for one in each.ids)
    if not ids:
        return {}
    rows = await list_deals(session, who, col(Deal.id).in_(ids), limit=MOST_NAMED)
    return {row.deal.id or 0: row for row in rows}


def _sentence(each: Left, ids: Sequence[int]) -> str:
    """One thing that an undo leaves, in words; ``ids``: the rows that are not named."""
    if each.why is Why.FIELD:
        named = each.what.removeprefix(f"{CUSTOM}.")
        return _("{field}: what it says now stays.").format(field=_(NAMES[named]) if named == each.what else named)
    if each.why is Why.NUMBER_GONE:
        return _("{number} was taken away since, and does not come back.").format(number=each.what)
    if each.why is Why.CALLBACK_CLOSED:
        return _("The open callback is closed meanwhile, so it is closed for both.")
    return words.counted_rows(each.what, len(ids))
