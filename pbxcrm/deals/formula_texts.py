"""What formulas in texts may read: the fields of a deal by their keys, ``stage``, ``responsible``, and those of the client as ``client_KEY``."""

from collections.abc import Mapping
from typing import Any

from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal
from pbxcrm.fields.formula_rules import values_in
from pbxcrm.fields.hooks import own_values
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import FieldSet
from pbxcrm.formulas.functions import Value
from pbxcrm.shared.reasons import N_

CLIENT = "client_"  # before the names of the client's fields
_BESIDES = {"stage": N_("Stage"), "responsible": N_("Responsible")}


def text_names(fields: FieldSet, *, of_deal: bool = True) -> dict[str, str]:
    """The names that formulas may read, with their titles, in English unless people wrote them. ``of_deal``: not only those of the client."""
    found = {**_BESIDES, **_titles(FieldEntity.DEAL, fields)} if of_deal else {}
    return found | {f"{CLIENT}{key}": title for key, title in _titles(FieldEntity.CONTACT, fields).items()}


def text_values(
    deal: Deal | None, contact: Contact | None, fields: FieldSet, *, stage: str = "", responsible: str = ""
) -> dict[str, Value]:
    """The value of each of ``text_names``; None where there is none. ``stage`` and ``responsible``: their names."""
    found: dict[str, Value] = dict.fromkeys(text_names(fields))
    if contact is not None:
        found |= {f"{CLIENT}{key}": value for key, value in _values(FieldEntity.CONTACT, contact, fields).items()}
    if deal is not None:
        found |= {"stage": stage or None, "responsible": responsible or None}
        found |= _values(FieldEntity.DEAL, deal, fields)
    return found


def _titles(entity: FieldEntity, fields: FieldSet) -> Mapping[str, str]:
    return {**own_values(entity).names, **{each.key: each.name for each in fields.of(entity)}}


def _values(entity: FieldEntity, row: Any, fields: FieldSet) -> Mapping[str, Value]:
    return {**own_values(entity).read(row), **values_in(fields.of(entity), row.custom)}
