"""Forms and requests over the API."""

from sqlmodel import select

from pbxcrm.deals.models import Pipeline
from pbxcrm.forms.models import FormRequest, RequestState
from pbxcrm.shared.db import Database
from tests.calls import NOON
from tests.integration.api.conftest import Programs


async def test_a_form_is_made_changed_archived_and_brought_back(programs: Programs, database: Database) -> None:
    admin, maria = await programs.as_("admin"), await programs.as_("maria")
    async with database.read() as session:
        pipeline_id = (await session.exec(select(Pipeline.id))).first()
    body = {
        "name": "Site",
        "pipeline_id": pipeline_id,
        "fields": [{"target": "phone", "label": "Your number", "required": True}],
        "responsible": "ivan",
        "consent": "I agree.",
        "origins": ["https://example.com"],
    }
    assert (await maria.post("/api/v1/forms", json=body)).status_code == 403
    made = await admin.post("/api/v1/forms", json=body)
    assert made.status_code == 201, made.text
    form = made.json()
    assert made.headers["location"].endswith(f"/forms/{form['id']}")
    assert (form["responsible"], form["consent_version"], form["origins"]) == ("ivan", 1, ["https://example.com"])
    assert "secret" not in form
    path = f"/api/v1/forms/{form['id']}"
    changed = (await admin.patch(path, json={"name": "The site", "consent": "I agree!", "version": 1})).json()
    assert (changed["name"], changed["consent_version"], changed["version"]) == ("The site", 2, 2)
    assert changed["fields"] == form["fields"]  # what was left out stays
    assert (await admin.patch(path, json={"name": "x", "version": 1})).status_code == 409
    bad = await admin.patch(path, json={"fields": [{"target": "fields.none"}]})
    assert bad.status_code == 422
    assert "fields" in bad.text
    assert (await admin.patch(path, json={"responsible": None})).json()["responsible"] is None
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).json()["archived_at"] is not None
    assert (await admin.post(f"{path}/restore")).json()["archived_at"] is None
    assert [each["id"] for each in (await admin.get("/api/v1/forms")).json()["items"]] == [form["id"]]
    assert (await admin.get("/api/v1/forms/999")).status_code == 404


async def test_requests_are_read_by_who_sees_their_deal_and_accepted_by_managers(
    programs: Programs, database: Database
) -> None:
    admin, maria, ivan, petro = [await programs.as_(login) for login in ("admin", "maria", "ivan", "petro")]
    async with database.read() as session:
        pipeline_id = (await session.exec(select(Pipeline.id))).first()
    body = {"name": "Site", "pipeline_id": pipeline_id, "fields": [{"target": "phone"}], "responsible": "ivan"}
    form_id = (await admin.post("/api/v1/forms", json=body)).json()["id"]
    async with database.write() as session:
        for n, state in enumerate((RequestState.ASIDE, RequestState.ASIDE)):
            session.add(
                FormRequest(form_id=form_id, dedup_key=str(n), content_hash=str(n), at=NOON, name=f"Robot {n}", number=f"+38067111000{n}", state=state.value)
            )  # fmt: skip
    assert (await ivan.get("/api/v1/requests")).json()["items"] == []
    seen = (await maria.get("/api/v1/requests", params={"state": "aside", "form_id": form_id})).json()["items"]
    assert [each["name"] for each in seen] == ["Robot 1", "Robot 0"]
    path = f"/api/v1/requests/{seen[0]['id']}"
    assert (await ivan.get(path)).status_code == 404
    assert (await ivan.post(f"{path}/accept")).status_code == 403
    taken = await maria.post(f"{path}/accept")
    assert taken.status_code == 200, taken.text
    assert taken.json()["state"] == "deal"
    assert (await maria.post(f"{path}/accept")).status_code == 409
    assert (await ivan.get(path)).json()["deal_id"] == taken.json()["deal_id"]  # the deal became his
    assert (await petro.get(path)).status_code == 404
    bought = {"bought_before": "true"}
    assert (await admin.get("/api/v1/requests", params=bought)).json()["items"] == []
    first = (await admin.get("/api/v1/requests", params={"limit": "1"})).json()
    second = (await admin.get("/api/v1/requests", params={"limit": "1", "cursor": first["next"]})).json()
    assert [first["items"][0]["name"], second["items"][0]["name"], second["next"]] == ["Robot 1", "Robot 0", None]
