"""Writing messages: composed from a template, queued once by their key, sent by hand, and what a person decides about one."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.contacts.actions import access_contact_for_change
from pbxcrm.deals.actions import access_deal_for_change, say_deal_changed
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import access_deal
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.messages.guards import objection
from pbxcrm.messages.models import Delivery, DeliveryState, MessageChannel, MessageTemplate
from pbxcrm.messages.queries import access_delivery, access_message_template
from pbxcrm.messages.rules import message_id_of
from pbxcrm.messages.sms_rules import MOST_PARTS, size_of, tidy
from pbxcrm.messages.template_rules import LONGEST_SUBJECT, MissingValue, filled, language_for
from pbxcrm.messages.values import MessageFacts, field_titles, load_message_facts
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import MESSAGES, Reason, reason
from pbxcrm.shared.texts import one_line

_KEY_LETTERS = 40  # of a hash: nobody guesses them
_SECRET_BYTES = 24
#: What a person decides about a message of which nobody knows whether it was sent, or that has failed.
UNDECIDED = (DeliveryState.UNKNOWN.value, DeliveryState.FAILED.value)


@dataclass(frozen=True, slots=True)
class Composed:
    """A message as it would be sent. ``fault``: why it cannot be."""

    address: str
    language: str
    subject: str = ""
    body: str = ""
    fault: Reason | None = None


def compose(template: MessageTemplate, facts: MessageFacts, now: datetime, address: str = "") -> Composed:
    """The template with the values of a deal or a client, in the client's language. ``address``: instead of the client's."""
    language = language_for((facts.language, facts.options.message_language), template.texts)
    known = facts.values(language)
    address = address or facts.address_for(template.channel)
    if not address:
        return Composed("", language)  # the guards say so
    compute = facts.formulas(language, now)
    try:
        subject = one_line(filled(template.subjects.get(language, ""), known, compute))[:LONGEST_SUBJECT]
        body = filled(template.texts[language], known, compute)
        body = tidy(body) if template.channel == MessageChannel.SMS else body
    except MissingValue as missing:
        title = field_titles(facts.fields).get(str(missing), str(missing))
        return Composed(address, language, fault=reason("message.no_value", field=title))
    except FormulaError as error:
        return Composed(address, language, fault=reason("message.formula", why=error.at_field("")))
    except (Invalid, KeyError) as error:
        return Composed(address, language, fault=reason("message.gone", why=error))
    parts = size_of(body).parts if template.channel == MessageChannel.SMS else 1
    too_long = reason("message.too_long", parts=parts, most=MOST_PARTS) if parts > MOST_PARTS else None
    return Composed(address, language, subject, body, fault=too_long)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message comes from. ``key``: of two with the same one is written. A rule gives ``rule_id`` and ``event_id``, a person ``by_id``."""

    key: str
    why: Reason | None = None
    rule_id: int | None = None
    event_id: int | None = None
    by_id: int | None = None


async def queue_message(
    session: AsyncSession,
    template: MessageTemplate,
    facts: MessageFacts,
    origin: Origin,
    now: datetime,
    *,
    watches: bool = False,
) -> Delivery:
    """Write down a message to the client in this transaction; the sender takes it after the commit. ``watches``: it goes to the
    recipients of tests, or to nobody.
    """
    said = compose(template, facts, now)
    state, why_not = DeliveryState.QUEUED, said.fault
    address = said.address
    if watches:
        options = facts.options
        address = (
            options.message_test_email if template.channel == MessageChannel.EMAIL else options.message_test_number
        )
    if said.fault is not None:
        state = DeliveryState.REFUSED
    elif watches and not address:
        state, address, why_not = DeliveryState.WATCH, said.address, reason("message.watched")
    contact_id = facts.contact.contact.id if facts.contact is not None else None
    return await queue_delivery(
        session,
        Delivery(
            key=origin.key,
            channel=template.channel,
            state=state.value,
            template_id=template.id,
            deal_id=facts.deal.id if facts.deal is not None else None,
            contact_id=contact_id,
            rule_id=origin.rule_id,
            event_id=origin.event_id,
            by_id=origin.by_id,
            is_test=watches,
            address=address,
            subject=said.subject,
            body=said.body,
            why=origin.why.stored() if origin.why is not None else {},
            said=why_not.stored() if why_not is not None else {},
            **_known_by(template.channel, said.language),
            created_at=now,
            due_at=now,
        ),
    )


def _known_by(channel: str, language: str) -> dict[str, Any]:
    """What an e-mail is known by: the secret of its link, in which language its page speaks, and the Message-ID, which answers name.
    Each attempt has the same, so that a repeat is seen.
    """
    if channel != MessageChannel.EMAIL:
        return {}
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return {"data": {"secret": secret, "language": language}, "message_id": message_id_of(secret)}


async def queue_delivery(session: AsyncSession, delivery: Delivery) -> Delivery:
    """Write the delivery, or return the one that has its key already. A key that is written at the same time twice fails the later
    transaction, whose retry finds the first one.
    """
    known = (await session.exec(select(Delivery).where(Delivery.key == delivery.key))).first()
    if known is not None:
        return known
    session.add(delivery)
    await session.flush()
    return delivery


@dataclass(frozen=True, slots=True)
class MessagePreview:
    """A message before it is sent, and what speaks against it. ``until``: then it would be sent."""

    composed: Composed
    why_not: Reason | None
    until: datetime | None = None


async def preview_message(
    session: AsyncSession, viewer: Viewer, deal_id: int, template: MessageTemplate, now: datetime
) -> MessagePreview:
    """What would be sent to the client of the deal. Raises NotFound, NotAllowed."""
    check(viewer, Permission.DEALS_EDIT)
    deal = await access_deal(session, viewer, deal_id)
    return await do_preview(session, deal, template, now, by_id=viewer.user_id)


async def do_preview(
    session: AsyncSession, deal: Deal, template: MessageTemplate, now: datetime, *, by_id: int | None
) -> MessagePreview:
    """What would be sent; the caller has checked access."""
    facts = await load_message_facts(session, deal, None)
    composed = compose(template, facts, now)
    if composed.fault is not None:
        return MessagePreview(composed, composed.fault)
    trial = Delivery(
        key="",
        channel=template.channel,
        state=DeliveryState.QUEUED.value,
        contact_id=facts.contact.contact.id if facts.contact is not None else None,
        by_id=by_id,
        address=composed.address,
        created_at=now,
        due_at=now,
    )
    against = await objection(session, trial, facts.options, facts.timezone, now)
    return MessagePreview(composed, against.why if against else None, against.until if against else None)


async def send_message(
    session: AsyncSession, viewer: Viewer, deal_id: int, template_id: int, key: str, now: datetime
) -> Delivery:
    """The viewer sends a template to the client of a deal. ``key``: sent again with the same one, nothing more is sent.

    Raises Invalid at ``message_template_id``, NotFound, NotAllowed, and Conflict if something speaks against it for good.
    """
    check(viewer, Permission.DEALS_EDIT)
    template = await access_message_template(session, template_id, field="message_template_id")
    if template.archived_at is not None:
        raise Invalid("message_template_id", "messages.archived", "This template is not used any more.")
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    own_key = f"hand:{viewer.user_id}:{hashlib.sha256(key.encode()).hexdigest()[:_KEY_LETTERS]}"
    known = (await session.exec(select(Delivery).where(Delivery.key == own_key))).first()
    if known is not None:
        return known
    found = await do_preview(session, deal, template, now, by_id=viewer.user_id)
    if found.why_not is not None and found.until is None:
        raise _refused(found.why_not)
    facts = await load_message_facts(session, deal, None)
    delivery = await queue_message(session, template, facts, Origin(own_key, by_id=viewer.user_id), now)
    record(session, now, "deal.message", "deal", deal.id, actor=viewer, template=template.name, delivery_id=delivery.id)
    say_deal_changed(session, deal, now, facts.people)
    return delivery


def _refused(why: Reason) -> Conflict:
    sentence = MESSAGES[why.code]
    return Conflict(why.code, sentence if isinstance(sentence, str) else sentence.many, **why.params)


async def decide_delivery(
    session: AsyncSession, viewer: Viewer, delivery_id: int, now: datetime, *, again: bool
) -> Delivery:
    """A person decides about a message that may have been sent, or has failed: it is sent again, or left. Raises NotFound, NotAllowed,
    Conflict where there is nothing to decide.
    """
    check(viewer, Permission.DEALS_EDIT)
    delivery = await access_delivery(session, viewer, delivery_id)
    if delivery.deal_id is not None:
        await access_deal_for_change(session, viewer, delivery.deal_id, None)
    elif delivery.contact_id is not None:
        await access_contact_for_change(session, viewer, delivery.contact_id, None)
    delivery = await lock_row(session, Delivery, delivery_id)
    if delivery.state not in UNDECIDED:
        raise Conflict("messages.decided", "There is nothing to decide about this message any more.")
    if again:
        delivery.state, delivery.due_at, delivery.tries, delivery.said = DeliveryState.QUEUED.value, now, 0, {}
    else:
        delivery.state, delivery.said = DeliveryState.LEFT.value, reason("message.left").stored()
    delivery.version += 1
    entity, entity_id = ("deal", delivery.deal_id) if delivery.deal_id is not None else ("contact", delivery.contact_id)
    record(session, now, "deal.message_decided", entity, entity_id, actor=viewer, delivery_id=delivery_id, again=again)
    deal = await session.get(Deal, delivery.deal_id) if delivery.deal_id is not None else None
    if deal is not None:
        say_deal_changed(session, deal, now, await load_directory(session))
    return delivery
