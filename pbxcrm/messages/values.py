"""The fields that templates may name, and their values for a deal or a client, in the language of who reads them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.calls.rules import NO_NUMBER
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.contacts.queries import ContactRow, with_numbers
from pbxcrm.deals.fields import FIELDS
from pbxcrm.deals.formula_texts import text_values
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import Funnel, load_funnel
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import FieldSet, load_fields
from pbxcrm.fields.rules import as_entered, stored_in
from pbxcrm.fields.terms import name_of_term
from pbxcrm.formulas.evaluating import evaluate
from pbxcrm.formulas.functions import FormulaTime, Value
from pbxcrm.formulas.texts import said
from pbxcrm.messages.models import MessageChannel
from pbxcrm.messages.sms_rules import number_for_sms
from pbxcrm.messages.template_rules import LINK
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.runtime_options import Options, load_options
from pbxcrm.shared.texts import one_line
from pbxcrm.shared.wording import word_in

#: Fields besides those of a deal and custom ones: their names in braces, and their titles.
OWN_FIELDS: Mapping[str, str] = {
    "deal.number": N_("Number of the deal"),
    "deal.stage": N_("Stage"),
    "client.name": N_("Client"),
    "client.number": N_("Number of the client"),
    "client.email": N_("E-mail of the client"),
    "company.name": N_("Company"),
    "responsible.name": N_("Responsible"),
    "responsible.email": N_("E-mail of the responsible person"),
    "own.name": N_("Our company"),
    "own.phone": N_("Our telephone"),
    "own.site": N_("Our site"),
    LINK: N_("Link that ends messages"),
}
_PREFIXES = {FieldEntity.DEAL: "deal", FieldEntity.CONTACT: "client", FieldEntity.COMPANY: "company"}
_NOT_SAID = frozenset({ValueKind.FILE.value, ValueKind.LINK.value})
_YES = {"en": ("yes", "no"), "uk": ("так", "ні"), "ru": ("да", "нет")}


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What a message to a client may say. ``contact`` is None for a deal without a client."""

    deal: Deal | None
    contact: ContactRow | None
    funnel: Funnel
    fields: FieldSet
    people: Directory
    options: Options
    calendars: Calendars

    @property
    def timezone(self) -> ZoneInfo:
        """The one of the office."""
        return self.calendars.default.timezone

    @property
    def company(self) -> Company | None:
        """The company of the client."""
        return self.contact.company if self.contact is not None else None

    @property
    def language(self) -> str:
        """The language that the client reads; empty: not known."""
        return self.contact.contact.language if self.contact is not None else ""

    def address_for(self, channel: str) -> str:
        """Where a message of the channel goes; empty: nowhere. An SMS goes to a mobile number if one is known."""
        rows = self.contact
        if channel == MessageChannel.EMAIL:
            return rows.emails[0].address if rows is not None and rows.emails else ""
        numbers = [(each.number, each.kind) for each in rows.phones] if rows is not None else []
        if not numbers and self.deal is not None and self.deal.client_number:
            numbers = [(self.deal.client_number, "")]
        return number_for_sms(numbers)

    def values(self, language: str) -> dict[str, str]:
        """The value of each field by its name; empty for none."""
        found = {**self._of_deal(language), **self._of_people()}
        rows: tuple[tuple[FieldEntity, Deal | Contact | Company | None], ...] = (
            (FieldEntity.DEAL, self.deal),
            (FieldEntity.CONTACT, self.contact.contact if self.contact is not None else None),
            (FieldEntity.COMPANY, self.company),
        )
        for entity, row in rows:
            for definition in self.fields.of(entity):
                stored = stored_in(row.custom, definition) if row is not None else None
                name = f"{_PREFIXES[entity]}.{name_of_term(definition)}"
                found[name] = self._said(definition, stored, language) if stored is not None else ""
        return found

    def formulas(self, language: str, now: datetime) -> Callable[[str], str]:
        """What gives the value of a formula; empty for none. It raises FormulaError."""
        deal = self.deal
        known = text_values(
            deal,
            self.contact.contact if self.contact is not None else None,
            self.fields,
            stage=self._stage(deal, language) if deal is not None else "",
            responsible=self.people.name(deal.responsible_id) if deal is not None else "",
        )
        around = FormulaTime(now, self.calendars.of_user(deal.responsible_id if deal is not None else None))

        def compute(formula: str) -> str:
            return self._told(evaluate(formula, known, around), around, language)

        return compute

    def _told(self, value: Value, around: FormulaTime, language: str) -> str:
        """What a formula gave as the same field would be said."""
        if isinstance(value, Decimal):
            return format_decimal(value, locale=language)
        if isinstance(value, datetime):
            return self._moment(value, language)
        return format_date(value, "long", locale=language) if isinstance(value, date) else said(value, around)

    def _stage(self, deal: Deal, language: str) -> str:
        stage = self.funnel.stages.get(deal.stage_id)
        return word_in(language, stage.name) if stage is not None else ""

    def _of_deal(self, language: str) -> dict[str, str]:
        deal = self.deal
        if deal is None:
            return {}
        found = {"deal.number": str(deal.id or ""), "deal.stage": self._stage(deal, language)}
        for field in FIELDS:
            value = getattr(deal, field.key)
            if isinstance(value, Decimal):
                found[f"deal.{field.key}"] = format_currency(value, deal.currency, locale=language)
            elif isinstance(value, datetime):
                found[f"deal.{field.key}"] = self._moment(value, language)
            else:
                found[f"deal.{field.key}"] = word_in(language, value) if value == NO_NUMBER else value or ""
        return found

    def _of_people(self) -> dict[str, str]:
        contact, own = self.contact, self.options
        deal = self.deal
        owner_id = deal.responsible_id if deal is not None else contact.contact.responsible_id if contact else None
        owner = self.people.active(owner_id)
        number = contact.phones[0].number if contact is not None and contact.phones else None
        return {
            "client.name": one_line(contact.contact.name) if contact is not None else "",
            "client.number": number or (deal.client_number if deal is not None else None) or "",
            "client.email": contact.emails[0].address if contact is not None and contact.emails else "",
            "company.name": one_line(self.company.name) if self.company is not None else "",
            "responsible.name": owner.name if owner is not None else "",
            "responsible.email": owner.email if owner is not None else "",
            "own.name": own.message_own_name,
            "own.phone": own.message_own_phone,
            "own.site": own.message_own_site,
            LINK: f"{{{LINK}}}",
        }

    def _said(self, definition: FieldDefinition, value: Any, language: str) -> str:
        names = {each["id"]: str(each["name"]) for each in definition.options}
        match definition.kind:
            case ValueKind.YES_NO:
                return _YES[language][0 if value else 1]
            case ValueKind.CHOICE:
                return names.get(value, "")
            case ValueKind.SEVERAL:
                return ", ".join(names.get(each, "") for each in value)
            case ValueKind.PERSON:
                return self.people.name(value)
            case ValueKind.DATE:
                return format_date(date.fromisoformat(value), "long", locale=language)
            case ValueKind.MOMENT:
                return self._moment(datetime.fromisoformat(value), language)
            case ValueKind.NUMBER:
                return format_decimal(Decimal(str(as_entered(definition, value))), locale=language)
            case ValueKind.MONEY:
                amount = Decimal(str(as_entered(definition, value)))
                return format_currency(amount, definition.currency, locale=language)
            case ValueKind.FILE | ValueKind.LINK:
                return ""
            case _:
                return str(value)

    def _moment(self, moment: datetime, language: str) -> str:
        local = moment.astimezone(self.timezone)
        return f"{format_date(local.date(), 'long', locale=language)}, {local:%H:%M}"


def field_titles(fields: FieldSet) -> dict[str, str]:
    """The fields that a template may name: their titles, in English unless they are custom ones."""
    found = {f"deal.{field.key}": field.name for field in FIELDS} | dict(OWN_FIELDS)
    for entity, prefix in _PREFIXES.items():
        found |= {
            f"{prefix}.{name_of_term(each)}": each.name for each in fields.of(entity) if each.kind not in _NOT_SAID
        }
    return dict(sorted(found.items(), key=lambda each: each[0].partition(".")[0]))


async def load_message_facts(session: AsyncSession, deal: Deal | None, contact_id: int | None) -> MessageFacts:
    """What may be said about a deal, or (``deal`` None) about a client. The caller has checked access."""
    wanted = deal.contact_id if deal is not None else contact_id
    contact = await session.get(Contact, wanted) if wanted is not None else None
    rows = await with_numbers(session, [contact]) if contact is not None else []
    people = await load_directory(session)
    return MessageFacts(
        deal,
        rows[0] if rows else None,
        await load_funnel(session),
        await load_fields(session),
        people,
        await load_options(session),
        await load_calendars(session, people),
    )
