"""Consent of clients to the use of their data."""

from typing import Annotated

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.contacts.consent_actions import keep_consent
from pbxcrm.contacts.consent_queries import consents_of
from pbxcrm.contacts.models import Consent
from pbxcrm.contacts.queries import access_contact
from pbxcrm.forms.queries import ConsentRow, consent_rows
from pbxcrm.people.queries import logins_of
from web.api.fields import ApiAnswer, ApiRequest, Moment, ShortListQuery, needed_text
from web.api.resource import Ask, Page, Resource

consents = Resource("consents", "What clients said about the use of their data. The newest entry holds.")


class ConsentOut(ApiAnswer):
    """One word of a client: given or withdrawn."""

    id: int
    contact_id: int
    given: bool
    at: Moment
    source: str = Field(description="The form, or how the client said so.")
    text_version: int | None = Field(description="The version of the form's text; null: it was no form.")
    by: str | None = Field(description="The login of who wrote it down; null: the client, through a form.")


class NewConsent(ApiRequest):
    """What the client said now."""

    given: bool
    source: Annotated[str, needed_text(Consent.source)] = Field(description="How the client said so.")


@consents.get(
    "/contacts/{contact_id}/consents", needs=Permission.CONTACTS_READ, summary="What a client said, the last word first"
)
async def read_consents(ask: Ask, contact_id: int, query: ShortListQuery) -> Page[ConsentOut]:
    contact = await access_contact(ask.session, ask.viewer, contact_id)
    rows = await consent_rows(ask.session, await consents_of(ask.session, contact.id or 0))
    return Page[ConsentOut].part_of(await _consents(ask, rows), query)


@consents.post(
    "/contacts/{contact_id}/consents",
    needs=Permission.CONTACTS_EDIT,
    summary="Keep what a client said",
    location=lambda consent: f"/contacts/{consent.contact_id}/consents",
)
async def add_consent(ask: Ask, contact_id: int, body: NewConsent) -> ConsentOut:
    kept = await keep_consent(ask.session, ask.viewer, contact_id, is_given=body.given, source=body.source, now=ask.now)
    return (await _consents(ask, await consent_rows(ask.session, [kept])))[0]


async def _consents(ask: Ask, rows: list[ConsentRow]) -> list[ConsentOut]:
    logins = await logins_of(ask.session, [row.consent.by_id for row in rows])
    return [
        ConsentOut(
            id=row.consent.id or 0,
            contact_id=row.consent.contact_id,
            given=row.consent.is_given,
            at=row.consent.at,
            source=row.consent.source,
            text_version=row.version or None,
            by=logins.get(row.consent.by_id),
        )
        for row in rows
    ]
