"""Changing the options of callbacks; what is pending moves in the same transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.decision_context import load_context
from pbxcrm.callbacks.timers import do_recompute
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.options import Options, load_options, save_option

CHANGEABLE = (
    "owner_order",
    "callback_due_minutes",
    "callback_pause_minutes",
    "retry_minutes",
    "click_to_call_expiry_seconds",
    "claim_minutes",
)
_MOVE_DEADLINES = {"callback_due_minutes", "callback_pause_minutes"}


async def change_options(session: AsyncSession, viewer: Viewer, values: Mapping[str, Any], *, now: datetime) -> Options:
    """Store ``values`` (of ``CHANGEABLE``) and recompute the deadlines they touch. Raises Invalid at the option's name."""
    check(viewer, Permission.SETTINGS_EDIT)
    options = await load_options(session)
    before = options.model_dump(mode="json")
    for key, value in values.items():
        if key not in CHANGEABLE:
            raise Invalid(key, "options.unknown", "There is no such option.")
        try:
            options = await save_option(session, options, key, value)
        except ValidationError as error:
            raise Invalid(key, "options.value", "This value cannot be used here.") from error
    changed = {key for key, value in options.model_dump(mode="json").items() if value != before[key]}
    if not changed:
        return options
    await session.flush()
    after = options.model_dump(mode="json")
    told = {key: {"before": before[key], "after": after[key]} for key in sorted(changed)}
    record(session, now, "options.changed", "options", "callbacks", actor=viewer, changed=told)
    if changed & _MOVE_DEADLINES:
        await do_recompute(session, await load_context(session), now)
    return options
