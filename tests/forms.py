"""What tests of web forms share: a form in the office, made as an administrator makes it."""

from datetime import datetime
from typing import Any

from sqlmodel import select

from pbxcrm.access import Role, Viewer
from pbxcrm.deals.models import Pipeline
from pbxcrm.forms.actions import Arrival, Surroundings, receive
from pbxcrm.forms.form_actions import FormDraft, save_form
from pbxcrm.forms.models import FormKind, FormRequest, WebForm
from pbxcrm.forms.rules import Answers, FormField
from pbxcrm.shared.db import Database
from pbxcrm.shared.numbers import Written

ASKED = (
    FormField("name", "name", ""),
    FormField("phone", "phone", "", required=True),
    FormField("email", "email", ""),
    FormField("message", "message", ""),
)
ROBERT = {
    "name": "Роберт Ткач",
    "phone": "067 111 22 33",
    "email": "robert@example.com",
    "message": "Передзвоніть, будь ласка.",
}
ROBERTS_NUMBER = "+380671112233"


def admin(user_id: int, role: Role = Role.ADMIN) -> Viewer:
    return Viewer(user_id, "admin", "Admin", role, None)


async def make_form(database: Database, by: Viewer, now: datetime, **values: Any) -> WebForm:
    """A form of the first pipeline that asks for ``ASKED``; ``values`` are of its draft."""
    async with database.write() as session:
        pipeline = (await session.exec(select(Pipeline).order_by(Pipeline.id))).first()  # type: ignore[arg-type]
        assert pipeline is not None
        drafted = {"kind": FormKind.WEB, "name": "Site", "pipeline_id": pipeline.id, "language": "en", "fields": ASKED}
        return await save_form(session, by, None, FormDraft(**(drafted | values)), now, mailboxes=("office",))


async def send(
    database: Database,
    form: WebForm,
    now: datetime,
    number: str = ROBERTS_NUMBER,
    *,
    content: str = "any content",
    **custom: Any,
) -> FormRequest:
    """A request of somebody new, as it comes in once it has been read and checked; ``custom`` are custom fields by key."""
    answers = Answers(name="Роберт Ткач", numbers=[Written(number)], custom=custom)
    async with database.write() as session:
        kept = await session.get_one(WebForm, form.id)
        return await receive(session, kept, Arrival(answers, content), Surroundings("UA", "UAH", 1), now)
