"""Who hears that a task changed."""

from pbxcrm.access.owners import Audience, People, heard_by
from pbxcrm.deals.audience import audience_of_deal
from pbxcrm.deals.models import Deal
from pbxcrm.tasks.models import Task


def audience_of_task(task: Task, deal: Deal | None, people: People) -> Audience:
    """Who is notified of a change of the task: everybody who sees it. ``deal``: the deal of the task."""
    heard = heard_by(people, task.assignee_id, task.created_by_id, task.given_by_id)
    return heard | audience_of_deal(deal, people) if deal is not None else heard
