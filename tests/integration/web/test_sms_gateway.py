"""The gateway of SMS on its page and by REST: filled by a known one, its secret never shown, tried with a test."""

from html import unescape

from sqlmodel import select

from pbxcrm.messages.models import Delivery, SmsGateway
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock
from tests.integration.web.test_settings_pages import make_deal

HOSTILE = "<img src=x onerror=alert(1)>"
PATH = "/settings/messages/sms"
TYPED = {
    "address": "https://sms.example/send", "method": "POST", "headers": "Authorization: Bearer {secret}", "body_format": "json",
    "body": '{"to": "{digits}", "text": "{text}"}', "sender": "Dah", "secret": "top-secret", "taken_path": "id", "is_on": "1",
    "version": "0",
}  # fmt: skip


async def test_a_gateway_is_filled_saved_and_tried(browser: Browsers, database: Database) -> None:
    admin, olena = await browser("admin"), await browser("olena")
    assert (await olena.get(PATH)).status_code == 403
    assert "No SMS gateway is set" in (await admin.get("/settings/messages")).text
    filled = unescape((await admin.get(f"{PATH}?like=turbosms")).text)
    assert "https://api.turbosms.ua/message/send.json" in filled
    assert "Bearer {secret}" in filled
    assert 'name="is_on" value="1" checked' in filled
    assert 'name="knows_repeats" value="1" checked' not in filled, "neither documentation promises it"
    wrong = await admin.post(PATH, data=TYPED | {"body": HOSTILE, "secret": "top-secret"})
    assert wrong.status_code == 422
    assert HOSTILE not in wrong.text
    assert "top-secret" not in wrong.text
    assert (await admin.post(PATH, data=TYPED)).status_code == 303
    assert (await admin.post(PATH, data=TYPED)).status_code == 409, "it is version 1 by now"
    assert (await admin.post(PATH, data=TYPED | {"version": "1", "secret": "", "sender": "Roof"})).status_code == 303
    async with database.read() as session:
        gateway = (await session.exec(select(SmsGateway))).one()
    assert (gateway.secret, gateway.sender) == ("top-secret", "Roof")
    page = (await admin.get(PATH)).text
    assert "top-secret" not in page
    assert "SMS come from Roof" in (await admin.get("/settings/messages")).text
    assert (await admin.post(f"{PATH}/try", data={"number": "101"})).status_code == 422
    assert (await admin.post(f"{PATH}/try", data={"number": "067 111 22 33"})).status_code == 303
    async with database.write() as session:
        row = (await session.exec(select(Delivery))).one()
        assert (row.channel, row.is_test, row.address) == ("sms", True, "+380671112233")
        row.answer, row.state = HOSTILE, "unknown"
    page = (await admin.get(PATH)).text
    assert HOSTILE not in page
    assert "not known" in page


async def test_an_sms_is_written_with_its_number_of_parts(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    admin, olena = await browser("admin"), await browser("olena")
    template = {"name": "Short", "channel": "sms", "texts.uk": "ї" * 71}
    said = await admin.post("/settings/messages/check", data=template | {"deal_id": str(deal_id)})
    assert "SMS: 2, of at most 70 letters" in said.text
    assert "Room for 63 more" in said.text
    assert (await admin.post("/settings/messages/new", data=template)).status_code == 303
    asked = (await olena.get(f"/deals/{deal_id}/message")).text
    assert "+380671110001" in asked
    assert "SMS: 2, of at most 70 letters" in asked
    assert (
        await olena.post(f"/deals/{deal_id}/message", data={"message_template_id": "1", "key": "k"})
    ).status_code == 303
    assert "SMS: 2, of at most" in (await olena.get(f"/deals/{deal_id}?kind=messages")).text
