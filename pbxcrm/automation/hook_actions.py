"""Incoming webhooks: a secret address whose calls rules hear. They are made and revoked by administrators; anybody who knows one may call it."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert
from sqlmodel import SQLModel, col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.automation.firing import task_for_owner
from pbxcrm.automation.hearing import event_row
from pbxcrm.automation.hook_queries import access_hook, fields_of, secret_hash
from pbxcrm.automation.hook_rules import (
    CLIENT_ID,
    DEAL_ID,
    EMAIL,
    NUMBER,
    SAME_WITHIN,
    HookField,
    check_fields,
    key_of,
    read_body,
    values_of,
)
from pbxcrm.automation.models import AutomationEvent, HookCall, HookCallState, IncomingHook
from pbxcrm.automation.queries import check_rules, load_active, load_around
from pbxcrm.automation.rules import Hearing
from pbxcrm.automation.triggers import CLIENT, DEAL, HOOK_CLIENT, HOOK_DEAL
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import open_deal_of_client
from pbxcrm.forms.queries import contact_of
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.core_sql import execute
from pbxcrm.shared.errors import Conflict, Invalid, NotFound, TooManyAttempts
from pbxcrm.shared.lengths import check_line
from pbxcrm.shared.numbers import normalise
from pbxcrm.shared.reasons import reason

MOST_HOOKS = 100
MOST_A_MINUTE = 600
MINUTE = timedelta(minutes=1)
KEEP_CALLS = timedelta(days=30)
_ADD = insert(SQLModel.metadata.tables[str(AutomationEvent.__tablename__)])


async def create_hook(
    session: AsyncSession, viewer: Viewer, *, name: str, fields: Sequence[HookField], per_minute: int, now: datetime
) -> tuple[IncomingHook, str]:
    """A new one, and the secret part of its address, which cannot be read again. Raises Invalid at ``name fields per_minute``, NotAllowed."""
    check_rules(viewer)
    name = check_line(name, IncomingHook.name, "name", "hooks.name", "Write a name of up to {most} characters.")
    if not 1 <= per_minute <= MOST_A_MINUTE:
        raise Invalid("per_minute", "hooks.rate", "Write a number from 1 to {most}.", most=MOST_A_MINUTE)
    declared = check_fields(fields)
    live = select(func.count()).select_from(IncomingHook).where(col(IncomingHook.revoked_at).is_(None))
    if (await session.exec(live)).one() >= MOST_HOOKS:
        raise Conflict("hooks.many", "There are {most} webhooks already. Revoke one first.", most=MOST_HOOKS)
    secret = secrets.token_urlsafe(32)
    hook = IncomingHook(
        name=name,
        secret_hash=secret_hash(secret),
        fields=[each.stored() for each in declared],
        per_minute=per_minute,
        created_at=now,
    )
    session.add(hook)
    await session.flush()
    record(session, now, "hook.created", "hook", hook.id, actor=viewer, name=name)
    return hook, secret


async def revoke_hook(session: AsyncSession, viewer: Viewer, hook_id: int, now: datetime) -> IncomingHook:
    """Its address takes no call any more; the owners of rules that ask for it are told. Raises NotFound, NotAllowed, Conflict."""
    hook = await access_hook(session, viewer, hook_id, lock=True)
    if hook.revoked_at is not None:
        raise Conflict("hooks.revoked", "This webhook is revoked already.")
    before = {rule_id for rule_id, each in (await load_active(session)).by_id.items() if each.broken is None}
    hook.revoked_at = now
    await session.flush()
    for rule_id, ready in (await load_active(session)).by_id.items():
        if ready.broken is not None and rule_id in before:
            why = reason("automation.broken", why=ready.broken)
            await task_for_owner(session, await load_around(session, ""), ready.rule, None, None, why, now)
    record(session, now, "hook.revoked", "hook", hook.id, actor=viewer, name=hook.name)
    return hook


async def take_call(
    session: AsyncSession, secret: str, body: bytes, key: str, now: datetime, region: str
) -> HookCallState:
    """Somebody called the address: rules hear it, of the deal and of the client that it is about. A repetition is heard once.

    Raises NotFound, Invalid for what is no JSON object, TooManyAttempts.
    """
    asked = select(IncomingHook).where(IncomingHook.secret_hash == secret_hash(secret)).with_for_update()
    hook = (await session.exec(asked)).first()  # locked: of two equal calls at once one is a repetition
    if hook is None or hook.revoked_at is not None:
        raise NotFound("hooks.not_found", "There is no such webhook.")
    since = select(func.count()).select_from(HookCall).where(HookCall.hook_id == hook.id, HookCall.at > now - MINUTE)
    if (await session.exec(since)).one() >= hook.per_minute:
        raise TooManyAttempts("hooks.too_many", "Too many calls. Try again in {retry_after} s.", retry_after=60)
    same = key_of(key, body)
    known = select(HookCall.id).where(
        HookCall.hook_id == hook.id, HookCall.key == same, HookCall.at > now - SAME_WITHIN
    )
    if (await session.exec(known.limit(1))).first() is not None:
        return HookCallState.REPEATED
    values = values_of(fields_of(hook), read_body(body))
    deal, contact = await _subject(session, values, region)
    state = HookCallState.HEARD if deal is not None or contact is not None else HookCallState.NOBODY
    data: dict[str, Any] = {"hook_id": hook.id, "hook": values}
    rules, events = await load_active(session), []
    for act, kind, row in ((HOOK_DEAL, DEAL, deal), (HOOK_CLIENT, CLIENT, contact)):
        if row is not None and any(each.hears(Hearing(act, now, data)) for each in rules.by_act.get(act, ())):
            events.append(event_row(act, now, kind, row.id or 0, None, data, None))
    await execute(session, _ADD, events)
    # Of whom nobody is known here nothing is kept: nobody could ask to have it erased.
    session.add(
        HookCall(
            hook_id=hook.id or 0,
            key=same,
            at=now,
            state=state.value,
            deal_id=deal.id if deal is not None else None,
            contact_id=contact.id if contact is not None else None,
            sent=values if state is HookCallState.HEARD else {},
        )
    )
    return state


async def prune_calls(session: AsyncSession, now: datetime) -> None:
    """Delete calls that came long ago."""
    await session.exec(delete(HookCall).where(col(HookCall.at) < now - KEEP_CALLS))


async def _subject(session: AsyncSession, values: dict[str, str], region: str) -> tuple[Deal | None, Contact | None]:
    """The deal and the client that a call is about: by id, else by number, else by address; the open deal of the client."""
    deal = await session.get(Deal, deal_id) if (deal_id := _id(values.get(DEAL_ID))) is not None else None
    if deal is not None and deal.merged_into_id is not None:
        deal = await session.get(Deal, deal.merged_into_id)
    if deal is not None:
        contact = await session.get(Contact, deal.contact_id) if deal.contact_id is not None else None
        return deal, contact
    contact = await session.get(Contact, found) if (found := _id(values.get(CLIENT_ID))) is not None else None
    number = normalise(values.get(NUMBER), region) if contact is None else None
    if contact is None:
        contact = await contact_of(session, [number] if number else [], [values[EMAIL]] if EMAIL in values else [])
    of_client = [contact.id or 0] if contact is not None else []
    return await open_deal_of_client(session, number, of_client), contact


def _id(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > len(str(LARGEST_ID)):
        return None
    return found if 0 < (found := int(text)) <= LARGEST_ID else None
