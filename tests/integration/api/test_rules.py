"""Rules and their firings, as programs use them (G1)."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from pbxcrm.automation.runner import run_due
from pbxcrm.deals.models import Stage
from pbxcrm.shared.background_jobs import work_on
from tests.calls import NOON
from tests.integration.api.conftest import Programs
from tests.integration.api.test_writing import assert_problem

RULES, RUNS = "/api/v1/rules", "/api/v1/runs"
RULE: dict[str, Any] = {
    "name": "Big ones",
    "when": {"kind": "field_changed", "fields": ["amount"]},
    "if": {"all": [{"field": "amount", "op": ">=", "value": "1000"}]},
    "then": [{"kind": "task", "title": "Offer a discount", "assignee": "responsible", "due": "2h"}],
    "state": "on",
}


async def test_a_rule_is_made_fires_and_is_taken_back(programs: Programs) -> None:
    async with await programs.as_("admin") as admin, await programs.as_("ivan") as ivan:
        made = await admin.post(RULES, json=RULE)
        assert made.status_code == 201, made.text
        rule = made.json()
        for name in ("name", "when", "if", "state"):
            assert rule[name] == RULE[name]
        assert (rule["owner"], rule["version"], rule["mode"], rule["broken"]) == ("admin", 1, "once", None)
        deal = (await ivan.post("/api/v1/deals", json={"title": "Roof"})).json()
        for amount in ("900", "2000"):
            changed = await ivan.patch(f"/api/v1/deals/{deal['id']}", json={"amount": amount})
            assert changed.status_code == 200, changed.text
            await run_due(programs.db, NOON, "UA")
        found = (await ivan.get(RUNS, params={"deal_id": str(deal["id"])})).json()["items"]
        assert [run["status"] for run in found] == ["done", "skipped"]
        assert found[1]["reason"] == "Skipped: its condition did not hold. Amount is 900.00, asked: >= 1000.00."
        run = found[0]
        assert (run["rule"], run["heard"], run["changed"], run["by"]) == ("Big ones", "deal.edited", ["amount"], "ivan")
        assert [(step["kind"], step["status"], step["result"]) for step in run["steps"]] == [
            ("task", "done", "Task: Offer a discount")
        ]
        assert run["seen"][0]["saw"] == "2000.00"
        asked = {"rule_id": str(rule["id"]), "status": "skipped"}
        assert [each["id"] for each in (await admin.get(RUNS, params=asked)).json()["items"]] == [found[1]["id"]]
        job = await admin.post(f"{RULES}/{rule['id']}/dry-run", json={"days": 3})
        assert (job.status_code, job.headers["location"]) == (201, f"/api/v1/jobs/{job.json()['id']}")
        await work_on(programs.db, NOON)
        tried = (await admin.get(job.headers["location"])).json()
        # Both changes have one moment here, so each is asked of the deal after both.
        assert (tried["state"], tried["result"]["fired"], tried["result"]["skipped"]) == ("done", 2, 0)
        assert [(row["deal_id"], row["would"]) for row in tried["result"]["rows"]] == 2 * [
            (deal["id"], ["Task: Offer a discount"])
        ]
        undone = await ivan.post(f"{RUNS}/{run['id']}/undo")
        assert undone.status_code == 200, undone.text
        assert (undone.json()["stays"], undone.json()["run"]["steps"][0]["status"]) == ([], "undone")
        assert_problem(await ivan.post(f"{RUNS}/{run['id']}/undo"), 409, "automation.undone")


async def test_a_firing_says_that_its_message_was_held_back(programs: Programs) -> None:
    async with await programs.as_("admin") as admin:
        text = {"name": "Hello", "channel": "email", "texts": {"en": "Hello!"}, "subjects": {"en": "Hello"}}
        template = await admin.post("/api/v1/message-templates", json=text)
        assert template.status_code == 201, template.text
        message = {"kind": "message", "template_id": template.json()["id"]}
        rule = await admin.post(RULES, json={**RULE, "then": [message]})
        assert rule.status_code == 201, rule.text
        client = (await admin.post("/api/v1/contacts", json={"name": "Petro"})).json()
        deal = (await admin.post("/api/v1/deals", json={"title": "Roof", "contact_id": client["id"]})).json()
        await admin.patch(f"/api/v1/deals/{deal['id']}", json={"amount": "2000"})
        await run_due(programs.db, NOON, "UA")
        (run,) = (await admin.get(RUNS, params={"status": "held"})).json()["items"]
        no_address = "The client has no e-mail address."
        assert run["reason"] == f"A message to the client was held back. {no_address}"
        (step,) = run["steps"]
        assert (step["status"], step["result"]) == ("held", f"No message. {no_address}")


async def test_a_firing_speaks_in_words_and_units(programs: Programs) -> None:
    """As the pages do: no codes, no bare minutes, and what the gate asked for."""
    async with await programs.as_("admin") as admin:
        wait = {"kind": "wait", "minutes": 60}
        in_work = {"field": "stage_kind", "op": "has", "value": "open"}
        async with programs.db.write() as session:
            gated = (await session.exec(select(Stage).where(Stage.name == "Invoice issued"))).one()
            gated.requires = {"fields": ["event_at"]}
        for more in (
            {"then": [wait, *RULE["then"]]},
            {"if": in_work},
            {"then": [{"kind": "move", "stage_id": gated.id}]},
        ):
            made = await admin.post(RULES, json={**RULE, "if": {}, **more})
            assert made.status_code == 201, made.text
        async with programs.db.read() as session:
            stages = {each.name: each.id or 0 for each in (await session.exec(select(Stage))).all()}
        deal = (await admin.post("/api/v1/deals", json={"title": "Roof", "stage_id": stages["Unsorted"]})).json()
        await admin.patch(f"/api/v1/deals/{deal['id']}", json={"amount": "2000"})
        await run_due(programs.db, NOON, "UA")
        found = (await admin.get(RUNS)).json()["items"]
        waits, skipped, gate = sorted(found, key=lambda run: int(run["rule_id"]))
        assert waits["reason"] == "It goes on after 1 h of working time."
        assert waits["steps"][0]["result"] == "Waits 1 h of working time"
        assert "asked: In work." in skipped["reason"]
        asks = "Not moved to “Invoice issued”: its gate asks for something that the deal lacks. Fill in “Event”."
        assert (gate["status"], gate["reason"]) == ("failed", asks)


async def test_a_rule_changes_by_versions_and_goes_into_the_archive(programs: Programs) -> None:
    async with await programs.as_("admin") as admin:
        address = f"{RULES}/{(await admin.post(RULES, json=RULE)).json()['id']}"
        changed = await admin.patch(address, json={"state": "watch", "name": "Watches", "version": 1})
        assert (changed.json()["state"], changed.json()["version"]) == ("watch", 2)
        assert_problem(await admin.patch(address, json={"name": "Stale", "version": 1}), 409, "automation.stale")
        pause = (NOON + timedelta(days=1)).isoformat().replace("+00:00", "Z")
        assert (await admin.patch(address, json={"paused_until": pause})).json()["paused_until"] == pause
        versions = (await admin.get(f"{address}/versions")).json()["items"]
        assert [(each["version"], each["name"], each["by"]) for each in versions] == [
            (3, "Watches", "admin"),
            (2, "Watches", "admin"),
            (1, "Big ones", "admin"),
        ]
        assert (await admin.patch(address, json={"archived": True})).json()["archived"] is True
        assert (await admin.get(RULES)).json()["items"] == []
        assert len((await admin.get(RULES, params={"archived": "true"})).json()["items"]) == 1
        assert_problem(await admin.patch(address, json={"name": "Late"}), 409, "automation.archived")
        assert (await admin.patch(address, json={"archived": False})).json()["state"] == "off"


@pytest.mark.parametrize(
    ("wrong", "code", "where"),
    [
        ({"when": {"kind": "weather"}}, "automation.when", "when.kind"),
        ({"if": {"field": "gone"}}, "conditions.field", "if.field"),
        ({"then": [{"kind": "document"}]}, "automation.later", "then.0.kind"),
        ({"then": [{"kind": "webhook", "url": "http://127.0.0.1"}]}, "automation.member", "then.0.url"),
        ({"then": [{"kind": ["task"]}]}, "automation.step", "then.0.kind"),
        ({"then": [{"kind": "assign", "to": ["ivan"]}]}, "automation.whom", "then.0.to"),
        (
            {"then": [{"kind": "task", "title": "Call", "assignee": {"login": "ivan"}}]},
            "automation.whom",
            "then.0.assignee",
        ),
        ({"then": [{"kind": "move", "stage_id": 999}]}, "deals.no_stage", "then.0.stage_id"),
        ({"then": [{"kind": "wait", "minutes": 0}]}, "automation.number", "then.0.minutes"),
        ({"then": [{"kind": "tag", "remove": []}]}, "automation.no_tag", "then.0.add"),
        ({"then": [{"kind": "field", "field": "amount", "value": "much"}]}, "deals.amount", "then.0.value"),
        ({"when": {"kind": "field_changed", "fields": ["gone"]}}, "automation.no_field", "when.fields"),
        ({"when": {"kind": "deal_created", "stage_id": 1}}, "automation.member", "when.stage_id"),
        ({"owner": "nobody"}, "automation.owner", "owner"),
    ],
)
async def test_what_is_wrong_is_said_at_its_place(
    programs: Programs, wrong: dict[str, Any], code: str, where: str
) -> None:
    async with await programs.as_("admin") as admin:
        answer = await admin.post(RULES, json=RULE | wrong)
        assert_problem(answer, 422, code, where)


async def test_programs_learn_what_rules_are_made_of(programs: Programs) -> None:
    async with await programs.as_("admin") as admin, await programs.as_("ivan") as ivan:
        kinds = (await admin.get(f"{RULES}/kinds")).json()
        assert_problem(await ivan.get(f"{RULES}/kinds"), 403, "access.role")
    when = {each["code"]: each for each in kinds["when"]}
    assert when["contact_created"]["subjects"] == ["contact"]
    assert [(each["name"], each["kind"]) for each in when["call"]["params"]] == [
        ("direction", "choice"),
        ("outcome", "choice"),
        ("talk_seconds", "number"),
        ("pipeline_id", "pipeline"),
    ]
    then = {each["code"]: each for each in kinds["then"]}
    assert {"wait", "stop", "task"} < then.keys()
    assert [each["name"] for each in then["task"]["params"] if each["required"]] == ["title"]
    asked = {each["name"]: (each["control"], each["group"]) for each in kinds["if"]}
    assert asked["stage"] == ("stage", "deal")
    assert asked["amount"] == ("amount", "deal")
    assert asked["event_at"] == ("moment", "deal")
    assert asked["call.outcome"] == ("choice", "call")
    assert asked["client.name"] == ("text", "client")
    assert asked["calendar.weekday"] == ("choice", "calendar")
    assert asked["company.responsible"] == ("person", "company")
    assert asked["call.line"] == ("line", "call")
    names = [each["name"] for each in kinds["if_contact"]]
    assert {"client.name", "client.won_deals", "calendar.working", "company.deals"} < set(names)
    assert not [name for name in names if name.startswith(("call.", "event.", "stage"))]
    said = [choice["code"] for each in kinds["if"] if each["name"] == "status" for choice in each["choices"]]
    assert said == ["open", "closed", "won", "lost"]


async def test_who_may_do_what(programs: Programs) -> None:
    async with await programs.as_("admin") as admin, await programs.as_("ivan") as ivan:
        rule = (await admin.post(RULES, json=RULE)).json()
        deal = (await ivan.post("/api/v1/deals", json={"title": "Roof", "amount": "1"})).json()
        await ivan.patch(f"/api/v1/deals/{deal['id']}", json={"amount": "2000"})
        await run_due(programs.db, NOON, "UA")
        run = (await ivan.get(RUNS)).json()["items"][0]
    for login, sees in (("maria", True), ("kira", True), ("olena", False), ("petro", False), ("oksana", False)):
        async with await programs.as_(login) as client:
            assert_problem(await client.get(RULES), 403, "access.role")
            assert_problem(await client.patch(f"{RULES}/{rule['id']}", json={"state": "off"}), 403, "access.role")
            assert bool((await client.get(RUNS)).json()["items"]) is sees, login
            assert (await client.get(f"{RUNS}/{run['id']}")).status_code == (200 if sees else 404)
            if not sees:
                assert_problem(await client.post(f"{RUNS}/{run['id']}/undo"), 404, "automation.no_run")
    async with await programs.as_("kira") as kira:
        assert_problem(await kira.post(f"{RUNS}/{run['id']}/undo"), 403, "access.role")
