"""What formulas in custom fields may read of a deal."""

from collections.abc import Mapping

from pbxcrm.deals.fields import FIELDS, values_of
from pbxcrm.deals.hooks import deal_changed
from pbxcrm.deals.models import Deal
from pbxcrm.fields.hooks import OwnValues
from pbxcrm.formulas.functions import Value


def _read(deal: Deal) -> Mapping[str, Value]:
    return {key: None if value == "" else value for key, value in values_of(deal).items()}


DEAL_VALUES = OwnValues(
    Deal, {field.key: field.name for field in FIELDS}, _read, lambda deal: deal.responsible_id, deal_changed
)
