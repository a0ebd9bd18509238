"""Changes rows of calls. The effects of calls on deals, callbacks and tasks are in ``pbxcrm.reactions``."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import or_, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calls.access import audible_calls
from pbxcrm.calls.audience import audience_of_stored_call
from pbxcrm.calls.models import Call
from pbxcrm.people.directory import Directory
from pbxcrm.shared.events import emit
from pbxcrm.shared.relinking import AT_ONCE


async def say_call_changed(session: AsyncSession, call: Call, at: datetime, people: Directory) -> None:
    """Notify everybody who sees the call. The listener, which knows legs and deal of every call, notifies by itself."""
    heard = await audience_of_stored_call(session, call, people)
    emit(session, "call", call.id, at, users=heard.users, roles=heard.roles)


async def adopt_calls(session: AsyncSession, viewer: Viewer, contact_id: int, number: str, _now: datetime) -> None:
    """Assign the calls of ``number`` without a contact to this contact, except colleagues' calls that the viewer may not hear.

    Whoever is responsible for a client hears the client's calls, so a contact must not collect those of others. Seeing a call is not
    enough: a phone that merely rang sees it.
    """
    await session.exec(
        update(Call)
        .where(
            col(Call.client_number) == number,
            col(Call.contact_id).is_(None),
            or_(col(Call.responsible_id).is_(None), audible_calls(viewer)),
        )
        .values(contact_id=contact_id)
        .execution_options(synchronize_session=False)
    )


async def release_calls(
    session: AsyncSession,
    _viewer: Viewer,
    contact_id: int,
    _number: str,
    given: Mapping[str, Sequence[int]],
    _now: datetime,
) -> None:
    """Undo ``adopt_calls`` for those of ``given`` that this contact still has: they have no contact again."""
    ids = given.get("calls.contact_id", ())
    for start in range(0, len(ids), AT_ONCE):
        await session.exec(
            update(Call)
            .where(col(Call.id).in_(ids[start : start + AT_ONCE]), col(Call.contact_id) == contact_id)
            .values(contact_id=None)
            .execution_options(synchronize_session=False)
        )
