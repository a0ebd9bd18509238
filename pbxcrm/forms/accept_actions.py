"""A person decides about a request that was set aside."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.forms.access import access_request, manages_requests
from pbxcrm.forms.actions import Arrival, Surroundings, do_take_in
from pbxcrm.forms.audience import say_request_changed
from pbxcrm.forms.models import FormRequest, RequestState
from pbxcrm.forms.queries import access_form, files_of
from pbxcrm.forms.rules import Answers
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, NotAllowed
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.numbers import Written


async def accept_request(
    session: AsyncSession, viewer: Viewer, request_id: int, around: Surroundings, now: datetime
) -> FormRequest:
    """A request that was set aside is one: it becomes a deal now, as it would have at once. Raises Conflict, NotAllowed, NotFound."""
    check(viewer, Permission.DEALS_EDIT)
    await access_request(session, viewer, request_id)
    if not manages_requests(viewer):
        raise NotAllowed("forms.not_manager", "Only a manager or an administrator can decide this.")
    request = await lock_row(session, FormRequest, request_id)
    if request.state != RequestState.ASIDE:
        raise Conflict("forms.accepted", "Somebody has taken this request in already.")
    form = await access_form(session, request.form_id)
    answers = Answers(
        name=request.name,
        numbers=[Written(request.number)] if request.number else [],
        emails=[request.email] if request.email else [],
        message=request.text,
        told=request.answers,
    )
    arrival = Arrival(
        answers, request.content_hash, subject=request.subject, source=request.source, files=files_of(request)
    )
    await say_request_changed(session, request, now, await load_directory(session))  # those who saw it aside
    await do_take_in(session, form, request, arrival, around, now, by=viewer)
    request.files = []  # they are on the deal now
    record(session, now, "request.accepted", "request", request.id, actor=viewer, deal_id=request.deal_id)
    await session.flush()
    return request
