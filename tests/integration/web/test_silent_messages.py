"""Where a rule is switched on, pages say that nothing sends its message; and what a template makes is in the language of the company."""

from dataclasses import replace

import pytest
from sqlmodel import col, select
from starlette.applications import Starlette

from pbxcrm.automation.models import AutomationRule
from pbxcrm.messages.models import MessageTemplate
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers
from tests.integration.web.test_automation_pages import FORM, PATH, stages, text, typed
from tests.integration.web.test_sms_gateway import PATH as GATEWAY
from tests.integration.web.test_sms_gateway import TYPED

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NO_GATEWAY = "No SMS gateway is set, or it is off: this SMS cannot be sent."
CLICK = {"template": "unreached_sms", "to": "on"}


async def test_a_rule_whose_sms_nothing_sends_says_so(browser: Browsers, database: Database) -> None:
    known, admin = await stages(database), await browser("admin")
    assert text((await admin.get(f"{PATH}/templates")).text).count(NO_GATEWAY) == 2
    assert (await admin.post(f"{PATH}/templates", data=CLICK)).status_code == 303
    shown = text((await admin.get(PATH)).text)
    assert NO_GATEWAY in shown
    assert "is not sent" in shown
    async with database.read() as session:
        (message,) = (await session.exec(select(MessageTemplate))).all()
        (rule,) = (await session.exec(select(AutomationRule))).all()
    assert NO_GATEWAY in text((await admin.get(f"{PATH}/{rule.id}")).text)
    step = {"then.0.kind": "message", "then.0.template_id": str(message.id)}
    shape = {**typed(known["Unsorted"], **step), "act": "focus:then.0.template_id"}
    assert NO_GATEWAY in text((await admin.post(f"{PATH}/shape", data=shape, headers=FORM)).text)
    assert (await admin.post(GATEWAY, data=TYPED)).status_code == 303
    for page in (f"{PATH}/templates", PATH, f"{PATH}/{rule.id}"):
        assert NO_GATEWAY not in text((await admin.get(page)).text)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("task", "If the server dies in its midst, it is still done once."),
        ("webhook", "the other side knows a repetition by its key"),
        ("message", "it is not sent again, a person decides"),
        ("wait", ""),
    ],
)
async def test_a_step_says_whether_repeating_it_is_safe(
    browser: Browsers, database: Database, kind: str, says: str
) -> None:
    known, admin = await stages(database), await browser("admin")
    shape = {**typed(known["Unsorted"], **{"then.0.kind": kind}), "act": "focus:then.0.kind"}
    shown = text((await admin.post(f"{PATH}/shape", data=shape, headers=FORM)).text)
    assert "If the server dies" in shown if says else "If the server dies" not in shown
    assert says in shown


@pytest.mark.parametrize(
    ("language", "name", "task", "message"),
    [
        ("uk", "Передзвонити за дві години", "Передзвонити: не відповіли", "SMS: не додзвонилися"),
        ("", "Call again in two hours", "Call again: nobody answered", "SMS: we could not reach you"),
    ],
)
async def test_a_template_speaks_the_language_of_the_company(
    browser: Browsers, app: Starlette, database: Database, language: str, name: str, task: str, message: str
) -> None:
    """Whoever switches it on reads English; where no language is set, that one counts."""
    await stages(database)
    admin, known = await browser("admin"), app.state.parts
    if language:
        app.state.parts = replace(known, settings=known.settings.model_copy(update={"language": language}))
    for click in ({"template": "not_reached", "to": "on"}, CLICK):
        assert (await admin.post(f"{PATH}/templates", data=click)).status_code == 303
    shown = text((await admin.get(f"{PATH}/templates", headers={"accept-language": "en"})).text)
    assert shown.count("in use") == 2
    async with database.read() as session:
        first = (await session.exec(select(AutomationRule).order_by(col(AutomationRule.id)))).first()
        sent = (await session.exec(select(MessageTemplate))).one()
    assert first is not None
    assert (first.name, first.steps[0]["title"], sent.name) == (name, task, message)
