"""The pages of incoming webhooks, and their addresses as other programs call them."""

import re

from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers

PATH = "/automation/hooks"


async def test_a_webhook_is_made_shown_once_called_and_revoked(browser: Browsers, database: Database) -> None:
    admin = await browser("admin")
    assert "No webhook yet" in (await admin.get(PATH)).text
    wrong = await admin.post(PATH, data={"name": "Shop", "fields": "Total = a", "per_minute": "60"})
    assert wrong.status_code == 422
    assert "is no name for a value" in wrong.text
    assert "Total = a" in wrong.text
    made = await admin.post(
        PATH, data={"name": "Shop <b>", "fields": "deal_id = deal\ntotal = sum | number", "per_minute": "2"}
    )
    assert made.status_code == 200
    address = re.search(r'id="webhook-secret">https?://[^/]+(/hooks/[\w-]+)<', made.text)
    assert address is not None
    assert address[1] not in (await admin.get(PATH)).text, "it is shown once"
    nobody = await browser()
    wrong_site = {"origin": "https://elsewhere.example", "cookie": "pbxcrm_session=x"}
    first = await nobody.post(address[1], json={"deal": "12"}, headers=wrong_site)
    assert (first.status_code, first.json()) == (202, {"ok": True, "state": "nobody"}), "it is for other sites"
    assert (await nobody.post(address[1], json={"deal": "12"})).json()["state"] == "repeated"
    assert (await nobody.post(address[1], content=b"{")).status_code == 422
    assert (await nobody.post(address[1], content=b'{"a": "' + b"x" * 65_536 + b'"}')).status_code == 413
    assert (await nobody.post(address[1], json={"deal": "13"})).status_code == 202
    late = await nobody.post(address[1], json={"deal": "14"})
    assert (late.status_code, late.headers["retry-after"]) == (429, "60")
    assert (await nobody.post("/hooks/guessed", json={})).status_code == 404
    one = (await admin.get(f"{PATH}/1")).text
    assert "nobody was found" in one
    assert "Shop &lt;b&gt;" in one
    assert (await admin.post(f"{PATH}/1/revoke")).status_code == 303
    assert (await nobody.post(address[1], json={"deal": "15"})).status_code == 404
    assert (await (await browser("olena")).get(PATH)).status_code == 403
