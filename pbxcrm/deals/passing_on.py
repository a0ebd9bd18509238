"""A decision about a colleague's deal or client is passed to that colleague as a task with the reason."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, decides_for
from pbxcrm.contacts.queries import contacts_of_number
from pbxcrm.deals.access import edits_deal
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import Directory
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import NewTask, do_create_task
from pbxcrm.tasks.models import Task, TaskKind


async def owner_to_ask(
    session: AsyncSession, viewer: Viewer, people: Directory, *, deal: Deal | None, number: str | None
) -> int | None:
    """The id of the person who must decide about ``number``: the responsible of its open deal or client. None: the viewer may."""
    if deal is not None and deal.closed_at is None and not edits_deal(viewer, deal, people):
        return _somebody(deal.responsible_id, people)
    for contact in await contacts_of_number(session, number):
        if not decides_for(viewer, contact.responsible_id, people):
            return contact.responsible_id
    return None


async def do_pass_on(
    session: AsyncSession,
    viewer: Viewer,
    what: str,
    to_id: int | None,
    why: Reason,
    at: datetime,
    people: Directory,
    *,
    client: str,
    about: str,
    asked: str = "",
    deal_id: int | None,
    contact_id: int | None = None,
    call_id: int | None = None,
) -> Task:
    """Give ``to_id`` (their manager, if they are no longer active) a task to decide, with the viewer's reason ``why``.

    ``what`` is one of ``not_interested wrong_number spam close``; ``asked`` names a more exact title (``task.passed_…``).
    No second task is created while one with the same ``about`` is open.
    """
    new = NewTask(
        kind=TaskKind.ASSIGNMENT,
        title=reason(f"task.passed_{asked or what}", who=viewer.name, client=client),
        why=why,
        due_at=at,
        assignee_id=_somebody(to_id, people),
        deal_id=deal_id,
        contact_id=contact_id,
        call_id=call_id,
        about=f"passed:{what}:{about}",
    )
    return await do_create_task(session, new, at, people)


def _somebody(user_id: int | None, people: Directory) -> int | None:
    if people.active(user_id) is not None:
        return user_id
    manager = people.manager_of(user_id)
    return manager.id if manager is not None else None
