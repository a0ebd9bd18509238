"""Changes rows of calls. The effects of calls on deals, callbacks and tasks are in ``pbxcrm.reactions``."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calls.access import audible_calls
from pbxcrm.calls.audience import audiences_of_stored_calls
from pbxcrm.calls.models import Call
from pbxcrm.contacts.hooks import Relinked
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.events import emit
from pbxcrm.shared.locking import lock_rows


async def say_calls_changed(session: AsyncSession, calls: Sequence[Call], at: datetime, people: Directory) -> None:
    """Notify everybody who sees one of these calls. The listener, which knows legs and deals of its calls, notifies by itself."""
    for call, heard in await audiences_of_stored_calls(session, calls, people):
        emit(session, "call", call.id, at, users=heard.users, roles=heard.roles)


async def do_set_client_of_call(
    session: AsyncSession, call: Call, contact_id: int | None, at: datetime, people: Directory | None
) -> None:
    """Set the client of a call, or take it away. No other function does. The caller has checked access.

    ``people`` None: whoever calls notifies those who see the call, as the listener does with every fact.
    """
    if call.contact_id == contact_id:
        return
    call.contact_id = contact_id
    if people is not None:
        await say_calls_changed(session, [call], at, people)


async def do_set_deal_of_call(
    session: AsyncSession, call: Call, deal_id: int | None, at: datetime, people: Directory
) -> None:
    """Set the deal of a call by hand. The caller has checked access."""
    if call.deal_id != deal_id:
        call.deal_id = deal_id
        await say_calls_changed(session, [call], at, people)


async def adopt_calls(session: AsyncSession, viewer: Viewer, contact_id: int, number: str, now: datetime) -> None:
    """Assign the calls of ``number`` without a contact to this contact, except colleagues' calls that the viewer may not hear.

    Whoever is responsible for a client hears the client's calls, so a contact must not collect those of others. Seeing a call is not
    enough: a phone that merely rang sees it.
    """
    of_nobody = (col(Call.client_number) == number, col(Call.contact_id).is_(None))
    own = or_(col(Call.responsible_id).is_(None), audible_calls(viewer))
    await _give_calls(session, await lock_rows(session, Call, *of_nobody, own), contact_id, now)


async def release_calls(
    session: AsyncSession,
    _viewer: Viewer,
    contact_id: int,
    given: Mapping[str, Sequence[int]],
    now: datetime,
) -> None:
    """Undo ``adopt_calls`` for those of ``given`` that this contact still has: they have no contact again."""
    theirs = (one_of(session, col(Call.id), given.get("calls.contact_id", ())), col(Call.contact_id) == contact_id)
    await _give_calls(session, await lock_rows(session, Call, *theirs), None, now)


async def _give_calls(session: AsyncSession, calls: Sequence[Call], contact_id: int | None, at: datetime) -> None:
    for call in calls:
        await do_set_client_of_call(session, call, contact_id, at, None)
    await say_calls_changed(session, calls, at, await load_directory(session))


async def say_calls_relinked(session: AsyncSession, relinked: Relinked) -> None:
    """Handler of ``rows_relinked``: calls have another client or deal now, so lists must show it."""
    ids = sorted({*relinked.rows.get("calls.contact_id", ()), *relinked.rows.get("calls.deal_id", ())})
    calls = await session.exec(select(Call).where(one_of(session, col(Call.id), ids)))
    await say_calls_changed(session, calls.all(), relinked.at, await load_directory(session))
