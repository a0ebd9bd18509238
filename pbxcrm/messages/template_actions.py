"""Saving templates of messages, by administrators."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.deals.formula_texts import text_names
from pbxcrm.fields.queries import load_fields
from pbxcrm.messages.models import MessageChannel, MessageTemplate
from pbxcrm.messages.queries import access_message_template
from pbxcrm.messages.template_rules import LANGUAGES, LINK, LONGEST_SMS, LONGEST_SUBJECT, LONGEST_TEXT, check_text
from pbxcrm.messages.values import field_titles
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import check_line
from pbxcrm.shared.locking import lock_row

OFFERED = (MessageChannel.EMAIL.value, MessageChannel.SMS.value)  # channels by which clients are written to


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """A template as it was entered; ``subjects`` and ``texts`` by language, as many as there are."""

    name: str
    channel: str
    texts: Mapping[str, str]
    subjects: Mapping[str, str] = field(default_factory=dict)


async def check_message(session: AsyncSession, draft: MessageDraft) -> tuple[dict[str, str], dict[str, str]]:
    """Subjects and texts as they are stored. Raises Invalid at ``channel``, ``texts.uk`` or ``subjects.uk``."""
    if draft.channel not in OFFERED:
        raise Invalid("channel", "messages.channel", "Choose how the message travels.").among(OFFERED)
    fields = await load_fields(session)
    known, formula_names = set(field_titles(fields)), text_names(fields)
    without_link = known - {LINK}  # a link has no place in a subject, and an SMS is too short for it
    is_sms = draft.channel == MessageChannel.SMS
    most = LONGEST_SMS if is_sms else LONGEST_TEXT
    texts: dict[str, str] = {}
    subjects: dict[str, str] = {}
    for language in LANGUAGES:
        place = f"subjects.{language}"
        text = check_text(
            draft.texts.get(language, ""),
            f"texts.{language}",
            without_link if is_sms else known,
            formula_names,
            most,
        )
        line = " ".join(draft.subjects.get(language, "").split())
        subject = check_text(line, place, without_link, formula_names, LONGEST_SUBJECT)
        if is_sms:
            subject = ""
        elif text and not subject:
            raise Invalid(place, "messages.subject", "Write the subject of the e-mail.")
        elif subject and not text:
            raise Invalid(f"texts.{language}", "messages.text", "Write the text of the message.")
        if text:
            texts[language], subjects[language] = text, subject
    if not texts:
        raise Invalid(f"texts.{LANGUAGES[0]}", "messages.text", "Write the text of the message.")
    return {language: subject for language, subject in subjects.items() if subject}, texts


async def save_message_template(
    session: AsyncSession,
    viewer: Viewer,
    template_id: int | None,
    draft: MessageDraft,
    now: datetime,
    *,
    version: int | None = None,
) -> MessageTemplate:
    """Add a template (``template_id`` None) or change one. What was sent stays as it was.

    Raises Invalid at ``name`` or as ``check_message`` does, NotFound, Conflict, NotAllowed.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    if template_id is None:
        template = MessageTemplate(name="", channel="", created_at=now)
    else:
        await access_message_template(session, template_id)
        template = await lock_row(session, MessageTemplate, template_id)
        if version is not None and template.version != version:
            raise Conflict("messages.stale", "Somebody else has changed this template meanwhile. Look at it again.")
    name = check_line(
        draft.name, MessageTemplate.name, "name", "messages.name", "Write a name of up to {most} characters."
    )
    with session.no_autoflush:
        same = (await session.exec(select(MessageTemplate.id).where(MessageTemplate.name == name))).first()
    if same is not None and same != template.id:
        raise Invalid("name", "messages.name_taken", "There is a template of this name already.")
    subjects, texts = await check_message(session, draft)
    template.name, template.channel, template.subjects, template.texts = name, draft.channel, subjects, texts
    if template_id is None:
        session.add(template)
    else:
        template.version += 1
    await session.flush()
    said = "message_template.changed" if template_id is not None else "message_template.created"
    record(session, now, said, "message_template", template.id, actor=viewer, name=name)
    return template


async def archive_message_template(
    session: AsyncSession, viewer: Viewer, template_id: int, now: datetime, *, is_archived: bool = True
) -> MessageTemplate:
    """Offer it no more, or again. Rules that name it say so when they run. Raises NotFound, NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    await access_message_template(session, template_id)
    template = await lock_row(session, MessageTemplate, template_id)
    if (template.archived_at is not None) != is_archived:
        template.archived_at = now if is_archived else None
        template.version += 1
        said = "message_template.archived" if is_archived else "message_template.restored"
        record(session, now, said, "message_template", template.id, actor=viewer, name=template.name)
    return template
