"""What the conditions of rules may ask of an event and its subject: the deal, its client, the call, what was changed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import null
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.beside_facts import Beside, TeamClock, load_beside
from pbxcrm.automation.beside_terms import LINE, beside_terms, whole
from pbxcrm.automation.hook_rules import HookValue, millionths
from pbxcrm.automation.triggers import DEAL, DIRECTIONS, EVENT_KINDS, KIND_OF_ACT, OUTCOMES, WRITERS, changed_fields
from pbxcrm.calendars.queries import Calendars
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal
from pbxcrm.deals.term_facts import DealWithFacts, load_term_facts
from pbxcrm.deals.terms import deal_terms
from pbxcrm.fields.conditions import Op, Shape, Term
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import FieldSet
from pbxcrm.fields.rules import MILLION, Checking, Stored
from pbxcrm.fields.terms import custom_terms, under
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_

_WORDS = (Op.IS, Op.IS_NOT, Op.IN, Op.EMPTY, Op.FILLED)


@dataclass(frozen=True, slots=True)
class _ClientFacts:
    """Where the terms of the client's fields look for their values."""

    custom: Mapping[str, Any]
    name: str = ""


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """An event with its subject. ``deal`` is None for a rule that works on clients. ``act`` is empty when a wait ends."""

    deal: DealWithFacts | None
    contact: Contact | None = None
    act: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    beside: Beside = field(default_factory=Beside)
    clock: TeamClock | None = None

    def at(self, moment: datetime, calendars: Calendars) -> "RuleFacts":
        """The facts at a moment by the calendar of whoever is responsible; that of the office where nobody is."""
        whose = self.deal.deal if self.deal is not None else self.contact
        hours = calendars.of_user(whose.responsible_id if whose is not None else None)
        return replace(self, clock=TeamClock(moment, hours))

    @property
    def client(self) -> _ClientFacts:
        """The client, or one who has no values."""
        return _ClientFacts(self.contact.custom, self.contact.name) if self.contact is not None else _ClientFacts({})


async def load_facts(
    session: AsyncSession, deal: Deal | None, contact_id: int | None, asked: Collection[str] | None = None
) -> RuleFacts:
    """The facts of a deal, or of a client, as they are now; its event is put beside them. ``asked`` as for ``load_facts_of``."""
    return (await load_facts_of(session, [(deal, contact_id)], asked))[0]


async def load_facts_of(
    session: AsyncSession,
    subjects: Sequence[tuple[Deal | None, int | None]],
    asked: Collection[str] | None = None,
) -> Sequence[RuleFacts]:
    """The facts of deals and clients, in the same order, in a fixed number of queries. ``asked``: the names of the terms that conditions
    ask; None: any.
    """
    deals = [deal for deal, _ in subjects if deal is not None]
    of_deals = {each.deal.id: each for each in await load_term_facts(session, deals)}
    client_ids = [deal.contact_id if deal is not None else contact_id for deal, contact_id in subjects]
    clients = await load_by_id(session, Contact, client_ids)
    rows = [(deal, clients.get(client_id)) for (deal, _), client_id in zip(subjects, client_ids, strict=True)]
    return [
        RuleFacts(of_deals[deal.id] if deal is not None else None, contact, beside=beside)
        for (deal, contact), beside in zip(rows, await load_beside(session, rows, asked), strict=True)
    ]


def rule_terms(fields: FieldSet, checking: Checking, subject: str, hook_values: Mapping[str, str]) -> dict[str, Term]:
    """Every term of a rule by name: of the deal as in lists, ``client.``, ``call.``, ``event.`` and ``hook.``; asked in Python only.

    ``hook_values``: the values that incoming webhooks declare, with what each is.
    """
    terms: dict[str, Term] = {}
    if subject == DEAL:
        terms |= under("", deal_terms(fields, checking, filterable=False), lambda facts: facts.deal)
    of_client = custom_terms(fields, FieldEntity.CONTACT, Contact, checking, filterable=False)
    terms |= under("client.", {"name": _name(), **of_client}, lambda facts: facts.client)
    if subject == DEAL:
        terms |= {each.name: each for each in (*_of_event(), LINE)}
    terms |= {each.name: each for each in beside_terms()}
    return terms | {each.name: each for each in (_of_hook(key, kind) for key, kind in sorted(hook_values.items()))}


def _of_hook(key: str, kind: str) -> Term:
    """What a webhook sent. It has no title but its name."""

    def text(facts: RuleFacts) -> str | None:
        found: str | None = facts.data.get("hook", {}).get(key)
        return found

    if kind == HookValue.NUMBER:
        return Term(f"hook.{key}", key, Shape.INTEGER, null(), lambda facts: millionths(text(facts)), _decimal, _bound)
    only = (Op.IS, Op.IS_NOT, Op.IN, Op.BEGINS, Op.EMPTY, Op.FILLED)
    return Term(f"hook.{key}", key, Shape.TEXT, null(), text, _text, only=only)


def _decimal(entered: Any) -> Stored:
    found = millionths(str(entered)) if isinstance(entered, str | int) and not isinstance(entered, bool) else None
    if found is None:
        raise Invalid("", "form.decimal", "Write a number.")
    return found


def _bound(stored: Any) -> Any:
    return Decimal(stored) / MILLION if isinstance(stored, int) else stored


def _of_event() -> tuple[Term, ...]:
    return (
        _word("call.direction", N_("Direction of the call"), DIRECTIONS),
        _word("call.outcome", N_("How the call ended"), OUTCOMES),
        Term("call.talk_seconds", N_("Seconds talked"), Shape.INTEGER, null(), _talked, whole),
        _word("event.kind", N_("What happened"), EVENT_KINDS, lambda facts: KIND_OF_ACT.get(facts.act)),
        _word("event.client", N_("Whose request it is"), WRITERS),
        Term(
            "event.field",
            N_("What was changed"),
            Shape.LIST,
            null(),
            lambda facts: tuple(sorted(changed_fields(facts.act, facts.data))),
            _text,
            only=(Op.HAS, Op.IN),
        ),
    )


def _talked(facts: RuleFacts) -> Stored:
    talked = facts.data.get("talk_seconds")
    return None if talked is None else int(talked)


def _word(name: str, title: str, known: Collection[str], read_by: Callable[[RuleFacts], Stored] | None = None) -> Term:
    key = name.partition(".")[2]

    def read(facts: RuleFacts) -> Stored:
        return read_by(facts) if read_by is not None else facts.data.get(key)

    def check(entered: Any) -> Stored:
        if entered not in known:
            raise Invalid(name, "conditions.word", "Choose one of: {words}", words=", ".join(known))
        return str(entered)

    return Term(name, title, Shape.TEXT, null(), read, check, only=_WORDS)


def _name() -> Term:
    only = (Op.IS, Op.IS_NOT, Op.IN, Op.BEGINS, Op.EMPTY, Op.FILLED)
    return Term("name", N_("Client"), Shape.TEXT, null(), lambda client: client.name or None, _text, only=only)


def _text(entered: Any) -> Stored:
    if not isinstance(entered, str):
        raise Invalid("", "conditions.text_only", "Write a text.")
    return entered.strip() or None
