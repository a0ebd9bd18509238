"""Clients, and numbers that belong to no client."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import ColumnElement
from sqlmodel import col

from pbxcrm.access import Permission
from pbxcrm.callbacks.special_numbers import put_on_list, take_off_list
from pbxcrm.contacts import actions
from pbxcrm.contacts.birthday_rules import FARTHEST, age_on, iso_birthday
from pbxcrm.contacts.consent_queries import consent_now
from pbxcrm.contacts.filters import ContactFilter
from pbxcrm.contacts.kind_rules import ChosenKinds, WayChoice
from pbxcrm.contacts.known_numbers import check_unknown
from pbxcrm.contacts.list_queries import sorted_contacts
from pbxcrm.contacts.models import Company, Contact, NumberKind, SpecialNumber
from pbxcrm.contacts.models import Email as EmailRow
from pbxcrm.contacts.queries import (
    ContactRow,
    access_contact,
    list_contacts,
    list_special_numbers,
    special_number,
    with_numbers,
)
from pbxcrm.contacts.rules import check_whole_number
from pbxcrm.fields.conditions import Term
from pbxcrm.fields.models import FieldEntity
from pbxcrm.people.queries import logins_of
from pbxcrm.shared.errors import NotFound
from pbxcrm.shared.lengths import longest
from pbxcrm.shared.listed import Listed
from pbxcrm.shared.numbers import normalise
from web.api import checked_cursors
from web.api.custom_values import SortedQuery, Values, ValuesOut, values_out
from web.api.fields import (
    NO_NUL,
    ApiAnswer,
    ApiRequest,
    Id,
    IdText,
    Login,
    Moment,
    Number,
    ShortListQuery,
    Version,
    When,
    Word,
    needed_text,
    optional_text,
)
from web.api.people import user_id_of
from web.api.resource import Ask, Page, Resource
from web.api.text import number_filter

contacts = Resource("contacts", "People who are clients.")
special_numbers = Resource(
    "special-numbers", "Numbers that are ours or spam: their calls make no deals and no callbacks."
)

Email = Annotated[str, Field(min_length=3, max_length=longest(EmailRow.address), pattern=NO_NUL)]

SHARED = "Both have the number: without it a number that another client has is refused (422, contacts.known_number)."
Birthday = Annotated[
    str,
    Field(max_length=10, pattern=NO_NUL, description="`1990-12-31`, `--12-31` without the year; empty: none."),
]
MOST_LISTED = 50  # numbers or e-mail addresses of one client
ContactName = Annotated[str, needed_text(Contact.name)]
ContactNote = Annotated[str, optional_text(Contact.note)]


class PhoneOut(ApiAnswer):
    """A number of a client."""

    number: str = Field(description="E.164 where it can be.")
    extension: str = Field(description="Digits to dial after the answer; usually empty.")
    label: str
    kind: str = Field(description="`mobile`, `work`, `home`, `other`, or empty.")
    main: bool = Field(description="The first one is: the main number, else the oldest.")


class EmailOut(ApiAnswer):
    """An e-mail address of a client."""

    address: str
    label: str
    kind: str = Field(description="`work`, `home`, `other`, or empty.")
    main: bool


class ContactOut(ApiAnswer):
    """A client."""

    id: int
    name: str
    phones: list[PhoneOut]
    emails: list[EmailOut]
    company_id: int | None
    company: str | None
    responsible: str | None = Field(description="A login.")
    note: str
    birthday: str | None = Field(description="`1990-12-31`, or `--12-31` where the year is not known.")
    language: str = Field(description="In which messages are written: `uk`, `ru`, `en`; empty: not known.")
    age: int | None = Field(description="Full years today (UTC).")
    consent: Literal["given", "withdrawn"] | None = Field(description="What the client said last; null: nothing.")
    fields: ValuesOut
    created_at: Moment
    version: int = Field(description="Grows with each change.")


class ContactQuery(SortedQuery):
    """Which clients; all conditions must hold."""

    q: Word | None = Field(None, description="A part of a name or of a number.")
    client_number: Number | None = None
    company_id: IdText | None = None
    birthday_within: Annotated[int, Field(ge=0, le=FARTHEST)] | None = Field(
        None, description="Whose birthday is today or within so many days (UTC)."
    )
    responsible: Word | None = Field(None, description="A login.")
    since: When | None = None
    until: When | None = None


class PhoneIn(ApiRequest):
    """A number with its kind. Without a kind a number of a mobile network is a mobile."""

    number: Number
    kind: Literal["", "mobile", "work", "home", "other"] | None = None
    main: bool = Field(False, description="One of a client is; the one before is no more.")


class EmailIn(ApiRequest):
    """An address with its kind."""

    address: Email
    kind: Literal["", "work", "home", "other"] | None = None
    main: bool = Field(False, description="One of a client is; the one before is no more.")


class NewContact(ApiRequest):
    """A new client. Earlier calls and deals of the numbers become theirs."""

    name: ContactName
    phones: list[Number | PhoneIn] = Field([], max_length=MOST_LISTED)
    emails: list[Email | EmailIn] = Field([], max_length=MOST_LISTED)
    birthday: Birthday = ""
    language: Literal["", "uk", "ru", "en"] = ""
    company_id: Id | None = None
    company: Annotated[str, optional_text(Company.name)] = Field(
        "", description="A name. The company is created if it does not exist."
    )
    responsible: Login | None = Field(None, description="A login; default: the person of the token.")
    note: ContactNote = ""
    fields: Values = Field(default_factory=dict)
    share_numbers: bool = Field(False, description=SHARED)


class ContactChange(ApiRequest):
    """Changes. A field that is left out stays unchanged."""

    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")
    name: ContactName | None = None
    phones: list[Number | PhoneIn] | None = Field(
        None, max_length=MOST_LISTED, description="All numbers; a number that is left out is removed."
    )
    emails: list[Email | EmailIn] | None = Field(None, max_length=MOST_LISTED, description="All addresses.")
    birthday: Birthday | None = None
    language: Literal["", "uk", "ru", "en"] | None = None
    company_id: Id | None = None
    company: Annotated[str, optional_text(Company.name)] | None = Field(None, description="Empty: no company.")
    responsible: Login | None = None
    note: ContactNote | None = None
    fields: Values = Field(default_factory=dict)
    share_numbers: bool = Field(False, description=SHARED)


class SpecialNumberOut(ApiAnswer):
    """A number of ours, or a number that is not a client."""

    number: str
    kind: NumberKind
    note: str
    added_by: str | None = Field(description="A login.")
    added_at: Moment


class NewSpecialNumber(ApiRequest):
    """A number to put on the list. Its open callbacks are closed."""

    number: Number
    kind: Literal["own", "spam"] = Field(description="Our own numbers are for managers and administrators to tell.")
    note: Annotated[str, optional_text(SpecialNumber.note)] = Field(
        "", description="Why. Required for spam while a callback of the number is open that you have not called."
    )


@contacts.get("/contacts", needs=Permission.CONTACTS_READ, summary="Clients")
async def read_contacts(ask: Ask, query: ContactQuery) -> Page[ContactOut]:
    asked = ContactFilter(
        responsible=query.responsible or "",
        client_number=number_filter(query.client_number, ask.settings),
        since=query.since,
        until=query.until,
        birthday=(ask.now.date(), query.birthday_within) if query.birthday_within is not None else None,
    )
    filters = [*asked.conditions(), *await query.custom_conditions(ask, FieldEntity.CONTACT, Contact)]
    if (order := await query.order(ask, FieldEntity.CONTACT)) is not None:
        return await _sorted(ask, query, filters, *order)
    found = await list_contacts(
        ask.session,
        ask.viewer,
        *filters,
        text=query.q or "",
        company_id=query.company_id,
        before=checked_cursors.read_id(query.cursor),
        limit=query.limit + 1,
    )
    return Page[ContactOut].of(
        await _contacts(ask, found.rows), query.limit, lambda row: checked_cursors.next_of_id(row.id), resume(found)
    )


async def _sorted(
    ask: Ask, query: ContactQuery, filters: list[ColumnElement[bool]], term: Term, descending: bool
) -> Page[ContactOut]:
    if query.company_id is not None:
        filters.append(col(Contact.company_id) == query.company_id)
    found = await sorted_contacts(
        ask.session,
        ask.viewer,
        filters,
        term,
        text=query.q or "",
        descending=descending,
        after=checked_cursors.read_sorted(query.cursor, term),
        limit=query.limit + 1,
    )
    rows = await _contacts(ask, [row for row, _place in found.rows])
    return Page[ContactOut].in_places(rows, query.limit, [place for _row, place in found.rows], found.resume)


@contacts.get("/contacts/{contact_id}", needs=Permission.CONTACTS_READ, summary="One client")
async def read_contact(ask: Ask, contact_id: int) -> ContactOut:
    contact = await access_contact(ask.session, ask.viewer, contact_id)
    return (await _contacts(ask, await with_numbers(ask.session, [contact])))[0]


@contacts.post(
    "/contacts",
    needs=Permission.CONTACTS_EDIT,
    summary="Create a client",
    location=lambda contact: f"/contacts/{contact.id}",
)
async def add_contact(ask: Ask, body: NewContact) -> ContactOut:
    """Earlier calls and deals of the numbers become those of the client. A number of another client needs `share_numbers`."""
    phones, emails = numbers_in(body.phones), addresses_in(body.emails)
    if not body.share_numbers:
        await check_unknown(ask.session, ask.viewer, phones, ask.settings.region, "phones")
    contact = await actions.create_contact(
        ask.session,
        ask.viewer,
        name=body.name,
        now=ask.now,
        region=ask.settings.region,
        phones=phones,
        emails=emails,
        birthday=body.birthday,
        language=body.language,
        kinds=kinds_in(ask, body.phones or [], body.emails or []),
        company_id=body.company_id,
        company_name=body.company,
        responsible_id=await user_id_of(ask.session, body.responsible, "responsible"),
        note=body.note,
        custom=body.fields,
    )
    return await _changed(ask, contact)


@contacts.patch("/contacts/{contact_id}", needs=Permission.CONTACTS_EDIT, summary="Change a client")
async def change_contact(ask: Ask, contact_id: int, body: ContactChange) -> ContactOut:
    """A field that is left out stays unchanged. A number that only another client has needs `share_numbers`."""
    phones = numbers_in(body.phones) if body.phones is not None else None
    emails = addresses_in(body.emails) if body.emails is not None else None
    if phones and not body.share_numbers:
        await check_unknown(ask.session, ask.viewer, phones, ask.settings.region, "phones", without=contact_id)
    contact = await actions.edit_contact(
        ask.session,
        ask.viewer,
        contact_id,
        version=body.version,
        now=ask.now,
        region=ask.settings.region,
        name=body.name,
        phones=phones,
        emails=emails,
        birthday=body.birthday,
        language=body.language,
        kinds=kinds_in(ask, body.phones or [], body.emails or []),
        company_id=body.company_id,
        company_name=body.company,
        responsible_id=await user_id_of(ask.session, body.responsible, "responsible"),
        note=body.note,
        custom=body.fields,
    )
    return await _changed(ask, contact)


def numbers_in(phones: Iterable[str | PhoneIn]) -> list[str]:
    """The numbers as they were sent."""
    return [each.number if isinstance(each, PhoneIn) else each for each in phones]


def addresses_in(emails: Iterable[str | EmailIn]) -> list[str]:
    """The addresses as they were sent."""
    return [each.address if isinstance(each, EmailIn) else each for each in emails]


def kinds_in(ask: Ask, phones: Iterable[str | PhoneIn], emails: Iterable[str | EmailIn]) -> ChosenKinds:
    """The kinds that were sent, by number in normal form and by address."""
    return ChosenKinds(
        {
            number: WayChoice(each.kind, each.main)
            for each in phones
            if isinstance(each, PhoneIn) and (number := normalise(each.number, ask.settings.region))
        },
        {each.address.strip(): WayChoice(each.kind, each.main) for each in emails if isinstance(each, EmailIn)},
    )


def _said(agrees: bool | None) -> Literal["given", "withdrawn"] | None:
    return None if agrees is None else "given" if agrees else "withdrawn"


async def _changed(ask: Ask, contact: Contact) -> ContactOut:
    """The client after a change, even if the viewer may no longer see them."""
    await ask.session.flush()
    return (await _contacts(ask, await with_numbers(ask.session, [contact])))[0]


def resume(found: Listed[Any, int]) -> str | None:
    """The cursor where a list stopped looking; None where it did not."""
    return None if found.resume is None else checked_cursors.next_of_id(found.resume)


@special_numbers.get("/special-numbers", needs=Permission.CONTACTS_READ, summary="All special numbers, latest first")
async def read_special_numbers(ask: Ask, query: ShortListQuery) -> Page[SpecialNumberOut]:
    """All numbers, on one page unless you ask for less."""
    rows = await list_special_numbers(ask.session)
    return Page[SpecialNumberOut].part_of(await _special(ask, rows), query)


@special_numbers.get("/special-numbers/{number}", needs=Permission.CONTACTS_READ, summary="One special number")
async def read_special_number(ask: Ask, number: str) -> SpecialNumberOut:
    return (await _special(ask, [await _access_special(ask, number)]))[0]


@special_numbers.post(
    "/special-numbers",
    needs=Permission.CALLBACKS_WORK,
    summary="Say that a number is ours or spam",
    conflicts=True,
    location=lambda special: f"/special-numbers/{special.number}",
)
async def add_special_number(ask: Ask, body: NewSpecialNumber) -> SpecialNumberOut:
    """Open callbacks of the number are closed, as by `POST /callbacks/{callback_id}/result` with `spam`: spam needs a call of
    yours or, in `note`, why there is none (422). 409 where the callback's lamp burns and nobody called.
    """
    special = await put_on_list(
        ask.session,
        ask.viewer,
        check_whole_number(body.number, ask.settings.region),
        NumberKind(body.kind),
        note=body.note,
        region=ask.settings.region,
        now=ask.now,
    )
    return (await _special(ask, [special]))[0]


@special_numbers.delete(
    "/special-numbers/{number}", needs=Permission.CALLBACKS_WORK, summary="Take a number off the lists"
)
async def remove_special_number(ask: Ask, number: str) -> None:
    special = await _access_special(ask, number)
    await take_off_list(ask.session, ask.viewer, special.number, now=ask.now)


async def _access_special(ask: Ask, number: str) -> SpecialNumber:
    found = await special_number(ask.session, normalise(number, ask.settings.region))
    if found is None:
        raise NotFound("numbers.not_found", "This number is on no list.")
    return found


async def _contacts(ask: Ask, rows: list[ContactRow]) -> list[ContactOut]:
    logins = await logins_of(ask.session, [row.contact.responsible_id for row in rows])
    customs = await values_out(ask, FieldEntity.CONTACT, [row.contact.custom for row in rows])
    agree = await consent_now(ask.session, [row.contact.id or 0 for row in rows])
    return [
        ContactOut(
            id=row.contact.id or 0,
            name=row.contact.name,
            phones=[
                PhoneOut(
                    number=phone.number,
                    extension=phone.extension,
                    label=phone.label,
                    kind=phone.kind,
                    main=place == 0,
                )
                for place, phone in enumerate(row.phones)
            ],
            emails=[
                EmailOut(address=email.address, label=email.label, kind=email.kind, main=place == 0)
                for place, email in enumerate(row.emails)
            ],
            birthday=iso_birthday(row.contact.birth_year, row.contact.birth_day),
            language=row.contact.language,
            age=age_on(ask.now.date(), row.contact.birth_year, row.contact.birth_day),
            consent=_said(agree.get(row.contact.id or 0)),
            company_id=row.contact.company_id,
            company=row.company.name if row.company else None,
            responsible=logins.get(row.contact.responsible_id),
            note=row.contact.note,
            fields=custom,
            created_at=row.contact.created_at,
            version=row.contact.version,
        )
        for row, custom in zip(rows, customs, strict=True)
    ]


async def _special(ask: Ask, rows: list[SpecialNumber]) -> list[SpecialNumberOut]:
    logins = await logins_of(ask.session, [row.added_by_id for row in rows])
    return [
        SpecialNumberOut(
            number=row.number,
            kind=NumberKind(row.kind),
            note=row.note,
            added_by=logins.get(row.added_by_id),
            added_at=row.added_at,
        )
        for row in rows
    ]
