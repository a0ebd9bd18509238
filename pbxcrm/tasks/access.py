"""Whose tasks one sees and changes: those given to one, those one gave, and those on one's own deals."""

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col, select

from pbxcrm.access.owners import SEES_EVERYTHING, Audience, People, editing, heard_by, owned, there_is
from pbxcrm.access.permissions import Viewer
from pbxcrm.access.ways import Way
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.access import audience_of_deal, visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.tasks.models import Task


def visible_tasks(viewer: Viewer) -> ColumnElement[bool]:
    """The condition for tasks that the viewer sees: given to or made by one of theirs, or on a deal they see."""
    mine = owned(viewer, col(Task.assignee_id), col(Task.created_by_id), col(Task.given_by_id))
    if viewer.role in SEES_EVERYTHING:
        return mine
    return or_(mine, there_is(Task, col(Deal.id) == col(Task.deal_id), visible_deals(viewer)))


def editable_tasks(viewer: Viewer) -> ColumnElement[bool]:
    """The condition for tasks that the viewer may change or finish."""
    return editing(viewer, visible_tasks(viewer))


def audience_of_task(task: Task, deal: Deal | None, people: People) -> Audience:
    """``deal`` is the task's."""
    heard = heard_by(people, task.assignee_id, task.created_by_id, task.given_by_id)
    return heard | audience_of_deal(deal, people) if deal is not None else heard


def lets_in(viewer: Viewer) -> ColumnElement[bool]:
    """Tasks that let one see their client: those somebody else gave. One cannot let oneself in."""
    return and_(owned(viewer, col(Task.assignee_id)), _GIVEN)


_GIVEN = or_(col(Task.created_by_id).is_(None), col(Task.created_by_id) != col(Task.assignee_id))
#: A client is seen by whoever was given a task about them. A task of nobody lets the managers in.
CLIENT_OF_TASK = Way(
    one=lambda viewer: there_is(Contact, col(Task.contact_id) == col(Contact.id), lets_in(viewer)),
    ids=lambda viewer: select(Task.contact_id).where(lets_in(viewer)),
    few=lambda viewer: (select(Task.id).where(lets_in(viewer)),),
    owners=lambda contacts: select(Task.assignee_id).where(col(Task.contact_id).in_(contacts), _GIVEN),
)
