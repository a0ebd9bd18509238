"""What programs change: made, moved, finished, claimed; refused in one shape that names what is wrong."""

from typing import Any

import pytest
from sqlmodel import select

from pbxcrm.deals.models import Stage
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.people.models import ApiToken
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import FactStory
from tests.integration.api.conftest import Programs, hear
from web.api.openapi import describe
from web.api.table import RESOURCES

TOMORROW = "2026-11-19T09:00:00+02:00"


async def stages(programs: Programs) -> dict[str, int]:
    async with await programs.as_("admin") as client:
        [pipeline] = (await client.get("/api/v1/pipelines")).json()["items"]
    return {stage["name"]: stage["id"] for stage in pipeline["stages"]}


def assert_problem(answer: Any, status: int, code: str, field: str | None = None) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (status, code, field), problem
    assert problem["status"] == status
    assert problem["type"]
    assert problem["title"]
    assert problem["detail"]


async def test_a_deal_is_made_changed_and_moved(programs: Programs) -> None:
    into = await stages(programs)
    async with await programs.as_("ivan") as client:
        made = await client.post("/api/v1/deals", json={"title": " Fence  40 m ", "amount": "12400.50"})
        assert made.status_code == 201
        deal = made.json()
        assert made.headers["location"] == f"/api/v1/deals/{deal['id']}"
        assert (deal["title"], deal["amount"], deal["currency"]) == ("Fence 40 m", "12400.50", "UAH")
        assert (deal["responsible"], deal["stage"]) == ("ivan", "New request")
        wrong = await client.post("/api/v1/deals", json={"title": "Fence", "client_number": "ask her"})
        assert_problem(wrong, 422, "contacts.number", "client_number")
        path = made.headers["location"]
        moved = await client.patch(path, json={"version": 1, "stage_id": into["Call held"], "title": "Fence"})
        assert (moved.json()["stage"], moved.json()["title"], moved.json()["amount"]) == (
            "Call held",
            "Fence",
            "12400.50",
        )
        stale = await client.patch(path, json={"version": 1, "stage_id": into["Shipped"]})
        assert_problem(stale, 409, "deals.stale")
        lost = await client.patch(path, json={"stage_id": into["Lost"]})
        assert_problem(lost, 422, "deals.gate", "lost_reason")
        missing = {"kind": "lost_reason", "key": "lost_reason", "message": "Say why the deal is lost."}
        assert lost.json()["missing"] == [missing]
        given = await client.patch(path, json={"responsible": "olena", "amount": None})
        assert (given.status_code, given.json()["amount"], given.json()["responsible"]) == (200, None, "olena")
        ended = await client.patch(path, json={"stage_id": into["Lost"], "lost_reason": "Too dear"})
        assert ended.status_code == 404, "it is olena's now"
    async with await programs.as_("olena") as client:
        ended = await client.patch(path, json={"stage_id": into["Lost"], "lost_reason": "Too dear"})
        assert (ended.json()["stage_kind"], ended.json()["lost_reason"]) == ("lost", "Too dear")


async def test_nothing_is_half_done(programs: Programs) -> None:
    into = await stages(programs)
    async with await programs.as_("ivan") as client:
        path = (await client.post("/api/v1/deals", json={"title": "Fence"})).headers["location"]
        change = {"stage_id": into["Call held"], "responsible": "petro"}
        assert_problem(await client.patch(path, json=change), 422, "people.not_found", "responsible")
        assert (await client.get(path)).json()["stage"] == "New request"


async def test_a_client_a_company_a_note(programs: Programs, database: Database, settings: Settings) -> None:
    await hear(database, settings, FactStory(client="+380671112233").ring("101").wait(2).answer("101").end())
    async with await programs.as_("ivan") as client:
        body = {
            "name": "Oksana Koval",
            "phones": ["067 111-22-33"],
            "emails": ["o@example.com"],
            "company": "Koval Ltd",
        }
        made = await client.post("/api/v1/contacts", json=body)
        contact = made.json()
        assert contact["phones"] == [
            {"number": "+380671112233", "extension": "", "label": "", "kind": "mobile", "main": True}
        ]
        assert contact["company"] == "Koval Ltd"
        [call] = (await client.get("/api/v1/calls", params={"contact_id": contact["id"]})).json()["items"]
        assert call["client_number"] == "+380671112233"
        path = made.headers["location"]
        changed = await client.patch(path, json={"version": contact["version"], "phones": ["0501112233"]})
        assert [phone["number"] for phone in changed.json()["phones"]] == ["+380501112233"]
        assert_problem(await client.patch(path, json={"version": 1, "name": "X"}), 409, "contacts.stale")
        assert_problem(
            await client.post("/api/v1/contacts", json={"name": "X", "phones": ["12x"]}),
            422,
            "contacts.number",
            "phones",
        )
        note = await client.post(
            "/api/v1/notes", json={"text": "Wants a fence", "contact_id": contact["id"], "call_id": call["id"]}
        )
        assert note.status_code == 201, note.text
        assert (note.json()["author"], note.json()["text"]) == ("ivan", "Wants a fence")
        assert_problem(
            await client.post("/api/v1/notes", json={"text": "About nothing"}), 422, "notes.about", "deal_id"
        )
        company = await client.patch(f"/api/v1/companies/{contact['company_id']}", json={"note": "VIP"})
        assert (company.json()["name"], company.json()["note"]) == ("Koval Ltd", "VIP")
    async with await programs.as_("petro") as stranger:
        assert_problem(await stranger.get(note.headers["location"]), 404, "notes.not_found")


async def test_a_second_client_of_one_number_is_made_knowingly_only(programs: Programs) -> None:
    async with await programs.as_("ivan") as client:
        await client.post("/api/v1/contacts", json={"name": "Anna", "phones": ["0931112201", "0931112202"]})
        for typed in ("093 111 22 01", "0931112203 0931112202"):
            second = {"name": "Her husband", "phones": [typed]}
            refused = await client.post("/api/v1/contacts", json=second)
            assert_problem(refused, 422, "contacts.known_number", "phones")
            assert "Anna" in refused.json()["detail"]
        made = await client.post("/api/v1/contacts", json={"name": "Her husband", "phones": ["0931112204"]})
        path = made.headers["location"]
        both = {"phones": ["0931112204", "0931112201"]}
        assert_problem(await client.patch(path, json=both), 422, "contacts.known_number", "phones")
        assert (await client.patch(path, json=both | {"share_numbers": True})).status_code == 200
        assert (await client.patch(path, json=both)).status_code == 200, "it is theirs already"
        meant = {"name": "Her son", "phones": ["0931112202"], "share_numbers": True}
        assert (await client.post("/api/v1/contacts", json=meant)).status_code == 201


async def test_a_task_is_made_changed_and_finished(programs: Programs) -> None:
    async with await programs.as_("maria") as client:
        made = await client.post("/api/v1/tasks", json={"title": "Call", "due_at": TOMORROW, "assignee": "ivan"})
        task = made.json()
        assert (task["due_at"], task["assignee"], task["created_by"]) == ("2026-11-19T07:00:00Z", "ivan", "maria")
        path = made.headers["location"]
        changed = (await client.patch(path, json={"title": "Call Oksana", "version": 1})).json()
        assert (changed["title"], changed["version"]) == ("Call Oksana", 2)
        assert_problem(await client.patch(path, json={"version": 1}), 409, "tasks.stale")
        done = (await client.post(f"{path}/finish", json={"result": "She buys"})).json()
        assert (done["status"], done["result"], done["done_by"]) == ("done", "She buys", "maria")


async def test_a_callback_is_taken_by_one_and_told_how_it_went(
    programs: Programs, database: Database, settings: Settings
) -> None:
    await hear(database, settings, FactStory(client="+380671112233").ring("101").wait(20).end())
    async with await programs.as_("ivan") as ivan, await programs.as_("olena") as olena:
        [callback] = (await ivan.get("/api/v1/callbacks")).json()["items"]
        path = f"/api/v1/callbacks/{callback['id']}"
        assert (await ivan.post(f"{path}/claim")).json()["claimed_by"] == "ivan"
        uncalled = await ivan.post(f"{path}/result", json={"result": "not_interested"})
        assert_problem(uncalled, 422, "callbacks.no_call", "without_call")
        assert [(m["kind"], m["key"]) for m in uncalled.json()["missing"]] == [
            ("call", "without_call"),
            ("field", "why"),
        ]
        assert_problem(await olena.post(f"{path}/claim"), 409, "callbacks.claimed")
        late = await olena.post(f"{path}/result", json={"result": "reached", "without_call": "by mail"})
        assert_problem(late, 409, "callbacks.claimed")
        planned = (await ivan.post(f"{path}/result", json={"result": "didnt_reach", "without_call": "by mail"})).json()
        assert (planned["status"], planned["attempts"]) == ("open", 1)
        assert planned["next_attempt_at"] is not None
        assert_problem(
            await ivan.post(f"{path}/result", json={"result": "not_interested", "without_call": "by mail"}),
            422,
            "callbacks.why",
            "why",
        )
        closed = (await ivan.post(f"{path}/result", json={"result": "reached", "without_call": "by mail"})).json()
        assert (closed["status"], closed["closed_by_call_id"]) == ("reached", None)
        assert "Ivan Kravets" in closed["closed_reason"]
        task = (await ivan.get(f"/api/v1/tasks/{callback['task_id']}")).json()
        assert task["status"] == "done"


async def test_special_numbers(programs: Programs, database: Database, settings: Settings) -> None:
    """Silenced by whoever has the client, and taken off again by who put it there."""
    await hear(database, settings, FactStory(client="+380671112233").ring("101").wait(2).answer("101").end())
    async with await programs.as_("ivan") as seller, await programs.as_("petro") as stranger:
        foreign = await stranger.post("/api/v1/special-numbers", json={"number": "0671112233", "kind": "spam"})
        assert_problem(foreign, 403, "numbers.not_yours")
        made = await seller.post("/api/v1/special-numbers", json={"number": "0671112233", "kind": "spam"})
        assert made.status_code == 201, made.text
        assert made.headers["location"] == "/api/v1/special-numbers/+380671112233"
        for beginning in ("+38067", "+380", "38067", "+38067*"):
            cut = await seller.post("/api/v1/special-numbers", json={"number": beginning, "kind": "spam"})
            assert_problem(cut, 422, "numbers.not_whole", field="number")
        own = await seller.post("/api/v1/special-numbers", json={"number": "0671112234", "kind": "own"})
        assert_problem(own, 403, "numbers.not_yours")
        assert (await seller.get(made.headers["location"])).json()["added_by"] == "ivan"
        assert_problem(await stranger.delete(made.headers["location"]), 403, "numbers.not_yours")
        assert (await seller.delete(made.headers["location"])).status_code == 204
        assert_problem(await seller.get(made.headers["location"]), 404, "numbers.not_found")


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("colour=red", "api.unknown_filter", "colour"),
        ("limit=0", "api.value", "limit"),
        ("limit=201", "api.value", "limit"),
        ("limit=2&limit=3", "api.value", "limit"),
        ("since=yesterday", "api.value", "since"),
        ("since=0001-01-01T00:00:00%2B14:00", "api.value", "since"),
        ("direction=sideways", "api.value", "direction"),
        ("contact_id=99999999999999999999", "api.value", "contact_id"),
        ("cursor=AAAA", "api.cursor", "cursor"),
        ("cursor=%F0%9F%8E%89", "api.cursor", "cursor"),
        ("cursor=WzFd", "api.cursor", "cursor"),
        ("q=%00", "api.value", "q"),
    ],
)
async def test_a_wrong_question_is_named(programs: Programs, query: str, code: str, field: str) -> None:
    async with await programs.as_("ivan") as client:
        assert_problem(await client.get(f"/api/v1/calls?{query}"), 422, code, field)


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"{", 422, "api.json", None),
        (b"[]", 422, "api.value", None),
        (b"{}", 422, "api.value", "title"),
        (b'{"title": "A", "amount": 12}', 422, "api.value", "amount"),
        (b'{"title": "A", "amount": "-1"}', 422, "api.value", "amount"),
        (b'{"title": "\\u0000"}', 422, "api.value", "title"),
        (b'{"title": "  "}', 422, "api.value", "title"),
        (b'{"title": "A", "contact_id": true}', 422, "api.value", "contact_id"),
        (b'{"title": "A", "contact_id": 99999}', 404, "contacts.not_found", None),
        (b'{"title": "A", "stage_id": 99999}', 422, "deals.no_stage", "stage_id"),
        (b'{"title": "A", "responsible": "petro"}', 422, "people.not_found", "responsible"),
        (b'{"title": "A", "colour": "red"}', 422, "api.unknown_field", "colour"),
        (b'{"title": "' + b"A" * 1_100_000 + b'"}', 413, "api.too_large", None),
    ],
)  # fmt: skip
async def test_a_wrong_body_is_named(
    programs: Programs, body: bytes, status: int, code: str, field: str | None
) -> None:
    async with await programs.as_("ivan") as client:
        answer = await client.post("/api/v1/deals", content=body, headers={"Content-Type": "application/json"})
        assert_problem(answer, status, code, field)


async def test_who_asks_wrongly(programs: Programs) -> None:
    async with programs.client() as nobody:
        answer = await nobody.get("/api/v1/calls")
        assert_problem(answer, 401, "api.token")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    async with await programs.as_("kira") as reader:
        assert_problem(await reader.post("/api/v1/deals", json={"title": "A"}), 403, "access.role")
        assert_problem(await reader.get("/api/v1/nothing"), 404, "http.404")
        assert_problem(await reader.put("/api/v1/deals"), 405, "http.405")
        assert_problem(await reader.get("/api/v1/calls/99999999999999"), 404, "calls.not_found")
    async with await programs.as_("ivan") as client:
        assert_problem(await client.post("/api/v1/deals", content=b"title=A"), 415, "api.media_type")


async def test_a_body_whose_fields_are_all_optional_may_be_left_out(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        pipeline = (await client.get("/api/v1/pipelines")).json()["items"][0]
        stage = {"name": "Nobody is here", "kind": "open"}
        made = (await client.post(f"/api/v1/pipelines/{pipeline['id']}/stages", json=stage)).json()
        address = f"/api/v1/stages/{made['id']}/archive"
        assert_problem(await client.post(address, content=b"move_to=1"), 415, "api.media_type")
        answer = await client.post(address)
        assert (answer.status_code, answer.json()["deals"]) == (200, 0), answer.text
        assert_problem(
            await client.post(address), 409, "stages.archived"
        )  # a program that asks twice is told the truth
        due = "2026-11-20T12:00:00Z"
        task = (await client.post("/api/v1/tasks", json={"title": "Call", "due_at": due})).json()
        form = {"Content-Type": "application/x-www-form-urlencoded"}  # what `curl -d ''` says
        answer = await client.post(f"/api/v1/tasks/{task['id']}/finish", headers=form)
        assert (answer.status_code, answer.json()["status"]) == (200, "done"), answer.text
        assert_problem(await client.post("/api/v1/deals"), 415, "api.media_type")


def test_the_documentation_says_which_bodies_may_be_left_out() -> None:
    document = describe(RESOURCES)
    bodies = {
        operation["operationId"]: operation["requestBody"]["required"]
        for path in document["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
    }
    for endpoint in (each for resource in RESOURCES for each in resource.endpoints):
        if endpoint.body is not None:
            assert bodies[endpoint.name] is any(field.is_required() for field in endpoint.body.model_fields.values())
    assert (bodies["post_archive_stage"], bodies["post_stage"]) == (False, True)


async def test_when_a_token_was_used(programs: Programs, database: Database) -> None:
    async with await programs.as_("ivan") as client:
        await client.get("/api/v1/calls")
        async with database.read() as session:
            [token] = (await session.exec(select(ApiToken))).all()
        assert token.used_at is not None
        async with database.write() as session:
            token.used_at = None
            await session.merge(token)
        await client.get("/api/v1/calls")
        async with database.read() as session:
            [token] = (await session.exec(select(ApiToken))).all()
        assert token.used_at is None, "within a minute it is not written again"


async def test_a_deal_begins_in_a_later_stage_with_what_that_stage_asks(programs: Programs) -> None:
    into = await stages(programs)
    async with programs.db.write() as session:
        stage = await session.get_one(Stage, into["Call held"])
        stage.requires = Requirements(fields=("source", "amount"), next_task=True).stored()
    async with await programs.as_("ivan") as client:
        body = {"title": "Fence", "stage_id": into["Call held"], "source": "Fair"}
        refused = await client.post("/api/v1/deals", json=body)
        assert_problem(refused, 422, "deals.gate", "amount")
        assert [(each["kind"], each["key"]) for each in refused.json()["missing"]] == [
            ("field", "amount"),
            ("next_task", "next_task"),
        ]
        assert (await client.get("/api/v1/deals")).json()["items"] == []
    async with programs.db.write() as session:
        (await session.get_one(Stage, into["Call held"])).requires = Requirements(fields=("amount",)).stored()
    async with await programs.as_("ivan") as client:
        made = await client.post("/api/v1/deals", json=body | {"amount": "5"})
        assert (made.status_code, made.json()["stage"]) == (201, "Call held")


async def test_companies_are_merged_and_two_again(programs: Programs) -> None:
    async with await programs.as_("maria") as client:
        made = [
            (await client.post("/api/v1/companies", json={"name": name, "note": name})).json()["id"]
            for name in ("ТОВ Цегла", "Tsehla")
        ]
        this, into = made
        pairs = (await client.get("/api/v1/companies/duplicates")).json()["items"]
        assert {"company_id": this, "name": "ТОВ Цегла", "other_id": into, "other_name": "Tsehla"}.items() <= pairs[
            0
        ].items()
        assert [same["kind"] for same in pairs[0]["same"]] == ["name"]
        body = {"into_company_id": into, "take_note": "both", "version": 9}
        assert_problem(await client.post(f"/api/v1/companies/{this}/merge", json=body), 409, "merges.stale")
        done = await client.post(f"/api/v1/companies/{this}/merge", json={**body, "version": 1})
        assert done.status_code == 201
        merge = done.json()
        assert done.headers["location"] == f"/api/v1/company-merges/{merge['merge_id']}"
        assert (merge["company_id"], merge["into_company_id"], merge["by"], merge["left"]) == (this, into, "maria", [])
        survivor = (await client.get(f"/api/v1/companies/{this}")).json()
        assert (survivor["id"], survivor["note"]) == (into, "Tsehla\n\nТОВ Цегла")
        await client.patch(f"/api/v1/companies/{into}", json={"note": "New"})
        assert (await client.get(done.headers["location"])).json()["left"] == [
            {"why": "field", "what": "note", "ids": []}
        ]
        undone = await client.post(f"{done.headers['location']}/undo")
        assert undone.status_code == 200
        assert [each["what"] for each in undone.json()["left"]] == ["note"]
        assert (await client.get(f"/api/v1/companies/{this}")).json()["id"] == this
        apart = await client.post(f"/api/v1/companies/{this}/not-same", json={"other_company_id": into})
        assert apart.status_code == 204
        assert (await client.get("/api/v1/companies/duplicates")).json()["items"] == []
        assert (await client.delete(f"/api/v1/companies/{this}/not-same/{into}")).status_code == 204
        assert len((await client.get("/api/v1/companies/duplicates")).json()["items"]) == 1
