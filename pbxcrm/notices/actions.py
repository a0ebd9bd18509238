"""Changing the viewer's own notices: the address and time of the digest, and quiet hours."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.calendars.rules import format_spans, parse_spans
from pbxcrm.contacts.rules import check_emails
from pbxcrm.notices.rules import parse_clock
from pbxcrm.people.models import User
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import longest
from pbxcrm.shared.locking import lock_row


async def save_notices(
    session: AsyncSession,
    viewer: Viewer,
    *,
    email: str,
    digest_at: str,
    quiet_desktop: str,
    quiet_digest: str,
    now: datetime,
) -> None:
    """Store the settings as typed in the form. Empty values mean no digest or no quiet hours. Raises Invalid at the field."""
    check(viewer, Permission.OWN_PROFILE)
    addresses = check_emails([email], "email")
    at = parse_clock(digest_at, "digest_at")
    if at is not None and not addresses:
        raise Invalid("email", "notices.no_email", "Write the address that the digest goes to.")
    if addresses and len(addresses[0]) > longest(User.email):
        raise Invalid("email", "form.too_long", "Write at most {most} characters.", most=longest(User.email))
    user = await lock_row(session, User, viewer.user_id)
    user.email, user.digest_at = (addresses or [""])[0], at
    user.quiet_desktop = _hours("quiet_desktop", quiet_desktop)
    user.quiet_digest = _hours("quiet_digest", quiet_digest)
    session.add(user)
    record(session, now, "user.notices", "user", viewer.user_id, actor=viewer)


def _hours(field: str, text: str) -> str:
    """The normalised text of at most three spans, which may pass midnight. Raises Invalid at ``field``."""
    try:
        spans = parse_spans(text)
    except ValueError:
        spans = ((0, 0),) * 4
    said = format_spans(spans) if len(spans) <= 3 else ""
    if text and not said:
        raise Invalid(field, "notices.hours", "Write hours, for example 20:00-08:00, 13:00-14:00.")
    return said
