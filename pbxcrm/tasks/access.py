"""Whose tasks one sees and changes: those given to one and those one gave. One sees every task on one's own deals, too, and changes
those that are nobody else's to answer for: an assignment and a control are for who has them, and for who gave them.
"""

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col, select

from pbxcrm.access.kept import kept
from pbxcrm.access.owners import SEES_EVERYTHING, editing, owned, there_is
from pbxcrm.access.permissions import Viewer
from pbxcrm.access.seen_through import SeenThrough
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.tasks.models import Task
from pbxcrm.tasks.rules import GIVEN_TO_ONE


@kept
def visible_tasks(viewer: Viewer) -> ColumnElement[bool]:
    """Tasks assigned to, created by or given by people for whom the viewer answers, and tasks on visible deals."""
    mine = owned(viewer, col(Task.assignee_id), col(Task.created_by_id), col(Task.given_by_id))
    if viewer.role in SEES_EVERYTHING:
        return mine
    return or_(mine, there_is(Task, col(Deal.id) == col(Task.deal_id), visible_deals(viewer)))


@kept
def editable_tasks(viewer: Viewer) -> ColumnElement[bool]:
    """The condition for tasks that the viewer may change or finish: seeing one on a deal is not enough (``rules.GIVEN_TO_ONE``)."""
    if viewer.role in SEES_EVERYTHING:
        return editing(viewer, visible_tasks(viewer))
    mine = owned(viewer, col(Task.assignee_id), col(Task.created_by_id), col(Task.given_by_id))
    on_deal = and_(
        col(Task.kind).not_in([kind.value for kind in GIVEN_TO_ONE]),
        there_is(Task, col(Deal.id) == col(Task.deal_id), visible_deals(viewer)),
    )
    return editing(viewer, or_(mine, on_deal))


@kept
def lets_in(viewer: Viewer) -> ColumnElement[bool]:
    """Tasks that give access to their client: those created by somebody else, so that nobody can give themselves access."""
    return and_(owned(viewer, col(Task.assignee_id)), _GIVEN)


_GIVEN = or_(col(Task.created_by_id).is_(None), col(Task.created_by_id) != col(Task.assignee_id))
#: Whoever was given a task about a client may see the client. A task without an assignee gives access to managers.
CLIENT_OF_TASK = SeenThrough(
    one=lambda viewer: there_is(Contact, col(Task.contact_id) == col(Contact.id), lets_in(viewer)),
    ids=lambda viewer: select(Task.contact_id).where(lets_in(viewer)),
    few=lambda viewer: (select(Task.id).where(lets_in(viewer)),),
    owners=lambda contacts: select(Task.assignee_id).where(col(Task.contact_id).in_(contacts), _GIVEN),
)
