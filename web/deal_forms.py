"""What the forms of a deal send: its own fields, and its client. A name of nobody, typed into the field that chooses a client
(``contacts/_choose.html``), is a new client, made in the transaction of the act.
"""

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.contacts.actions import create_contact, link_number
from pbxcrm.contacts.known_numbers import known_when_stored
from pbxcrm.deals.actions import access_deal_for_change
from pbxcrm.deals.fields import BY_KEY, MOMENTS, Value
from pbxcrm.deals.models import Deal
from web.forms import Form
from web.parts import now, parts, viewer


def values_in(form: Form) -> dict[str, Value]:
    """The fields of the deal in a form."""
    return {key: form.utc_time(key) if key in MOMENTS else form[key] for key in BY_KEY if key in form.values}


async def make_typed(session: AsyncSession, request: Request, form: Form, deal_id: int) -> int | None:
    """The id of the client chosen in the form, or of a new one of the typed name, who is the deal's responsible's; None for neither.

    Raises Invalid at ``name``, NotFound, NotAllowed.
    """
    chosen = form.id("contact_id")
    if chosen is not None or not form["contact"].strip():
        return chosen
    deal = await access_deal_for_change(session, viewer(request), deal_id, None)
    made = await create_contact(
        session,
        viewer(request),
        name=form["contact"],
        responsible_id=deal.responsible_id,
        now=now(request),
        region=parts(request).settings.region,
    )
    return made.id


async def give_number(session: AsyncSession, request: Request, form: Form, deal: Deal) -> None:
    """After the act: the client whom ``make_typed`` made has the deal's number too, unless it is somebody's."""
    is_new = form.id("contact_id") is None and form["contact"].strip()
    if not is_new or deal.contact_id is None or not deal.client_number:
        return
    region = parts(request).settings.region
    if not await known_when_stored(session, viewer(request), [deal.client_number], region, without=deal.contact_id):
        await link_number(
            session, viewer(request), deal.contact_id, deal.client_number, region=region, now=now(request)
        )
