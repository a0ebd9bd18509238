"""Custom fields for programs: definitions, values of each kind, filters, gates, conflicts, what is refused and where."""

from typing import Any

import pytest

from tests.integration.api.conftest import Programs
from tests.integration.api.test_writing import assert_problem, stages

VALUES: dict[str, tuple[Any, Any]] = {  # kind -> what is sent, what is answered
    "text": ("  =cmd|' /C calc'!A0 ", "=cmd|' /C calc'!A0"),
    "long_text": ("<b>first</b>\r\nsecond \u202e line", "<b>first</b>\nsecond \u202e line"),
    "number": ("12 400,5", "12400.5"),
    "money": ("99.9", "99.90"),
    "date": ("2026-12-01", "2026-12-01"),
    "moment": ("2026-12-01T10:00:00+02:00", "2026-12-01T08:00:00Z"),
    "choice": ("Wood", 2),
    "several": (["Steel", 1], [1, 3]),
    "yes_no": (True, True),
    "person": ("olena", "olena"),
    "link": ("example.com/a?b=1", "https://example.com/a?b=1"),
    "phone": ("067 111 22 33", "+380671112233"),
    "address": ("Вулиця Зелена,  12", "Вулиця Зелена, 12"),
}
WRONG: dict[str, Any] = {
    "text": "x" * 501, "long_text": "x" * 10_001, "number": "many", "money": "1e400", "date": "2026-13-01", "moment": "2026-12-01", "choice": "Paper",
    "several": ["Wood", "Paper"], "yes_no": "perhaps", "person": "nobody", "link": "javascript:alert(1)", "phone": "hello", "address": "x" * 501,
}  # fmt: skip


async def make(programs: Programs, kind: str, **more: Any) -> dict[str, Any]:
    options = [{"name": name} for name in ("Brick", "Wood", "Steel")] if kind in {"choice", "several"} else []
    body = {"entity": "deal", "kind": kind, "name": f"My {kind}", "key": kind, "options": options, **more}
    async with await programs.as_("admin") as admin:
        answer = await admin.post("/api/v1/fields", json=body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def test_values_of_each_kind_come_back_and_are_found(programs: Programs) -> None:
    for kind in VALUES:
        await make(programs, kind, filterable=True)
    async with await programs.as_("ivan") as ivan:
        sent = {kind: given for kind, (given, _told) in VALUES.items()}
        made = (await ivan.post("/api/v1/deals", json={"title": "With fields", "fields": sent})).json()
        await ivan.post("/api/v1/deals", json={"title": "Without"})
        assert made["fields"] == {kind: told for kind, (_given, told) in VALUES.items()}
        deal = f"/api/v1/deals/{made['id']}"
        assert (await ivan.get(deal)).json()["fields"] == made["fields"]
        again = (await ivan.patch(deal, json={"fields": made["fields"]})).json()  # what is answered can be sent
        assert again["fields"] == made["fields"]
        for kind, (_given, told) in VALUES.items():
            asked = told[0] if isinstance(told, list) else str(told).lower() if isinstance(told, bool) else told
            if kind == "long_text":
                found = await ivan.get("/api/v1/deals", params={"field.long_text.contains": "second"})
            elif kind == "moment":
                found = await ivan.get(
                    "/api/v1/deals", params={"field.moment.min": "2026-12-01", "field.moment.max": "2026-12-01"}
                )
            else:
                found = await ivan.get("/api/v1/deals", params={f"field.{kind}": str(asked)})
            assert [each["title"] for each in found.json()["items"]] == ["With fields"], (kind, found.text)
        empty = await ivan.get("/api/v1/deals", params={"field.number.empty": "1"})
        assert [each["title"] for each in empty.json()["items"]] == ["Without"]
        for name in ("field.nothing", "field.number.most"):
            assert_problem(await ivan.get("/api/v1/deals", params={name: "1"}), 422, "conditions.field", name)
        gone = (await ivan.patch(deal, json={"fields": dict.fromkeys(VALUES)})).json()
        assert gone["fields"] == {}


@pytest.mark.parametrize("kind", list(WRONG))
async def test_a_wrong_value_is_refused_at_its_field(programs: Programs, kind: str) -> None:
    await make(programs, kind)
    async with await programs.as_("ivan") as ivan:
        answer = await ivan.post("/api/v1/deals", json={"title": "Wrong", "fields": {kind: WRONG[kind]}})
        assert answer.status_code == 422, answer.text
        assert answer.json()["field"] in {f"fields.{kind}", f"fields.{kind}.constrained-str"} or answer.json()[
            "field"
        ].startswith(f"fields.{kind}")
        unknown = await ivan.post("/api/v1/deals", json={"title": "Wrong", "fields": {"nothing": 1}})
        assert_problem(unknown, 422, "fields.unknown", "fields.nothing")


async def test_a_stage_requires_a_field_on_every_path(programs: Programs) -> None:
    into = await stages(programs)
    names = list(into)
    field = await make(programs, "number", stages_required=[into[names[-2]]])
    async with await programs.as_("admin") as admin:
        [pipeline] = (await admin.get("/api/v1/pipelines")).json()["items"]
        required = {stage["id"]: stage["requires"]["fields"] for stage in pipeline["stages"]}
        assert required[into[names[-2]]] == ["number"]
    async with await programs.as_("ivan") as ivan:
        deal = (await ivan.post("/api/v1/deals", json={"title": "Gated"})).json()
        path = f"/api/v1/deals/{deal['id']}"
        refused = await ivan.patch(path, json={"stage_id": into[names[-2]]})
        assert (refused.status_code, refused.json()["code"]) == (422, "deals.gate")
        assert refused.json()["missing"] == [{"kind": "field", "key": "number", "message": "Fill in “My number”."}]
        moved = await ivan.patch(path, json={"stage_id": into[names[-2]], "fields": {"number": 5}})
        assert (moved.status_code, moved.json()["stage_id"]) == (200, into[names[-2]])
    async with await programs.as_("admin") as admin:  # an archived field is asked for no more
        assert (await admin.patch(f"/api/v1/fields/{field['id']}", json={"archived": True})).status_code == 200
    async with await programs.as_("ivan") as ivan:
        other = (await ivan.post("/api/v1/deals", json={"title": "Free"})).json()
        assert (await ivan.patch(f"/api/v1/deals/{other['id']}", json={"stage_id": into[names[-2]]})).status_code == 200


async def test_options_keep_their_identity(programs: Programs) -> None:
    field = await make(programs, "choice", filterable=True)
    async with await programs.as_("ivan") as ivan:
        deal = (await ivan.post("/api/v1/deals", json={"title": "Oak", "fields": {"choice": "Wood"}})).json()
    async with await programs.as_("admin") as admin:
        changed = await admin.patch(
            f"/api/v1/fields/{field['id']}",
            json={"version": 1, "options": [{"id": 1, "name": "Red brick"}, {"name": "Clay"}]},
        )
        assert changed.json()["options"] == [
            {"id": 1, "name": "Red brick", "retired": False},
            {"id": 4, "name": "Clay", "retired": False},
            {"id": 2, "name": "Wood", "retired": True},
            {"id": 3, "name": "Steel", "retired": True},
        ]
        stale = await admin.patch(f"/api/v1/fields/{field['id']}", json={"version": 1, "name": "Later"})
        assert_problem(stale, 409, "fields.stale")
    async with await programs.as_("ivan") as ivan:
        path = f"/api/v1/deals/{deal['id']}"
        assert (await ivan.get(path)).json()["fields"] == {"choice": 2}
        kept = await ivan.patch(path, json={"fields": {"choice": 2}})  # unchanged, though it is no longer offered
        assert kept.status_code == 200
        assert_problem(await ivan.patch(path, json={"fields": {"choice": 3}}), 422, "fields.choice", "fields.choice")
        found = (await ivan.get("/api/v1/deals", params={"field.choice": "2"})).json()["items"]
        assert [each["id"] for each in found] == [deal["id"]]


async def test_a_unique_value_is_given_once(programs: Programs) -> None:
    field = await make(programs, "text")
    async with await programs.as_("ivan") as ivan:
        first = (await ivan.post("/api/v1/deals", json={"title": "First", "fields": {"text": "Contract 7"}})).json()
        second = (await ivan.post("/api/v1/deals", json={"title": "Second", "fields": {"text": "contract  7"}})).json()
    async with await programs.as_("admin") as admin:
        assert_problem(
            await admin.patch(f"/api/v1/fields/{field['id']}", json={"unique": True}), 409, "fields.not_unique"
        )
    async with await programs.as_("ivan") as ivan:
        await ivan.patch(f"/api/v1/deals/{second['id']}", json={"fields": {"text": None}})
    async with await programs.as_("admin") as admin:
        assert (await admin.patch(f"/api/v1/fields/{field['id']}", json={"unique": True})).status_code == 200
    async with await programs.as_("ivan") as ivan:
        taken = await ivan.patch(f"/api/v1/deals/{second['id']}", json={"fields": {"text": "CONTRACT 7"}})
        assert_problem(taken, 409, "fields.taken", "fields.text")
        own = await ivan.patch(f"/api/v1/deals/{first['id']}", json={"fields": {"text": "Contract 7."}})
        assert own.status_code == 200


async def test_clients_and_companies_have_fields(programs: Programs) -> None:
    for entity in ("contact", "company"):
        await make(programs, "date", entity=entity, filterable=True)
        await make(programs, "link", entity=entity, target="company" if entity == "contact" else "contact")
    async with await programs.as_("admin") as admin:
        refused = await admin.post("/api/v1/fields", json={"entity": "contact", "kind": "file", "name": "Scan"})
        assert_problem(refused, 422, "fields.files_of_deals", "kind")
    async with await programs.as_("ivan") as ivan:
        company = (await ivan.post("/api/v1/companies", json={"name": "Elm", "fields": {"date": "2020-01-01"}})).json()
        contact = (
            await ivan.post(
                "/api/v1/contacts", json={"name": "Ann", "fields": {"date": "1990-05-17", "link": company["id"]}}
            )
        ).json()
        assert (company["fields"], contact["fields"]) == (
            {"date": "2020-01-01"},
            {"date": "1990-05-17", "link": company["id"]},
        )
        patched = await ivan.patch(f"/api/v1/companies/{company['id']}", json={"fields": {"link": contact["id"]}})
        assert patched.json()["fields"]["link"] == contact["id"]
        for what in ("contacts", "companies"):
            found = (await ivan.get(f"/api/v1/{what}", params={"field.date.max": "2021-01-01"})).json()["items"]
            assert len(found) == 1
            assert (await ivan.get(f"/api/v1/{what}", params={"field.date.max": "1980-01-01"})).json()["items"] == []
    async with await programs.as_("petro") as petro:  # of the other team: a row one may not see is not there
        other = await petro.post("/api/v1/contacts", json={"name": "Bo", "fields": {"link": company["id"]}})
        assert_problem(other, 422, "fields.row", "fields.link")


async def test_the_api_takes_every_term_of_a_deal(programs: Programs) -> None:
    async with await programs.as_("ivan") as ivan:
        title = "A new hall"
        made = await ivan.post("/api/v1/deals", json={"title": title, "amount": "500.00"})
        assert made.status_code == 201, made.text
        for found, query in (
            (True, {"amount.min": "500"}),
            (False, {"amount.min": "501"}),
            (True, {"next_task.empty": "1", "age.max": "1"}),
            (True, {"where": '{"all": [{"field": "title", "op": "contains", "value": "hall"}]}'}),
            (False, {"where": '{"none": [{"field": "title", "op": "contains", "value": "hall"}]}'}),
        ):
            answer = await ivan.get("/api/v1/deals", params=query)
            assert answer.status_code == 200, answer.text
            assert (title in {deal["title"] for deal in answer.json()["items"]}) == found, query
        wrong = await ivan.get("/api/v1/deals", params={"where": '{"field": "secret"}'})
        assert_problem(wrong, 422, "conditions.field", "where.field")
        assert_problem(
            await ivan.get("/api/v1/deals", params={"colour.min": "1"}), 422, "conditions.field", "colour.min"
        )
