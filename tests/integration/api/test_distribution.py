"""The rules of distribution, as programs use them (D11)."""

from typing import Any

from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import FactStory
from tests.integration.api.conftest import Programs, hear
from tests.integration.api.test_writing import assert_problem

RULES = "/api/v1/distribution/rules"
RULE: dict[str, Any] = {
    "name": "Big ones",
    "method": "value",
    "members": [{"login": "ivan", "since": "1000"}, {"team_id": 1}],
    "query": "amount.min=10&source=Site",
    "most_open": 5,
    "otherwise": "next",
}


async def test_rules_are_made_changed_moved_and_deleted(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        made = await client.post(RULES, json=RULE)
        assert made.status_code == 201, made.text
        first = made.json()
        assert first["members"] == [
            {"login": "ivan", "team_id": None, "since": "1000"},
            {"login": None, "team_id": 1, "since": None},
        ]
        assert (first["method"], first["otherwise"], first["broken"], first["version"]) == ("value", "next", False, 1)
        second = (await client.post(RULES, json={"name": "All", "members": [{"login": "olena"}]})).json()
        moved = await client.post(f"{RULES}/{second['id']}/move", json={"up": True})
        assert moved.status_code == 200, moved.text
        assert [rule["name"] for rule in (await client.get(RULES)).json()["items"]] == ["All", "Big ones"]
        address = f"{RULES}/{first['id']}"
        changed = await client.patch(address, json={"most_open": None, "on": False, "version": 1})
        assert (changed.json()["most_open"], changed.json()["on"], changed.json()["query"]) == (
            None,
            False,
            RULE["query"],
        )
        assert_problem(await client.patch(address, json={"on": True, "version": 1}), 409, "distribution.stale")
        for wrong, code, where in (
            ({"query": "nonsense=1"}, "conditions.field", "nonsense"),
            ({"query": "line=99"}, "conditions.row", "line"),
            ({"members": [{}]}, "distribution.member", "members.0"),
            ({"members": [{"login": "kira"}]}, "people.cannot_work", "members"),
            ({"members": [{"login": "nobody"}]}, "people.not_found", "members.0.login"),
            ({"members": [{"team_id": 99}]}, "people.no_team", "members"),
        ):
            assert_problem(await client.patch(address, json=wrong), 422, code, where)
        assert (await client.delete(address)).status_code == 204
        assert_problem(await client.get(address), 404, "distribution.no_rule_there")
    async with await programs.as_("maria") as manager:
        assert (await manager.get(RULES)).status_code == 403
        assert (await manager.post(RULES, json=RULE)).status_code == 403
        assert (await manager.get("/api/v1/distribution/trial")).status_code == 403


async def test_a_deal_is_given_by_the_rules_and_many_are(programs: Programs) -> None:
    new = {"title": "Doors", "distribute": True}
    async with await programs.as_("admin") as client:
        assert_problem(await client.post("/api/v1/deals", json=new), 422, "distribution.no_rule_here", "distribute")
        assert (await client.get("/api/v1/deals")).json()["items"] == []
        await client.post(RULES, json={"name": "All", "members": [{"login": "olena"}, {"login": "petro"}]})
        two = {**new, "responsible": "ivan"}
        assert_problem(await client.post("/api/v1/deals", json=two), 422, "deals.two_ways", "distribute")
        given = [(await client.post("/api/v1/deals", json=new)).json()["responsible"] for _ in range(4)]
        assert given == ["olena", "petro"] * 2
        ids = [deal["id"] for deal in (await client.get("/api/v1/deals")).json()["items"]]
        job = await client.post("/api/v1/deals/bulk", json={"ids": ids, "act": "distribute"})
        assert job.json()["refused"] == []
    async with await programs.as_("ivan") as seller:  # whose it is then, the seller does not see
        made = await seller.post("/api/v1/deals", json=new)
        assert made.status_code == 201, made.text
        assert (await seller.get(f"/api/v1/deals/{made.json()['id']}")).status_code == 404


async def test_the_dry_run_changes_nothing(programs: Programs, database: Database, settings: Settings) -> None:
    await hear(database, settings, FactStory("17.1").ring("101").wait(9).end())
    async with await programs.as_("admin") as client:
        await client.post(RULES, json={"name": "All", "members": [{"login": "petro"}]})
        for _ in range(2):
            (row,) = (await client.get("/api/v1/distribution/trial")).json()["items"]
            assert (row["got"], row["would_get"], row["rule"]) == ("ivan", "petro", "All")
            assert "whose turn it was" in row["why"][0]
        (deal,) = (await client.get("/api/v1/deals")).json()["items"]
        assert deal["responsible"] == "ivan"
