"""Reading incoming webhooks, what they declare, and their calls."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.automation.hook_rules import HookField, HookValue
from pbxcrm.automation.models import HookCall, IncomingHook
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.errors import NotFound

MOST_CALLS = 100  # that a page shows


def secret_hash(secret: str) -> str:
    """What is stored of the secret part of an address."""
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


def fields_of(hook: IncomingHook) -> list[HookField]:
    """The values that a webhook declares."""
    return [HookField(each["key"], each["path"], each["kind"]) for each in hook.fields]


async def load_hooks(session: AsyncSession) -> Mapping[str, IncomingHook]:
    """Those that are not revoked, by what is stored of their secret; from a cache."""
    return await cached_until_changed(session, _read)


async def _read(session: AsyncSession) -> Mapping[str, IncomingHook]:
    query = select(IncomingHook).where(col(IncomingHook.revoked_at).is_(None))
    return {each.secret_hash: each for each in (await session.exec(query)).all()}


async def load_live_hooks(session: AsyncSession) -> frozenset[int]:
    """The ids of those that are not revoked."""
    return frozenset(each.id or 0 for each in (await load_hooks(session)).values())


async def load_hook_values(session: AsyncSession) -> Mapping[str, str]:
    """The names of all values that webhooks declare, with what each is; one that two of them declare differently is a text."""
    found: dict[str, str] = {}
    for hook in (await load_hooks(session)).values():
        for each in fields_of(hook):
            found[each.key] = each.kind if found.get(each.key, each.kind) == each.kind else HookValue.TEXT.value
    return found


async def list_hooks(session: AsyncSession, viewer: Viewer) -> Sequence[IncomingHook]:
    """All of them, the newest first, also revoked ones. Raises NotAllowed."""
    check(viewer, Permission.RULES_EDIT)
    return (await session.exec(select(IncomingHook).order_by(col(IncomingHook.id).desc()))).all()


async def access_hook(session: AsyncSession, viewer: Viewer, hook_id: int, *, lock: bool = False) -> IncomingHook:
    """One of them. Raises NotFound, NotAllowed."""
    check(viewer, Permission.RULES_EDIT)
    hook = await session.get(IncomingHook, hook_id, with_for_update=lock or None, populate_existing=lock)
    if hook is None:
        raise NotFound("hooks.not_found", "There is no such webhook.")
    return hook


async def calls_of(session: AsyncSession, viewer: Viewer, hook_id: int) -> Sequence[HookCall]:
    """Its latest calls, the newest first. Raises NotFound, NotAllowed."""
    await access_hook(session, viewer, hook_id)
    query = select(HookCall).where(HookCall.hook_id == hook_id).order_by(col(HookCall.id).desc()).limit(MOST_CALLS)
    return (await session.exec(query)).all()


async def count_calls(session: AsyncSession, viewer: Viewer, since: datetime) -> Mapping[int, int]:
    """How many calls came since then, by webhook. Raises NotAllowed."""
    check(viewer, Permission.RULES_EDIT)
    query = select(HookCall.hook_id, func.count()).where(HookCall.at > since).group_by(col(HookCall.hook_id))
    return dict((await session.exec(query)).all())
