"""The pages of outgoing webhooks."""

import re

from sqlmodel import select

from pbxcrm.messages.models import Delivery
from pbxcrm.shared.db import Database
from tests.calls import NOON
from tests.integration.web.conftest import Browsers

PATH = "/automation/webhooks"


async def test_a_webhook_is_made_changed_and_its_message_sent_again(browser: Browsers, database: Database) -> None:
    admin = await browser("admin")
    assert "No webhook yet" in (await admin.get(PATH)).text
    wrong = await admin.post(PATH, data={"name": "Stock", "address": "ftp://x"})
    assert wrong.status_code == 422
    assert "begins with https://" in wrong.text
    made = await admin.post(PATH, data={"name": "Stock <b>", "address": "https://stock.example/in"})
    secret = re.search(r'id="webhook-secret">(whsec_[^<]+)<', made.text)
    assert secret is not None
    for page in (PATH, f"{PATH}/1", "/audit"):
        assert secret[1] not in (await admin.get(page)).text, "it is shown once"
    async with database.write() as session:
        session.add(
            Delivery(
                key="rule:1:1:0",
                channel="webhook",
                state="failed",
                webhook_id=1,
                address="https://stock.example/in",
                body='{"name": "<script>"}',
                answer="404 <i>",
                tries=1,
                created_at=NOON,
                due_at=NOON,
            )
        )
    one = (await admin.get(f"{PATH}/1")).text
    assert "Stock &lt;b&gt;" in one
    assert "404 &lt;i&gt;" in one
    assert (await admin.post(f"{PATH}/1/messages/1/again")).status_code == 303
    assert (await admin.post(f"{PATH}/1/messages/1/again")).status_code == 409
    renewed = (await admin.post(f"{PATH}/1/secret")).text
    assert "whsec_" in renewed
    assert secret[1] not in renewed
    box = 'name="is_on" value="1" checked'
    assert box in (await admin.get(f"{PATH}/1")).text
    off = {"name": "Stock", "address": "https://stock.example/in"}
    assert (await admin.post(f"{PATH}/1", data=off)).status_code == 303
    assert 'class="mark grey">off' in (await admin.get(PATH)).text
    assert box not in (await admin.get(f"{PATH}/1")).text, "else it would be on again when its name is changed"
    async with database.write() as session:
        (row,) = (await session.exec(select(Delivery))).all()
        row.state, row.said = "unknown", {}
    assert "not known" in (await admin.get(f"{PATH}/1")).text
    assert "What was sent stays" in (await admin.get(f"{PATH}/1")).text, "it is asked first"
    assert (await admin.post(f"{PATH}/1/delete")).status_code == 303
    assert (await admin.post(f"{PATH}/1/delete")).status_code == 409
    one = (await admin.get(f"{PATH}/1")).text
    assert "404 &lt;i&gt;" in one, "what was sent stays"
    assert "/again" not in one
    seller = await browser("olena")
    assert (await seller.get(PATH)).status_code == 403
    assert (await seller.get(f"{PATH}/1")).status_code == 403
