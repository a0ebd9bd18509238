"""What was not done in time and went to a manager."""

from typing import Literal

from pydantic import Field

from pbxcrm import reasons
from pbxcrm.access import Permission
from pbxcrm.errors import NotFound
from pbxcrm.people.queries import logins_of
from pbxcrm.tasks.filters import TaskFilter
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus
from pbxcrm.tasks.queries import access_task, list_tasks
from web.api import cursors
from web.api.fields import IdText, ListQuery, Moment, Said, When, Word
from web.api.resource import Ask, Page, Resource

escalations = Resource("escalations", "What was not done in time and went to a manager.")


class EscalationOut(Said):
    """A control task of a manager. The id is the task's."""

    id: int
    title: str
    manager: str | None = Field(description="A login.")
    deal_id: int | None
    contact_id: int | None
    task_id: int
    since: Moment
    status: TaskStatus
    result: str
    reason: str = Field(description="Why it went to the manager, in English.")


class EscalationQuery(ListQuery):
    status: Literal["open", "done", "cancelled"] | None = None
    responsible: Word | None = Field(None, description="The manager's login.")
    deal_id: IdText | None = None
    contact_id: IdText | None = None
    since: When | None = None
    until: When | None = None


@escalations.get("/escalations", needs=Permission.ESCALATIONS_READ, summary="Escalations, earliest first")
async def read_escalations(ask: Ask, query: EscalationQuery) -> Page[EscalationOut]:
    asked = TaskFilter(
        kind=TaskKind.CONTROL,
        status=query.status or "",
        assignee=query.responsible or "",
        deal_id=query.deal_id,
        contact_id=query.contact_id,
        since=query.since,
        until=query.until,
    )
    after = cursors.read_moment(query.cursor)
    rows = await list_tasks(ask.session, ask.viewer, *asked.conditions(), after=after, limit=query.limit + 1)
    page = Page[EscalationOut].of(await _escalations(ask, [row.task for row in rows]), query.limit, lambda row: "")
    if page.next is not None:
        last = rows[query.limit - 1].task
        page.next = cursors.next_of_moment(last.due_at, last.id)
    return page


@escalations.get("/escalations/{escalation_id}", needs=Permission.ESCALATIONS_READ, summary="One escalation")
async def read_escalation(ask: Ask, escalation_id: int) -> EscalationOut:
    task = await access_task(ask.session, ask.viewer, escalation_id)
    if task.kind != TaskKind.CONTROL:
        raise NotFound("escalations.not_found", "There is no such escalation.")
    return (await _escalations(ask, [task]))[0]


async def _escalations(ask: Ask, rows: list[Task]) -> list[EscalationOut]:
    logins = await logins_of(ask.session, [task.assignee_id for task in rows])
    return [
        EscalationOut(
            id=task.id or 0,
            title=task.title,
            manager=logins.get(task.assignee_id),
            deal_id=task.deal_id,
            contact_id=task.contact_id,
            task_id=task.id or 0,
            since=task.created_at,
            status=TaskStatus(task.status),
            result=task.result,
            reason=reasons.text(task.reason),
        )
        for task in rows
    ]
