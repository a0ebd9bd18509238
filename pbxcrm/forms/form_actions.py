"""Making, changing, archiving and restoring forms. All check access."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.deals.models import Pipeline
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.forms.models import FormConsent, FormKind, WebForm
from pbxcrm.forms.queries import access_form, consent_of, consents_of, load_forms
from pbxcrm.forms.rules import FormField, check_fields, check_origins, check_thanks_url
from pbxcrm.people.queries import access_assignee
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import check_line, check_optional_text
from pbxcrm.shared.locking import lock_row

KEY_BYTES = 12  # of the public key: nobody can guess one
LANGUAGES = ("en", "uk", "ru")
MOST_PER_MINUTE = 1000


@dataclass(frozen=True, slots=True)
class FormDraft:
    """A form as it was typed. ``origins``: one site per line; ``consent``: the text, empty for none."""

    kind: FormKind
    name: str
    pipeline_id: int | None
    language: str
    fields: Sequence[FormField] = ()
    mailbox: str = ""
    responsible_id: int | None = None
    source: str = ""
    title: str = ""
    intro: str = ""
    button: str = ""
    thanks: str = ""
    thanks_url: str = ""
    consent: str = ""
    origins: str = ""
    asks_proof: bool = False
    per_minute: int | None = 10


async def save_form(
    session: AsyncSession,
    viewer: Viewer,
    form_id: int | None,
    draft: FormDraft,
    now: datetime,
    *,
    version: int | None = None,
    mailboxes: Collection[str] = (),
) -> WebForm:
    """Add a form, or change the one with this id. ``mailboxes``: the names in the settings. Raises Invalid, Conflict, NotFound.

    A changed text of consent becomes a new version; requests keep the one that they agreed to.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    values = await _checked(session, viewer, draft, mailboxes, form_id)
    if form_id is None:
        form = WebForm(
            **values,
            kind=draft.kind.value,
            key=secrets.token_urlsafe(KEY_BYTES),
            secret=secrets.token_hex(32),
        )
        session.add(form)
    else:
        await access_form(session, form_id)
        form = await lock_row(session, WebForm, form_id)
        if version is not None and form.version != version:
            raise Conflict(
                "forms.stale", "Somebody changed this form meanwhile. Look at it again before you change it."
            )
        for name, value in values.items():
            setattr(form, name, value)
        form.version += 1
    await session.flush()
    await _set_consent(session, form, check_optional_text(draft.consent, FormConsent.text, "consent"), now)
    action = "form.created" if form_id is None else "form.edited"
    record(session, now, action, "form", form.id, actor=viewer, name=form.name)
    await session.flush()
    return form


async def archive_form(session: AsyncSession, viewer: Viewer, form_id: int, now: datetime, *, back: bool) -> WebForm:
    """Stop taking requests, or take them again (``back``). The requests so far stay."""
    check(viewer, Permission.SETTINGS_EDIT)
    await access_form(session, form_id)
    form = await lock_row(session, WebForm, form_id)
    form.archived_at = None if back else now
    form.version += 1
    action = "form.restored" if back else "form.archived"
    record(session, now, action, "form", form.id, actor=viewer, name=form.name)
    return form


async def _checked(
    session: AsyncSession, viewer: Viewer, draft: FormDraft, mailboxes: Collection[str], form_id: int | None
) -> dict[str, Any]:
    name = check_line(draft.name, WebForm.name, "name", "forms.name", "Write a name of up to {most} characters.")
    pipeline = await session.get(Pipeline, draft.pipeline_id) if draft.pipeline_id is not None else None
    if pipeline is None or pipeline.archived_at is not None:
        raise Invalid("pipeline_id", "forms.pipeline", "Choose a pipeline.")
    if draft.responsible_id is not None:
        await access_assignee(session, viewer, draft.responsible_id, field="responsible_id")
    if draft.language not in LANGUAGES:
        raise Invalid("language", "forms.language", "Choose a language.")
    per_minute = draft.per_minute if draft.per_minute is not None else 10
    if not 1 <= per_minute <= MOST_PER_MINUTE:
        raise Invalid("per_minute", "forms.per_minute", "Write a number from 1 to {most}.", most=MOST_PER_MINUTE)
    found: dict[str, Any] = {
        "name": name,
        "pipeline_id": pipeline.id,
        "responsible_id": draft.responsible_id,
        "language": draft.language,
        "source": check_optional_text(draft.source, WebForm.source, "source"),
        "mailbox": "",
    }
    if draft.kind is FormKind.MAIL:
        other = (await load_forms(session)).of_mailbox(draft.mailbox)
        if draft.mailbox not in mailboxes:
            raise Invalid(
                "mailbox", "forms.mailbox", "Choose a mailbox. They are set in PBXCRM_MAILBOXES (docs/settings.md)."
            )
        if other is not None and other.id != form_id:
            raise Invalid(
                "mailbox", "forms.mailbox_taken", "“{name}” gets the e-mails of this mailbox.", name=other.name
            )
        return found | {"mailbox": draft.mailbox}
    definitions = (await load_fields(session)).by_key(FieldEntity.DEAL, typed=True)
    return found | {
        "fields": [each.stored() for each in check_fields(draft.fields, definitions)],
        "title": check_optional_text(draft.title, WebForm.title, "title"),
        "intro": check_optional_text(draft.intro, WebForm.intro, "intro"),
        "button": check_optional_text(draft.button, WebForm.button, "button"),
        "thanks": check_optional_text(draft.thanks, WebForm.thanks, "thanks"),
        "thanks_url": check_thanks_url(draft.thanks_url),
        "origins": check_origins(draft.origins),
        "asks_proof": draft.asks_proof,
        "per_minute": per_minute,
    }


async def _set_consent(session: AsyncSession, form: WebForm, text: str, now: datetime) -> None:
    current = await consent_of(session, form)
    if (current.text if current is not None else "") == text:
        return
    if not text:
        form.consent_version = 0
        return
    last = await _last_version(session, form)
    session.add(FormConsent(form_id=form.id or 0, version=last + 1, text=text, since=now))
    form.consent_version = last + 1


async def _last_version(session: AsyncSession, form: WebForm) -> int:
    return max((each.version for each in await consents_of(session, form.id or 0)), default=0)
