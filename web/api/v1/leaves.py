"""Leaves: who is away when, and their deputies."""

from datetime import date, datetime

from pydantic import ConfigDict, Field

from pbxcrm.access import Permission
from pbxcrm.calendars.leave_actions import NewLeave, access_leave, change_leave, create_leave, delete_leave
from pbxcrm.calendars.models import Leave
from pbxcrm.calendars.queries import list_leaves, load_calendars
from pbxcrm.checkpoints.hours_queries import watched_of
from pbxcrm.checkpoints.leave_queries import LeaveLook, asked_during, who_is_asked
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.queries import access_assignee, list_users
from pbxcrm.shared.errors import Invalid
from web.api.fields import ApiAnswer, ApiRequest, Login, Moment, ShortListQuery, When
from web.api.resource import Ask, Page, Resource
from web.api.v1.calendars import Day, HoursPreviewOut

leaves = Resource("leaves", "Leaves: who is away when, and their deputies.")


class EscalationsAskedOut(ApiAnswer):
    """Who is asked about the escalations of a team while its manager is away."""

    team: str | None
    asked: str | None = Field(description="Login: the deputy, another manager of the team, or an administrator.")


class LeavePreviewOut(HoursPreviewOut):
    """How much of the person's work is watched, and who is asked meanwhile."""

    asked: str | None = Field(description="Login of whoever is asked about their own work meanwhile.")
    escalations: list[EscalationsAskedOut] = Field(description="Who is asked about what reaches them as a manager.")


class LeaveOut(ApiAnswer):
    """A leave: when somebody is away, and their deputy."""

    id: int
    login: str
    since: date | Moment = Field(alias="from", description="A date if whole days were entered.")
    until: date | Moment = Field(description="The last day, or the moment of return.")
    deputy: str | None = Field(description="Login of the deputy; null: the manager.")
    asked: str | None = Field(description="Login of whoever is asked about their own work meanwhile.")
    escalations: list[EscalationsAskedOut] = Field(description="Who is asked about what reaches them as a manager.")


class NewLeaveBody(ApiRequest):
    """A new leave. The deputy must be at work during it."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    login: Login
    since: Day | When = Field(alias="from", description="A date (whole days), or a moment.")
    until: Day | When = Field(description="The last day, or the moment of return.")
    deputy: Login | None = None


class LeavePatch(ApiRequest):
    """What shall be different. The person stays: take the leave back and enter another one."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    since: Day | When | None = Field(None, alias="from", description="A date (whole days), or a moment, as `until` is.")
    until: Day | When | None = Field(None, description="The last day, or the moment of return.")
    deputy: Login | None = Field(None, description="null: the manager.")


class LeaveQuery(ShortListQuery):
    """Whose leaves, and when."""

    login: Login | None = None


@leaves.get("/leaves", needs=Permission.OWN_PROFILE, summary="Who is away, now and later")
async def read_leaves(ask: Ask, query: LeaveQuery) -> Page[LeaveOut]:
    """Leaves of the people you may see, in order of time, without past ones."""
    people = await load_directory(ask.session)
    seen = {user.id: user for user in await list_users(ask.session, ask.viewer)}
    rows = [
        leave
        for leave in await list_leaves(ask.session, since=ask.now)
        if leave.user_id in seen and query.login in {None, seen[leave.user_id].login}
    ]
    return Page[LeaveOut].part_of([await _leave(ask, row, people) for row in rows], query)


@leaves.post("/leaves", needs=Permission.LEAVES_EDIT, summary="Enter a leave")
async def post_leave(ask: Ask, body: NewLeaveBody) -> LeaveOut:
    people = await load_directory(ask.session)
    made = await create_leave(ask.session, ask.viewer, await _new_leave(ask, body, people), now=ask.now)
    return await _leave(ask, made, people)


@leaves.patch("/leaves/{leave_id}", needs=Permission.LEAVES_EDIT, summary="Give a leave other times or another deputy")
async def patch_leave(ask: Ask, leave_id: int, body: LeavePatch) -> LeaveOut:
    """Whoever is asked instead of the person changes at once."""
    people = await load_directory(ask.session)
    leave = await access_leave(ask.session, ask.viewer, leave_id)
    since, until = await _times(ask, leave, people)
    new = NewLeave(
        leave.user_id,
        body.since if body.since is not None else since,
        body.until if body.until is not None else until,
        _deputy(body.deputy, people) if "deputy" in body.model_fields_set else leave.deputy_id,
    )
    await change_leave(ask.session, ask.viewer, leave, new, now=ask.now)
    return await _leave(ask, leave, people)


@leaves.post("/leaves/preview", needs=Permission.LEAVES_EDIT, summary="Whose work a leave touches", status=200)
async def preview_leave(ask: Ask, body: NewLeaveBody) -> LeavePreviewOut:
    """How much of the person's work is watched. A leave moves no due time: it changes who is asked, so no lamp lights because of it."""
    new = await _new_leave(ask, body, await load_directory(ask.session))
    if new.deputy_id is not None:
        await access_assignee(ask.session, ask.viewer, new.deputy_id, field="deputy")
    look = await watched_of(ask.session, new.user_id)
    people = await load_directory(ask.session)
    asked = await who_is_asked(ask.session, new.user_id, new.deputy_id, ask.now)
    return LeavePreviewOut(
        deals=look.deals,
        callbacks=look.callbacks,
        would_light_now=0,
        asked=people.login(asked.own.user_id),
        escalations=_escalations(asked, people),
    )


def _escalations(look: LeaveLook, people: Directory) -> list[EscalationsAskedOut]:
    return [
        EscalationsAskedOut(team=team.name if team is not None else None, asked=people.login(asked.user_id))
        for team, asked in look.escalations
    ]


async def _new_leave(ask: Ask, body: NewLeaveBody, people: Directory) -> NewLeave:
    """The leave of the body. Raises Invalid at ``login`` or ``deputy``."""
    by_login = {user.login: user.id for user in people.users.values()}
    user_id = by_login.get(body.login.lower())
    if user_id is None or user_id not in {user.id for user in await list_users(ask.session, ask.viewer)}:
        raise Invalid("login", "people.not_found", "There is no such person, or they are not in your team.")
    return NewLeave(user_id, body.since, body.until, _deputy(body.deputy, people))


def _deputy(login: str | None, people: Directory) -> int | None:
    found = next((user.id for user in people.users.values() if login is not None and user.login == login.lower()), None)
    if login is not None and found is None:
        raise Invalid("deputy", "people.not_found", "There is no such person, or they are not in your team.")
    return found


async def _times(ask: Ask, leave: Leave, people: Directory) -> tuple[date, date] | tuple[datetime, datetime]:
    """As they were entered: the first and the last day, or two moments."""
    if not leave.whole_days:
        return leave.starts_at, leave.ends_at
    return leave.days((await load_calendars(ask.session, people)).of_user(leave.user_id).timezone)


@leaves.delete(
    "/leaves/{leave_id}",
    needs=Permission.LEAVES_EDIT,
    summary="Take a leave back: what others were asked meanwhile comes back",
)
async def remove_leave(ask: Ask, leave_id: int) -> None:
    await delete_leave(ask.session, ask.viewer, leave_id, now=ask.now)


async def _leave(ask: Ask, leave: Leave, people: Directory) -> LeaveOut:
    look = await asked_during(ask.session, leave, ask.now)
    since, until = await _times(ask, leave, people)
    said = {
        "id": leave.id or 0,
        "login": people.login(leave.user_id) or "",
        "from": since,
        "until": until,
        "deputy": people.login(leave.deputy_id),
        "asked": people.login(look.own.user_id),
        "escalations": _escalations(look, people),
    }
    return LeaveOut.model_validate(said)
