"""The rules of lines that an administrator sets: discounts that people give on their own, and a product that a deal has already."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.audit.rules import differences
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.runtime_options import Options, load_options, save_option

KEYS = ("discount_limit_seller", "discount_limit_manager", "same_product")


async def change_line_options(session: AsyncSession, viewer: Viewer, values: dict[str, Any], now: datetime) -> Options:
    """Set some of ``KEYS``. Discounts that were given stay. Raises Invalid at the key, NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    options = await load_options(session)
    before = {key: getattr(options, key) for key in KEYS}
    for key in KEYS:
        if key in values and values[key] != before[key]:
            try:
                options = await save_option(session, options, key, values[key])
            except ValidationError:
                raise Invalid(key, "money.limit", "Write a whole number from 0 to 100.") from None
    changed = differences(before, {key: getattr(options, key) for key in KEYS})
    if changed:
        record(session, now, "options.changed", "options", "lines", actor=viewer, changed=changed)
    return options
