"""The gateway of SMS, as programs describe it."""

from typing import Any

from tests.integration.api.conftest import Programs
from tests.integration.api.test_writing import assert_problem

PATH = "/api/v1/sms-gateway"
GATEWAY: dict[str, Any] = {
    "address": "https://sms.example/send",
    "headers": "X-Key: {secret}",
    "body": '{"to": "{number}", "text": "{text}"}',
    "secret": "top-secret",
    "taken_path": "id",
}


async def test_a_gateway_is_described_and_its_secret_is_never_told(programs: Programs) -> None:
    async with await programs.as_("admin") as admin, await programs.as_("ivan") as ivan:
        assert (await ivan.get(PATH)).status_code == 403
        assert (await admin.get(PATH)).json()["version"] == 0
        assert_problem(await admin.post(f"{PATH}/test", json={"number": "0671112233"}), 409, "messages.no_gateway")
        wrong = {**GATEWAY, "body": '{"text": "{text}"}'}
        assert_problem(await admin.put(PATH, json=wrong), 422, "messages.no_number_place", "body")
        made = await admin.put(PATH, json=GATEWAY)
        assert made.status_code == 200, made.text
        kept = {**GATEWAY, "secret": None, "sender": "Dah", "version": 1}
        changed = await admin.put(PATH, json=kept)
        assert (changed.json()["sender"], changed.json()["has_secret"], changed.json()["version"]) == ("Dah", True, 2)
        assert_problem(await admin.put(PATH, json=kept), 409, "messages.stale_gateway")
        assert "top-secret" not in made.text + changed.text + (await admin.get(PATH)).text
        tried = await admin.post(f"{PATH}/test", json={"number": "067 111 22 33"})
        assert (tried.status_code, tried.json()["address"], tried.json()["state"]) == (200, "+380671112233", "queued")
