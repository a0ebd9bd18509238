"""Changes clients, companies, their numbers, and the list of own and spam numbers."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from pbxcrm.access import Permission, Viewer, can, check, decides_for
from pbxcrm.audit.actions import record
from pbxcrm.audit.rules import differences
from pbxcrm.contacts.access import editable_companies, editable_contacts, visible_companies
from pbxcrm.contacts.audit_queries import fields_of, fields_of_company
from pbxcrm.contacts.birthday_rules import read_birthday
from pbxcrm.contacts.hints import say_company_changed, say_contact_changed
from pbxcrm.contacts.kind_actions import do_set_kinds
from pbxcrm.contacts.kind_rules import NOTHING_CHOSEN, ChosenKinds, kind_of
from pbxcrm.contacts.merge_rules import company_merged_meanwhile, merged_meanwhile
from pbxcrm.contacts.models import Company, Contact, Email, NumberKind, Phone, SpecialNumber
from pbxcrm.contacts.number_owners import had_since
from pbxcrm.contacts.queries import access_company, access_contact, contacts_of_number, special_number
from pbxcrm.contacts.rules import check_emails, check_language, check_name, check_number, check_numbers
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.rules import Entered, Stored
from pbxcrm.fields.value_actions import do_compute_values, do_set_values
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.people.queries import access_worker
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound
from pbxcrm.shared.hooks import Hook
from pbxcrm.shared.lengths import check_optional_text
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.numbers import Written
from pbxcrm.shared.reasons import Reason
from pbxcrm.shared.search_keys import folded, search_key

#: The code of the error for a company whose name another visible one has.
KNOWN_COMPANY = "companies.known_name"
#: The viewer gave the number to this contact: its rows without a contact become theirs, but none of others that the viewer may not change.
number_linked = Hook[Viewer, int, str, datetime]("contacts.number_linked")
#: The viewer takes that back, alone or with a merge: what the contact got and still has goes back. Ids by ``table.column``.
number_unlinked = Hook[Viewer, int, Mapping[str, Sequence[int]], datetime]("contacts.number_unlinked")
#: A viewer put a number on the list of own and spam numbers, at this time.
number_marked = Hook[Viewer, str, NumberKind, datetime]("contacts.number_marked")
#: A viewer took a number off the list, so what the mark had closed opens again; with the removed row and the time.
number_unmarked = Hook[Viewer, SpecialNumber, datetime]("contacts.number_unmarked")


async def _access_responsible(session: AsyncSession, viewer: Viewer, user_id: int) -> User:
    """Somebody to whom the viewer may give a client and whose role can change one. Raises Invalid at ``responsible_id``."""
    return await access_worker(session, viewer, user_id, field="responsible_id", permission=Permission.CONTACTS_EDIT)


async def create_contact(
    session: AsyncSession,
    viewer: Viewer,
    *,
    name: str,
    now: datetime,
    region: str,
    phones: Iterable[str] = (),
    emails: Iterable[str] = (),
    company_id: int | None = None,
    company_name: str = "",
    responsible_id: int | None = None,
    note: str = "",
    custom: Mapping[str, Entered] = MappingProxyType({}),
    birthday: str = "",
    language: str = "",
    kinds: ChosenKinds = NOTHING_CHOSEN,
) -> Contact:
    """Add a client by hand; ``custom`` are custom fields as entered, ``birthday`` as in ``read_birthday``. Earlier calls and deals of
    the numbers become theirs.
    """
    check(viewer, Permission.CONTACTS_EDIT)
    name, numbers, addresses = check_name(name), check_numbers(phones, region), check_emails(emails)
    birth_year, birth_day = read_birthday(birthday, now.date())
    if responsible_id is not None:
        await _access_responsible(session, viewer, responsible_id)
    contact = Contact(
        name=name,
        birth_year=birth_year,
        birth_day=birth_day,
        language=check_language(language),
        company_id=await _company(session, viewer, company_id, company_name, now),
        responsible_id=responsible_id if responsible_id is not None else viewer.user_id,
        note=check_optional_text(note, Contact.note, "note"),
        created_at=now,
    )
    session.add(contact)
    await session.flush()
    assert contact.id is not None
    for address in addresses:
        session.add(Email(contact_id=contact.id, address=address))
    for number in numbers:
        await _link(session, viewer, contact, number, now)
    await do_set_kinds(session, contact.id, kinds)
    written = [one.number for one in numbers]
    record(session, now, "contact.created", "contact", contact.id, actor=viewer, name=name, phones=written)
    if changed := await do_set_values(session, viewer, FieldEntity.CONTACT, contact, custom, region=region):
        record(session, now, "contact.edited", "contact", contact.id, actor=viewer, changed=changed)
    await say_contact_changed(session, contact, now)
    return contact


async def do_create_contact(
    session: AsyncSession,
    *,
    name: str,
    numbers: Iterable[Written],
    addresses: Iterable[str],
    company: str,
    owner: Viewer | None,
    why: Reason,
    now: datetime,
) -> Contact:
    """A client who came by themselves, with what they wrote; the values are checked already. ``owner`` gets them.

    Earlier rows of the numbers become theirs as if the owner had added the client; without an owner they stay as they are.
    """
    company_id = await _company(session, owner, None, company, now) if owner is not None else None
    contact = Contact(
        name=name, company_id=company_id, responsible_id=owner.user_id if owner is not None else None, created_at=now
    )
    session.add(contact)
    await session.flush()
    assert contact.id is not None
    await do_compute_values(session, FieldEntity.CONTACT, contact)
    session.add_all(Email(contact_id=contact.id, address=address) for address in addresses)
    for one in numbers:
        if owner is not None:
            await _link(session, owner, contact, one, now)
        else:
            kind, label = kind_of(one)
            session.add(
                Phone(contact_id=contact.id, number=one.number, extension=one.extension, label=label, kind=kind)
            )
    written = [one.number for one in numbers]
    record(session, now, "contact.created", "contact", contact.id, actor=None, reason=why, name=name, phones=written)
    await session.flush()
    await say_contact_changed(session, contact, now)
    return contact


async def edit_contact(
    session: AsyncSession,
    viewer: Viewer,
    contact_id: int,
    *,
    version: int | None,
    now: datetime,
    region: str,
    name: str | None = None,
    phones: Iterable[str] | None = None,
    emails: Iterable[str] | None = None,
    company_id: int | None = None,
    company_name: str | None = None,
    responsible_id: int | None = None,
    note: str | None = None,
    custom: Mapping[str, Entered] = MappingProxyType({}),
    seen: Mapping[str, Stored] | None = None,
    birthday: str | None = None,
    language: str | None = None,
    kinds: ChosenKinds = NOTHING_CHOSEN,
) -> Contact:
    """Change the given fields; ``custom`` are custom fields as entered, ``seen`` what the viewer saw in them (``do_set_values``). The history of a removed number stays with the client; a new number brings its own."""
    contact = await access_contact_for_change(session, viewer, contact_id, version)
    before = await fields_of(session, contact)
    if name is not None:
        contact.name = check_name(name)
    if phones is not None:
        await _set_numbers(session, viewer, contact, check_numbers(phones, region), now)
    if emails is not None:
        await _set_emails(session, contact_id, check_emails(emails))
    await do_set_kinds(session, contact_id, kinds)
    if birthday is not None:
        contact.birth_year, contact.birth_day = read_birthday(birthday, now.date())
    if language is not None:
        contact.language = check_language(language)
    if company_id is not None or company_name is not None:
        contact.company_id = await _company(session, viewer, company_id, company_name or "", now)
    if responsible_id is not None and responsible_id != contact.responsible_id:
        contact.responsible_id = (await _access_responsible(session, viewer, responsible_id)).id
    if note is not None:
        contact.note = check_optional_text(note, Contact.note, "note")
    changed = await do_set_values(session, viewer, FieldEntity.CONTACT, contact, custom, region=region, seen=seen)
    changed |= differences(before, await fields_of(session, contact))
    contact.version += 1
    record(session, now, "contact.edited", "contact", contact_id, actor=viewer, changed=changed)
    await say_contact_changed(session, contact, now)
    return contact


async def link_number(
    session: AsyncSession, viewer: Viewer, contact_id: int, number: str, *, region: str, now: datetime
) -> Contact:
    """Add a number to a client; calls, deals and open callbacks of the number become theirs."""
    contact = await access_contact_for_change(session, viewer, contact_id, None)
    number = check_number(number, region)
    await _link(session, viewer, contact, Written(number), now)
    contact.version += 1
    record(session, now, "contact.number_linked", "contact", contact_id, actor=viewer, number=number)
    await say_contact_changed(session, contact, now)
    return contact


async def do_unlink_number(
    session: AsyncSession,
    viewer: Viewer,
    contact_id: int,
    number: str,
    given: Mapping[str, Sequence[int]],
    now: datetime,
) -> None:
    """Undo the viewer's ``link_number``, which gave the client the rows ``given``: ids by ``table.column``."""
    contact = await lock_row(session, Contact, contact_id)
    theirs = select(Phone).where(Phone.contact_id == contact_id, Phone.number == number)
    for phone in (await session.exec(theirs)).all():
        await session.delete(phone)
    await number_unlinked(session, viewer, contact_id, given, now)
    contact.version += 1
    record(session, now, "contact.number_unlinked", "contact", contact_id, actor=viewer, number=number)
    await say_contact_changed(session, contact, now)


async def add_to_contact(
    session: AsyncSession,
    viewer: Viewer,
    contact_id: int,
    *,
    now: datetime,
    region: str,
    name: str = "",
    phones: Iterable[str] = (),
    emails: Iterable[str] = (),
    company_name: str = "",
    note: str = "",
) -> Contact:
    """Add to a client what was typed of a new one; nothing of theirs is replaced.

    Numbers and addresses they do not have become theirs. Another name is the label of the new numbers, or, where none is
    new, stands in the note. The company counts where they have none.
    """
    contact = await access_contact_for_change(session, viewer, contact_id, None)
    name, numbers, addresses = name.strip(), check_numbers(phones, region), check_emails(emails)
    phones_had = await session.exec(select(Phone).where(Phone.contact_id == contact_id))
    had = {phone.number: phone.label for phone in phones_had.all()}
    label = name if name and contact.name and search_key(name) != search_key(contact.name) else ""
    added = [one for one in numbers if one.number not in had]
    for one in added:
        await _link(session, viewer, contact, Written(one.number, one.extension, one.name or label), now)
    emails_had = await session.exec(select(Email.address).where(Email.contact_id == contact_id))
    addresses_had = set(emails_had.all())
    session.add_all(Email(contact_id=contact_id, address=each) for each in addresses if each not in addresses_had)
    if name and not contact.name:
        contact.name = check_name(name)
    if company_name.strip() and contact.company_id is None:
        contact.company_id = await _company(session, viewer, None, company_name, now)
    said = [note.strip(), "" if added or label in had.values() else label]
    noted = [contact.note, *(part for part in said if part not in contact.note)]  # sent twice, it is said once
    contact.note = check_optional_text("\n".join(part for part in noted if part), Contact.note, "note")
    contact.version += 1
    record(session, now, "contact.edited", "contact", contact_id, actor=viewer)
    await say_contact_changed(session, contact, now)
    return contact


async def create_company(
    session: AsyncSession,
    viewer: Viewer,
    *,
    name: str,
    now: datetime,
    note: str = "",
    custom: Mapping[str, Entered] = MappingProxyType({}),
    region: str = "",
    same_name: bool = False,
) -> Company:
    """Add a company; ``custom`` are custom fields as entered. ``same_name``: also beside a visible one with this name.

    Raises Invalid, at ``name`` with ``KNOWN_COMPANY`` for a name that a visible company has, and NotAllowed.
    """
    check(viewer, Permission.CONTACTS_EDIT)
    kept, name = check_optional_text(note, Company.note, "note"), check_name(name)
    if not same_name and (known := await company_of_name(session, viewer, name)) is not None:
        raise Invalid("name", KNOWN_COMPANY, "There is a company “{name}” already.", name=known.name)
    company = Company(name=name, responsible_id=viewer.user_id, note=kept, created_at=now)
    session.add(company)
    await session.flush()
    record(session, now, "company.created", "company", company.id, actor=viewer, name=company.name)
    if changed := await do_set_values(session, viewer, FieldEntity.COMPANY, company, custom, region=region):
        record(session, now, "company.edited", "company", company.id, actor=viewer, changed=changed)
    await say_company_changed(session, company, now)
    return company


async def edit_company(
    session: AsyncSession,
    viewer: Viewer,
    company_id: int,
    *,
    version: int | None,
    now: datetime,
    name: str | None = None,
    note: str | None = None,
    custom: Mapping[str, Entered] = MappingProxyType({}),
    seen: Mapping[str, Stored] | None = None,
    region: str = "",
    responsible_id: int | None = None,
) -> Company:
    """Change the given fields of a company that the viewer may edit; ``custom``, ``seen``: as in ``edit_contact``. Raises Conflict for an old ``version``, NotAllowed, NotFound, Invalid."""
    check(viewer, Permission.CONTACTS_EDIT)
    company = await access_company(session, viewer, company_id)
    await check_company_editable(session, viewer, company)
    company = await lock_row(session, Company, company_id)
    if company.merged_into_id is not None:
        raise company_merged_meanwhile()
    if version is not None and company.version != version:
        raise Conflict(
            "companies.stale", "Somebody changed this company meanwhile. Look at it again before you change it."
        )
    before = fields_of_company(company)
    if name is not None:
        company.name = check_name(name)
    if note is not None:
        company.note = check_optional_text(note, Company.note, "note")
    if responsible_id is not None and responsible_id != company.responsible_id:
        company.responsible_id = (await _access_responsible(session, viewer, responsible_id)).id
    changed = await do_set_values(session, viewer, FieldEntity.COMPANY, company, custom, region=region, seen=seen)
    changed |= differences(before, fields_of_company(company))
    company.version += 1
    record(session, now, "company.edited", "company", company_id, actor=viewer, name=company.name, changed=changed)
    await say_company_changed(session, company, now)
    return company


async def mark_number(
    session: AsyncSession, viewer: Viewer, number: str, kind: NumberKind, *, note: str = "", region: str, now: datetime
) -> SpecialNumber:
    """Mark a number as our own or as spam; its open callbacks are closed.

    Spam may be marked by whoever works callbacks; our own numbers by a manager or an administrator. Whether the number is
    another's is asked before (``callbacks.listing.put_on_list``).
    """
    check(viewer, Permission.CALLBACKS_WORK)
    if kind is NumberKind.OWN:
        check(viewer, Permission.NUMBERS_LIST_EDIT)
    number = check_number(number, region)
    await lock(session, f"special:{number}")
    known = await special_number(session, number)
    if known is not None and known.kind == NumberKind.OWN and not can(viewer, Permission.NUMBERS_LIST_EDIT):
        raise Conflict("numbers.own", "This number is on the list of our own. Only a manager can change that.")
    note = check_optional_text(note, SpecialNumber.note, "note")
    # A second mark keeps the first time, which tells which callbacks were closed because of it.
    since = known.added_at if known is not None and known.kind == kind else now
    special = await session.merge(
        SpecialNumber(number=number, kind=kind.value, note=note, added_by_id=viewer.user_id, added_at=since)
    )
    await number_marked(session, viewer, number, kind, now)
    record(session, now, "number.marked", "number", number, actor=viewer, kind=kind.value)
    return special


async def unmark_number(session: AsyncSession, viewer: Viewer, number: str, *, now: datetime) -> None:
    """Take a number off the list, so its calls make deals again. Allowed for the one who marked it and their managers."""
    check(viewer, Permission.CALLBACKS_WORK)
    special = await session.get(SpecialNumber, number)
    if special is None:
        raise NotFound("numbers.not_found", "This number is on no list.")
    if not decides_for(viewer, special.added_by_id or 0, await load_directory(session)):
        raise NotAllowed("numbers.not_yours", "Only whoever put the number on the list may do this, or their manager.")
    await do_unmark_number(session, viewer, special, now)


async def do_unmark_number(session: AsyncSession, viewer: Viewer, special: SpecialNumber, now: datetime) -> None:
    """Take a number off the list and reopen what the mark closed. The caller has checked access."""
    await session.delete(special)
    await session.flush()
    await number_unmarked(session, viewer, special, now)
    record(session, now, "number.unmarked", "number", special.number, actor=viewer, kind=special.kind)


async def access_contact_for_change(
    session: AsyncSession, viewer: Viewer, contact_id: int, version: int | None
) -> Contact:
    """The contact, locked for this transaction. Raises Conflict if ``version`` is old, NotAllowed, NotFound."""
    check(viewer, Permission.CONTACTS_EDIT)
    contact = await access_contact(session, viewer, contact_id)
    if contact.id != contact_id:
        raise merged_meanwhile()
    await check_editable(session, viewer, contact)
    contact = await lock_row(session, Contact, contact_id)
    if contact.merged_into_id is not None:
        raise merged_meanwhile()
    if version is not None and contact.version != version:
        raise Conflict(
            "contacts.stale", "Somebody changed this client meanwhile. Look at it again before you change it."
        )
    return contact


async def check_editable(session: AsyncSession, viewer: Viewer, contact: Contact) -> None:
    """Raise NotAllowed, naming the responsible user, if the viewer may not change this client."""
    editable = select(Contact.id).where(Contact.id == contact.id, editable_contacts(viewer))
    await _check_editable(session, viewer, editable, contact)


async def check_company_editable(session: AsyncSession, viewer: Viewer, company: Company) -> None:
    """Raise NotAllowed, naming the responsible user, if the viewer may not change this company."""
    editable = select(Company.id).where(Company.id == company.id, editable_companies(viewer))
    await _check_editable(session, viewer, editable, company)


async def _check_editable(
    session: AsyncSession, viewer: Viewer, editable: SelectOfScalar[Any], row: Contact | Company
) -> None:
    """Raise NotAllowed, naming the responsible user, unless ``editable`` finds the row."""
    if (await session.exec(editable)).first() is None:
        who = (await load_directory(session)).name(row.responsible_id) or "—"
        raise NotAllowed("contacts.not_yours", "{who} is responsible here: ask this person to change it.", who=who)


async def _set_numbers(
    session: AsyncSession, viewer: Viewer, contact: Contact, numbers: list[Written], now: datetime
) -> None:
    found = await session.exec(select(Phone).where(Phone.contact_id == contact.id))
    had = {phone.number: phone for phone in found.all()}
    for number, phone in had.items():
        if number not in {one.number for one in numbers}:
            await session.delete(phone)
    for one in numbers:
        if one.number in had:
            had[one.number].extension = one.extension
            kind, label = kind_of(one)
            had[one.number].label = label or had[one.number].label
            had[one.number].kind = kind if one.name and not label else had[one.number].kind
        else:
            await _link(session, viewer, contact, one, now)


async def _set_emails(session: AsyncSession, contact_id: int, addresses: list[str]) -> None:
    """Set the addresses; unchanged ones keep their rows and with them their labels."""
    found = await session.exec(select(Email).where(Email.contact_id == contact_id))
    had = {email.address: email for email in found.all()}
    for address, email in had.items():
        if address not in addresses:
            await session.delete(email)
    session.add_all(Email(contact_id=contact_id, address=address) for address in addresses if address not in had)


async def _link(session: AsyncSession, viewer: Viewer, contact: Contact, written: Written, now: datetime) -> None:
    """Add the number to the contact; its rows without a contact become theirs, unless others have the number too.

    What is in the hands of others and the viewer may not change stays as it is (``number_owners``).
    """
    assert contact.id is not None
    number = written.number
    others = [c for c in await contacts_of_number(session, number) if c.id != contact.id]
    found = await session.exec(select(Phone).where(Phone.contact_id == contact.id, Phone.number == number))
    phone, since = found.first(), await had_since(session, viewer, number, now)
    if phone is None:
        kind, label = kind_of(written)
        phone = Phone(
            contact_id=contact.id, number=number, extension=written.extension, label=label, kind=kind, since=since
        )
        session.add(phone)
    else:
        phone.since = min(phone.since or contact.created_at, since)
    if others:  # ambiguous: earlier rows may belong to any of them
        return
    await number_linked(session, viewer, contact.id, number, now)


async def _company(
    session: AsyncSession, viewer: Viewer, company_id: int | None, name: str, now: datetime
) -> int | None:
    """The id of the given company, or of the visible one with this name; a new one is added if there is none."""
    if company_id is not None:
        return (await access_company(session, viewer, company_id)).id
    if not name.strip():
        return None
    name = check_name(name, "company_name")
    known = await company_of_name(session, viewer, name)
    return (known or await create_company(session, viewer, name=name, now=now, same_name=True)).id


async def company_of_name(session: AsyncSession, viewer: Viewer, name: str) -> Company | None:
    """The oldest visible company with this name, whatever the case of its letters. Others who make one of the name wait for this transaction."""
    await lock(session, f"company:{folded(name)}")  # else two requests at once would both find none
    alike = select(Company).where(Company.name_folded == search_key(name), visible_companies(viewer))
    found = (await session.exec(alike.order_by(col(Company.id)))).all()
    return next((company for company in found if folded(company.name) == folded(name)), None)
