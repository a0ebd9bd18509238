"""Saved views over the API: one's own, the team's by its manager, and no filter that there is not."""

from tests.integration.api.conftest import Programs
from tests.integration.api.test_writing import assert_problem


async def test_views_are_saved_changed_and_deleted(programs: Programs) -> None:
    async with await programs.as_("ivan") as ivan, await programs.as_("maria") as maria:
        made = await ivan.post("/api/v1/views", json={"name": "Dear", "query": "?amount.min=1000&show=table"})
        assert made.status_code == 201, made.text
        view = made.json()
        assert (view["query"], view["team_id"]) == ("amount.min=1000&show=table", None)
        assert_problem(
            await ivan.post("/api/v1/views", json={"name": "x", "query": "colour=1"}), 422, "conditions.field", "colour"
        )
        assert (await ivan.post("/api/v1/views", json={"name": "x", "query": "", "for_team": True})).status_code == 403
        team = await maria.post("/api/v1/views", json={"name": "Team", "query": "lamp=any", "for_team": True})
        assert team.status_code == 201, team.text
        listed = (await ivan.get("/api/v1/views")).json()["items"]
        assert [each["name"] for each in listed] == ["Team", "Dear"]
        first = (await ivan.get("/api/v1/views", params={"limit": "1"})).json()
        rest = (await ivan.get("/api/v1/views", params={"limit": "1", "cursor": first["next"]})).json()
        assert [each["name"] for each in [*first["items"], *rest["items"]]] == ["Team", "Dear"]
        path = f"/api/v1/views/{view['id']}"
        changed = await ivan.patch(path, json={"name": "Dearest", "is_default": True})
        assert changed.json()["is_default"] is True
        assert (await maria.patch(path, json={"name": "Mine now"})).status_code == 404
        assert (await ivan.delete(f"/api/v1/views/{team.json()['id']}")).status_code == 403
        assert (await ivan.delete(path)).status_code == 204
        assert (await ivan.delete(path)).status_code == 404


async def test_views_of_clients_and_companies(programs: Programs) -> None:
    async with await programs.as_("ivan") as ivan:
        for of, query in (("contact", "?birthday=7&sort=-created_at"), ("company", "mine=1")):
            made = await ivan.post("/api/v1/views", json={"name": "Ours", "of": of, "query": query})
            assert made.status_code == 201, made.text
            assert (made.json()["of"], made.json()["query"]) == (of, query.removeprefix("?"))
            for wrong in ("amount.min=1", "sort=note"):
                refused = await ivan.post("/api/v1/views", json={"name": "x", "of": of, "query": wrong})
                assert refused.status_code == 422, wrong
            listed = (await ivan.get("/api/v1/views", params={"of": of})).json()["items"]
            assert [(each["name"], each["of"]) for each in listed] == [("Ours", of)]
            renamed = await ivan.patch(f"/api/v1/views/{listed[0]['id']}", json={"name": "Mine"})
            assert (renamed.json()["name"], renamed.json()["of"]) == ("Mine", of)
        assert (await ivan.get("/api/v1/views")).json()["items"] == []
        assert (await ivan.get("/api/v1/views?of=task")).status_code == 422
