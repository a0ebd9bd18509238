"""What an administrator sets for all messages, and the stop list."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.audit.rules import differences
from pbxcrm.calendars.rules import format_spans, parse_spans
from pbxcrm.contacts.rules import EMAIL, check_number
from pbxcrm.messages.models import MessageStop
from pbxcrm.messages.rules import address_key
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.lengths import check_optional_text, longest
from pbxcrm.shared.runtime_options import Options, load_options, save_option
from pbxcrm.shared.texts import one_line

STOPS = "messages.stops"  # locked by whoever adds to the stop list, so that an address is there once
KEYS = (
    "message_own_name",
    "message_own_phone",
    "message_own_site",
    "message_language",
    "message_quiet",
    "message_most_a_day",
    "message_needs_consent",
    "message_test_email",
    "message_test_number",
)


async def change_message_options(
    session: AsyncSession, viewer: Viewer, values: dict[str, Any], region: str, now: datetime
) -> Options:
    """Set some of ``KEYS``. Raises Invalid at the key, NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    options = await load_options(session)
    before = {key: getattr(options, key) for key in KEYS}
    for key in KEYS:
        if key not in values:
            continue
        value = _checked(key, values[key], region)
        if value != before[key]:
            try:
                options = await save_option(session, options, key, value)
            except ValidationError:
                raise Invalid(key, "messages.option", "This value is not possible here.") from None
    changed = differences(before, {key: getattr(options, key) for key in KEYS})
    if changed:
        record(session, now, "options.changed", "options", "messages", actor=viewer, changed=changed)
    return options


def _checked(key: str, value: Any, region: str) -> Any:
    if isinstance(value, str):
        value = one_line(value)
    if key == "message_quiet" and value:
        try:
            return format_spans(parse_spans(value))
        except (ValueError, TypeError, AttributeError):
            raise Invalid(key, "notices.hours", "Write hours, for example 20:00-08:00, 13:00-14:00.") from None
    if key == "message_test_email" and value and not EMAIL.fullmatch(value):
        raise Invalid(key, "contacts.email", "This is no e-mail address.")
    if key == "message_test_number" and value:
        return check_number(value, region, key)
    return value


async def add_stop(
    session: AsyncSession, viewer: Viewer, address: str, note: str, region: str, now: datetime
) -> MessageStop:
    """Nothing is sent to this address or number any more. Raises Invalid at ``address`` or ``note``, NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    typed = one_line(address)
    if "@" in typed:
        if not EMAIL.fullmatch(typed) or len(typed) > longest(MessageStop.address):
            raise Invalid("address", "contacts.email", "This is no e-mail address.")
        key = address_key(typed)
    else:
        key = check_number(typed, region, "address")
    await lock(session, STOPS)
    known = (await session.exec(select(MessageStop).where(MessageStop.address == key))).first()
    if known is not None:
        return known
    said = one_line(check_optional_text(note, MessageStop.note, "note"))
    stop = MessageStop(address=key, note=said, by_id=viewer.user_id, at=now)
    session.add(stop)
    await session.flush()
    record(session, now, "message_stop.added", "message_stop", stop.id, actor=viewer)
    return stop


async def remove_stop(session: AsyncSession, viewer: Viewer, stop_id: int, now: datetime) -> None:
    """Messages may go there again. Raises NotFound, NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    stop = await session.get(MessageStop, stop_id)
    if stop is None:
        raise NotFound("messages.no_stop", "This address is not on the stop list.")
    await session.delete(stop)
    record(session, now, "message_stop.removed", "message_stop", stop_id, actor=viewer)
