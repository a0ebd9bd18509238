"""Keeps what clients said about the use of their data. Nothing that was said is changed: another word is another row."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.contacts.actions import access_contact_for_change
from pbxcrm.contacts.hints import say_contact_changed
from pbxcrm.contacts.models import Consent, Contact
from pbxcrm.shared.lengths import check_line, cut
from pbxcrm.shared.reasons import reason


async def keep_consent(
    session: AsyncSession, viewer: Viewer, contact_id: int, *, is_given: bool, source: str, now: datetime
) -> Consent:
    """The client told the viewer that they agree, or agree no longer; ``source`` says how. Raises Invalid, NotAllowed, NotFound."""
    contact = await access_contact_for_change(session, viewer, contact_id, None)
    said = check_line(
        source, Consent.source, "source", "consents.source", "Say how the client told you, in up to {most} characters."
    )
    kept = Consent(contact_id=contact_id, is_given=is_given, at=now, source=said, by_id=viewer.user_id)
    session.add(kept)
    await session.flush()
    record(session, now, "contact.consent", "contact", contact_id, actor=viewer, given=is_given, consent_id=kept.id)
    await say_contact_changed(session, contact, now)
    return kept


async def do_keep_given(
    session: AsyncSession, contact: Contact, source: str, text_id: int | None, now: datetime
) -> None:
    """The client ticked the consent of a form with this text."""
    kept = Consent(
        contact_id=contact.id or 0, is_given=True, at=now, source=cut(source, Consent.source), text_id=text_id
    )
    session.add(kept)
    await session.flush()
    why = reason("contact.consented", form=source)
    record(
        session, now, "contact.consent", "contact", contact.id, actor=None, reason=why, given=True, consent_id=kept.id
    )
