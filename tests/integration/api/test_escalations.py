"""Escalations as programs use them: the lamps that ask a manager, in the shape of all lamps."""

from datetime import timedelta

from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import NOON, FactStory
from tests.integration.api.conftest import Programs, hear
from tests.integration.api.test_writing import assert_problem
from tests.lamps import sweep_all

MISSED_AT = NOON + timedelta(seconds=9)


async def test_an_escalation_is_a_lamp_and_a_manager_decides_about_it(
    programs: Programs, database: Database, settings: Settings
) -> None:
    await hear(database, settings, FactStory("9.1", "+380671112233").ring("101").wait(9).end())
    for minutes in (20, 40):
        await sweep_all(database, MISSED_AT + timedelta(minutes=minutes))
    async with await programs.as_("maria") as client:
        [one] = (await client.get("/api/v1/escalations", params={"state": "burning"})).json()["items"]
        assert (one["subject"], one["step"], one["owner"], one["addressee"], one["is_escalation"]) == (
            "callback",
            1,
            "ivan",
            "maria",
            True,
        )
        assert one["client_number"] == "+380671112233"
        assert one["waiting_since"] == "2026-11-18T12:00:09Z"
        assert one["reason"].endswith(
            "The previous lamp lit Wed 18 Nov 12:20; 20 min of working time after it; Wed 18 Nov 12:20–12:40; lit Wed 18 Nov 12:40."
        )
        assert (await client.get(f"/api/v1/lamps/{one['id']}")).json() == one  # one shape
        lamps = (await client.get("/api/v1/lamps", params={"callback_id": one["callback_id"]})).json()["items"]
        assert {lamp["step"]: lamp["state"] for lamp in lamps} == {0: "burning", 1: "burning"}
        path = f"/api/v1/escalations/{one['id']}"
        said = await client.post(f"{path}/comment", json={"text": "Call before noon"})
        assert (said.status_code, said.json()["note"]) == (200, "Call before noon")
        assert (await client.post(f"{path}/joint")).json()["state"] == "burning"
        kinds = [task["kind"] for task in (await client.get("/api/v1/tasks?assignee=ivan&status=open")).json()["items"]]
        assert sorted(kinds).count("assignment") == 1
        assert_problem(await client.post(f"{path}/reassign", json={"owner": "petro"}), 422, "people.not_found", "owner")
        given = (await client.post(f"{path}/reassign", json={"owner": "olena"})).json()
        assert (given["state"], given["decision"], given["out_by"]) == ("out", "reassigned", "maria")
        assert (await client.get(f"/api/v1/callbacks/{one['callback_id']}")).json()["owner"] == "olena"
        assert_problem(await client.post(f"{path}/accept", json={"why": "late"}), 409, "escalations.closed")
        history = (await client.get("/api/v1/escalations", params={"decision": "reassigned"})).json()["items"]
        assert [row["id"] for row in history] == [one["id"]]
    async with await programs.as_("oksana") as client:
        assert (await client.get("/api/v1/escalations")).json()["items"] == []
        assert (await client.get(path)).status_code == 404
    async with await programs.as_("ivan") as client:
        assert (await client.get("/api/v1/escalations")).status_code == 403
