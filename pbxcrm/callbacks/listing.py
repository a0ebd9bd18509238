"""Putting a number on the list of our own, or of those that are not clients: who may, and what becomes of its callbacks."""

from datetime import datetime

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, can, check, decides_for
from pbxcrm.callbacks.attempts import call_behind
from pbxcrm.callbacks.models import AttemptResult, EpisodeStatus
from pbxcrm.callbacks.queries import open_episodes_of_number
from pbxcrm.callbacks.results import NO_CALL, record_result
from pbxcrm.calls.access import own_calls
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import mark_number
from pbxcrm.contacts.models import NumberKind, SpecialNumber
from pbxcrm.contacts.queries import contacts_of_number
from pbxcrm.contacts.rules import check_number
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.typed_reasons import check_why
from pbxcrm.tasks.actions import NewTask, do_create_task
from pbxcrm.tasks.models import TaskKind


async def put_on_list(
    session: AsyncSession, viewer: Viewer, number: str, kind: NumberKind, *, note: str = "", region: str, now: datetime
) -> SpecialNumber:
    """``mark_number`` for whoever owns the client, the deal or the callback of the number, and for their managers.

    A seller needs something of their own under the number, or a call with it. Who is not the viewer and owns some of it is told
    by a task with the reason. An open callback of the number is closed as by a result in the queue: by a call of the viewer's
    own, or for the reason in ``note``. Raises NotAllowed, the same for a number of somebody else and for one of nobody; Invalid
    at ``note`` without call and reason; Conflict where the callback is not the viewer's to close so.
    """
    check(viewer, Permission.CALLBACKS_WORK)
    number = check_number(number, region)
    people = await load_directory(session)
    owners = await _owners(session, number)
    theirs = [owner_id for owner_id in owners if not decides_for(viewer, owner_id, people)]
    if theirs or not (owners or can(viewer, Permission.STATUS_READ) or await _called(session, viewer, number)):
        raise NotAllowed(
            "numbers.not_yours",
            "Only whoever has the client, the deal or the callback may silence a number, or their manager.",
        )
    if kind is NumberKind.SPAM:
        await _close_open(session, viewer, number, note, region, now)
    special = await mark_number(session, viewer, number, kind, note=note, region=region, now=now)
    for owner_id in sorted({owner_id for owner_id in owners if owner_id not in {None, viewer.user_id}}, key=str):
        facts = {"who": viewer.name, "number": format_for_people(number), "why": note.strip() or "—"}
        new = NewTask(
            TaskKind.TODO,
            reason(f"task.number_{kind.value}", **facts),
            reason(f"number.{kind.value}", **facts),
            now,
            owner_id,
            about=f"number:{number}:{owner_id}",
        )
        await do_create_task(session, new, now, people)
    return special


async def _owners(session: AsyncSession, number: str) -> set[int | None]:
    """Whose the clients, open deals and open callbacks of the number are; None among them: some are nobody's."""
    contacts = await contacts_of_number(session, number)
    of_client = or_(col(Deal.client_number) == number, col(Deal.contact_id).in_([contact.id for contact in contacts]))
    deals = await session.exec(select(Deal.responsible_id).where(of_client, col(Deal.closed_at).is_(None)))
    episodes = await open_episodes_of_number(session, number)
    return {*(c.responsible_id for c in contacts), *deals.all(), *(e.owner_id for e in episodes)}


async def _called(session: AsyncSession, viewer: Viewer, number: str) -> bool:
    found = await session.exec(select(Call.id).where(Call.client_number == number, own_calls(viewer)).limit(1))
    return found.first() is not None


async def _close_open(
    session: AsyncSession, viewer: Viewer, number: str, note: str, region: str, now: datetime
) -> None:
    """Give the open callbacks of the number their result, by the rules of the queue (``results.record_result``)."""
    for episode in await open_episodes_of_number(session, number):
        if episode.status != EpisodeStatus.OPEN:  # closed together with the one before
            continue
        call = await call_behind(session, viewer, episode)
        if call is None and not note.strip():
            raise Invalid("note", "numbers.no_call", NO_CALL)
        said = await record_result(
            session,
            viewer,
            episode.id or 0,
            AttemptResult.SPAM,
            now=now,
            region=region,
            without_call=check_why(note, "note") if call is None else "",
        )
        if said.attempt is None:  # it would be passed on: the queue does that
            raise Conflict(
                "numbers.passed_on",
                "A callback of this number is not yours to close without a call: call, or say in the callback queue that"
                " this is not a client. It is passed on from there.",
            )
