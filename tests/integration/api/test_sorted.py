"""Clients and companies in an asked order, page by page."""

import pytest

from tests.integration.api.conftest import Programs
from tests.integration.api.test_writing import assert_problem


@pytest.mark.parametrize("resource", ["contacts", "companies"])
async def test_each_page_goes_on_where_the_last_one_ended(programs: Programs, resource: str) -> None:
    async with await programs.as_("admin") as admin:
        field = {"entity": resource.replace("companies", "company").removesuffix("s"), "kind": "number", "name": "Rank"}
        made = await admin.post("/api/v1/fields", json=field | {"key": "rank", "filterable": True})
        assert made.status_code == 201, made.text
        for name, rank in (("Борис", "2"), ("Anna", None), ("Ганна", "1"), ("Clara", "2")):
            row = await admin.post(f"/api/v1/{resource}", json={"name": name, "fields": {"rank": rank}})
            assert row.status_code == 201, row.text

        async def names(sort: str, **query: str) -> list[str]:
            found: list[str] = []
            cursor: dict[str, str] = {}
            while True:
                answer = await admin.get(f"/api/v1/{resource}", params={"sort": sort, "limit": "1", **query, **cursor})
                assert answer.status_code == 200, answer.text
                found += [each["name"] for each in answer.json()["items"]]
                if (behind := answer.json()["next"]) is None:
                    return found
                cursor = {"cursor": behind}

        assert await names("created_at") == ["Борис", "Anna", "Ганна", "Clara"]
        assert await names("field.rank", q="an") == ["Ганна", "Anna"]
        assert await names("field.rank") == ["Ганна", "Борис", "Clara", "Anna"]
        assert await names("-field.rank", **{"field.rank.min": "2"}) == ["Clara", "Борис"]
        assert await names("-created_at") == ["Clara", "Ганна", "Anna", "Борис"]
        assert await names("name") == ["Anna", "Clara", "Борис", "Ганна"]
        assert await names("-name", q="an") == ["Ганна", "Anna"]
        wrong = await admin.get(f"/api/v1/{resource}?sort=note")
        assert_problem(wrong, 422, "contacts.no_sort", "sort")
        assert (await admin.get(f"/api/v1/{resource}?sort=created_at&cursor=x")).status_code == 422
