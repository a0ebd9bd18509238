"""A form of the sample company's site and what came through it: a new client, one who had bought before, and a robot.

They go the way of every request (``forms.actions.receive``).
"""

from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageKind
from pbxcrm.forms.actions import Arrival, Surroundings, receive
from pbxcrm.forms.form_actions import FormDraft, save_form
from pbxcrm.forms.models import FormKind
from pbxcrm.forms.rules import Answers, FormField
from pbxcrm.shared.numbers import Written
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.settings import Settings

PAGE = "https://shop.example/doors"
FIELDS = (
    FormField("name", "name", "", required=True),
    FormField("phone", "phone", "", required=True),
    FormField("email", "email", ""),
    FormField("message", "message", ""),
)


async def add_requests(session: AsyncSession, admin: Viewer, seller: Viewer, settings: Settings, at: datetime) -> None:
    """Make the form and its requests of the last hour; the ``seller`` gets them."""
    pipeline = (await session.exec(select(Pipeline).where(Pipeline.is_default))).one()
    draft = FormDraft(
        FormKind.WEB,
        "Site",
        pipeline.id,
        "en",
        FIELDS,
        responsible_id=seller.user_id,
        source="Site",
        title="Ask us",
        intro="We call you back within an hour.",
        consent="I agree that you keep what I write to answer me.",
    )
    form = await save_form(session, admin, None, draft, at)
    around = Surroundings(settings.region, settings.currency, settings.files_total_gb)
    known = await _bought_before(session)
    asked = [
        ("Марина Левченко", "+380671110077", "Do you have oak doors 80 cm wide, and when can they be here?", None),
        ("SEO Promo", "+380671110078", "Best links for your site, cheap!!!", reason("form.trap")),
    ]
    if known is not None:
        asked.insert(1, (known[0], known[1], "We bought from you last year and want the same again.", None))
    for n, (name, number, message, aside) in enumerate(asked):
        answers = Answers(name=name, numbers=[Written(number)], message=message)
        arrival = Arrival(
            answers,
            f"demo {n}",
            source="Site",
            page=PAGE,
            utm={"utm_source": "search"} if n == 0 else {},
            consent_version=form.consent_version,
            aside=aside,
        )
        await receive(session, form, arrival, around, at - timedelta(minutes=40 - 15 * n))


async def _bought_before(session: AsyncSession) -> tuple[str, str] | None:
    """The name and number of a client with a won deal and no open one."""
    won = select(Stage.id).where(Stage.kind == StageKind.WON)
    open_ones = select(Deal.contact_id).where(col(Deal.closed_at).is_(None), col(Deal.contact_id).is_not(None))
    found = await session.exec(
        select(Contact.name, Phone.number)
        .join(Phone, col(Phone.contact_id) == col(Contact.id))
        .join(Deal, col(Deal.contact_id) == col(Contact.id))
        .where(col(Deal.stage_id).in_(won), col(Contact.id).not_in(open_ones), Contact.name != "")
        .order_by(col(Deal.id).desc())
        .limit(1)
    )
    return found.first()
