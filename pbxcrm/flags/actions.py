"""Raising a flag and resolving it. Both functions check access."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.calls.queries import access_call
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import access_deal
from pbxcrm.flags.access import access_flag
from pbxcrm.flags.audience import audience_of_flag
from pbxcrm.flags.models import Flag
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.events import emit
from pbxcrm.shared.lengths import check_text, cut
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import Reason, text


async def raise_flag(
    session: AsyncSession,
    viewer: Viewer,
    why: str,
    now: datetime,
    *,
    deal_id: int | None = None,
    call_id: int | None = None,
) -> Flag:
    """Flag a deal or a call that the viewer may see; everybody who sees it is notified. Raises Invalid, NotFound."""
    check(viewer, Permission.FLAGS_EDIT)
    why = check_text(why, Flag.reason, "reason", "flags.reason", "Write why you flag it, in up to {most} characters.")
    if (deal_id is None) == (call_id is None):
        raise Invalid("deal_id", "flags.about", "Say what the flag is on: a deal or a call.")
    if deal_id is not None:
        await access_deal(session, viewer, deal_id)
    if call_id is not None:
        call_id = (await access_call(session, viewer, call_id)).id
    flag = Flag(deal_id=deal_id, call_id=call_id, reason=why, raised_by_id=viewer.user_id, raised_at=now)
    session.add(flag)
    await session.flush()
    record(session, now, "flag.raised", *_about(flag), actor=viewer, text=why)
    await say_flag_changed(session, flag, now)
    return flag


async def do_raise_flag(session: AsyncSession, deal: Deal, why: Reason, now: datetime) -> Flag:
    """Flag a deal by the product itself, for the reason ``why``, which is translated when shown."""
    flag = Flag(deal_id=deal.id, reason=cut(text(why), Flag.reason), reason_code=why.stored(), raised_at=now)
    session.add(flag)
    await session.flush()
    record(session, now, "flag.raised", *_about(flag), actor=None, reason=why, text=flag.reason)
    await say_flag_changed(session, flag, now)
    return flag


async def resolve_flag(session: AsyncSession, viewer: Viewer, flag_id: int, word: str, now: datetime) -> Flag:
    """Close the flag with the answer ``word``, what was done. Raises Conflict when it is already resolved, Invalid, NotFound."""
    check(viewer, Permission.FLAGS_RESOLVE)
    word = check_text(word, Flag.word, "word", "flags.word", "Write what was done, in up to {most} characters.")
    await access_flag(session, viewer, flag_id)
    flag = await lock_row(session, Flag, flag_id)
    if flag.resolved_at is not None:
        raise Conflict("flags.resolved", "Somebody has resolved this flag already.")
    flag.word, flag.resolved_by_id, flag.resolved_at = word, viewer.user_id, now
    record(session, now, "flag.resolved", *_about(flag), actor=viewer, word=word)
    await say_flag_changed(session, flag, now)
    return flag


def _about(flag: Flag) -> tuple[str, int]:
    return ("deal", flag.deal_id) if flag.deal_id is not None else ("call", flag.call_id or 0)


async def say_flag_changed(session: AsyncSession, flag: Flag, now: datetime) -> None:
    """Notify everybody who sees the flag."""
    heard = await audience_of_flag(session, flag, await load_directory(session))
    emit(session, "flag", flag.id, now, users=heard.users, roles=heard.roles)
