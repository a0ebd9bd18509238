"""What programs read: the objects of the contract, lists page by page, filters, and only what one may see."""

from dataclasses import replace
from typing import Any

import pytest

from pbxcrm.calls.call_json import as_object
from pbxcrm.calls.facts import Transfer, TransferKind
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import FactStory
from tests.integration.api.conftest import Programs, hear
from web.api.table import RESOURCES

CONTRACT = {
    "calls": "id pbx deal_id contact_id responsible recording_url reason linkedid direction outcome missed_reason client_number"
    " client_name did queue made_by rang answered_by talked transfers started_at answered_at ended_at wait_seconds talk_seconds"
    " click_to_call",
    "deals": "id title pipeline stage stage_kind responsible contact_id company_id amount currency source created_at stage_since"
    " next_task_id lamp reason version",
    "tasks": "id kind title due_at assignee deal_id contact_id status result reason",
    "callbacks": "id client_number contact_id deal_id task_id missed_count first_missed_at last_missed_at owner claimed_by attempts"
    " status closed_by_call_id closed_reason reason",
    "pipelines": "id name stages",
    "users": "login name role",
    "checkpoints": "id norm_minutes",
}  # what docs/api.md promises


def answered(number: str, by: str, linkedid: str) -> FactStory:
    return FactStory(linkedid=linkedid, client=number).ring(by).wait(5).answer(by).wait(60).end()


def missed(number: str, rang: str, linkedid: str) -> FactStory:
    return FactStory(linkedid=linkedid, client=number).ring(rang).wait(20).end()


async def items(programs: Programs, login: str, path: str, **query: str) -> list[dict[str, Any]]:
    async with await programs.as_(login) as client:
        answer = await client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_objects_have_the_promised_fields(programs: Programs, database: Database, settings: Settings) -> None:
    await hear(database, settings, missed("+380671112233", "101", "1.1"))
    for resource, fields in CONTRACT.items():
        found = await items(programs, "admin", resource)
        assert found, resource
        assert set(fields.split()) <= set(found[0]), resource


async def test_a_call_is_the_object_of_replay(programs: Programs, database: Database, settings: Settings) -> None:
    story = answered("067 111 22 33", "101", "1.2")
    await hear(database, settings, story)
    [call] = await items(programs, "admin", "calls", linkedid="1.2")
    promised = as_object(story.state, "+380671112233")
    assert {key: call[key] for key in promised} == promised
    assert call["responsible"] == "ivan"
    assert call["reason"].startswith("+380 67 111 22 33 had no open deal, so this call made one in “Unsorted”")
    assert call["started_at"] == "2026-11-18T12:00:00Z"


async def test_an_answered_call_makes_a_deal_of_whoever_answered(
    programs: Programs, database: Database, settings: Settings
) -> None:
    await hear(database, settings, answered("+380671112233", "101", "1.3"))
    [deal] = await items(programs, "ivan", "deals", client_number="0671112233", stage_kind="unsorted")
    assert (deal["responsible"], deal["stage"], deal["amount"], deal["currency"]) == ("ivan", "Unsorted", None, "UAH")
    assert (deal["lamp"], deal["next_task_id"], deal["version"]) == ("none", None, 1)
    assert "Ivan Kravets answered" in deal["reason"]


async def test_a_missed_call_is_a_callback_with_its_task(
    programs: Programs, database: Database, settings: Settings
) -> None:
    await hear(database, settings, missed("+380671112233", "101", "1.4"))
    [callback] = await items(programs, "ivan", "callbacks", status="open")
    [task] = await items(programs, "ivan", "tasks", kind="callback", status="open", assignee="ivan")
    assert (callback["task_id"], callback["owner"], callback["missed_count"]) == (task["id"], "ivan", 1)
    assert task["due_at"] == "2026-11-18T12:20:20Z"
    assert (callback["closed_by_call_id"], callback["closed_reason"]) == (None, "")
    assert "Ivan Kravets" in callback["reason"]
    [deal] = await items(programs, "ivan", "deals", stage_kind="didnt_reach")
    assert deal["next_task_id"] == task["id"]


async def test_lists_go_on_where_they_stopped(programs: Programs, database: Database, settings: Settings) -> None:
    stories = [answered(f"+38067111000{n}", "101", f"2.{n}") for n in range(7)]
    await hear(database, settings, *stories)
    await hear(database, settings, *(missed(f"+38067111100{n}", "101", f"3.{n}") for n in range(7)))
    async with await programs.as_("admin") as client:
        for resource, count in (("calls", 14), ("deals", 14), ("tasks", 7), ("callbacks", 7)):
            seen: list[int] = []
            query: dict[str, str] = {"limit": "3"}
            while True:
                answer = await client.get(f"/api/v1/{resource}", params=query)
                assert answer.status_code == 200, answer.text
                page = answer.json()
                assert len(page["items"]) <= 3
                seen += [row["id"] for row in page["items"]]
                if page["next"] is None:
                    break
                query["cursor"] = page["next"]
            assert len(seen) == len(set(seen)) == count, resource


async def test_filters_narrow(programs: Programs, database: Database, settings: Settings) -> None:
    await hear(
        database,
        settings,
        answered("+380671112233", "101", "4.1"),
        missed("+380501112233", "102", "4.2"),
    )
    for resource, query, count in (
        ("calls", {"direction": "inbound", "outcome": "missed"}, 1),
        ("calls", {"responsible": "ivan"}, 1),
        ("calls", {"since": "2026-11-18T12:00:00Z"}, 2),
        ("calls", {"until": "2026-11-18T14:00:00+02:00"}, 0),
        ("calls", {"q": "50111"}, 1),
        ("deals", {"responsible": "olena"}, 1),
        ("deals", {"status": "open", "stage": "Unsorted", "pipeline": "New business"}, 1),
        ("deals", {"status": "won"}, 0),
        ("deals", {"client_number": "+380671112233"}, 1),
        ("tasks", {"client_number": "+380501112233"}, 1),
        ("tasks", {"responsible": "ivan"}, 0),
        ("callbacks", {"q": "50111"}, 1),
        ("callbacks", {"responsible": "olena"}, 1),
        ("callbacks", {"status": "recovered"}, 0),
        ("users", {"role": "qc"}, 1),
        ("users", {"q": "hry"}, 1),
    ):
        assert len(await items(programs, "admin", resource, **query)) == count, (resource, query)


async def test_one_reads_only_what_one_may_see(programs: Programs, database: Database, settings: Settings) -> None:
    await hear(database, settings, missed("+380671112233", "101", "5.1"), answered("+380501112233", "101", "5.2"))
    everything = {name: await items(programs, "admin", name) for name in ("calls", "deals", "tasks", "callbacks")}
    for name, rows in everything.items():
        assert rows
        assert await items(programs, "petro", name) == []
        async with await programs.as_("petro") as client:
            for row in rows:
                answer = await client.get(f"/api/v1/{name}/{row['id']}")
                assert answer.status_code == 404
                assert answer.json()["status"] == 404
        async with await programs.as_("ivan") as client:
            for row in rows:
                assert (await client.get(f"/api/v1/{name}/{row['id']}")).json() == row
    assert {user["login"] for user in await items(programs, "petro", "users")} == {"petro", "oksana"}


async def test_transfers_keep_their_names(programs: Programs, database: Database, settings: Settings) -> None:
    story = FactStory(linkedid="6.1").ring("101").wait(3).answer("101").wait(3)
    story.state = replace(story.state, transfers=(Transfer("101", "102", TransferKind.BLIND),))
    await hear(database, settings, story.end())
    [call] = await items(programs, "admin", "calls")
    assert call["transfers"] == [{"from": "101", "to": "102", "kind": "blind"}]


NUMBERED = ("calls", "deals", "contacts", "callbacks", "tasks")


@pytest.mark.parametrize("resource", NUMBERED)
async def test_a_filter_that_is_no_number_or_two_is_an_error_at_its_field(programs: Programs, resource: str) -> None:
    """An empty list would say that there are no rows. Names and codes that a PBX sends as the caller are numbers here."""
    async with await programs.as_("admin") as client:
        for text in ("+", "000000", "0671234567 0501234567", "+380671234567,+380501234567", "()"):
            answer = await client.get(f"/api/v1/{resource}", params={"client_number": text})
            assert answer.status_code == 422, (text, answer.text)
            assert answer.json()["field"] == "client_number"
        for text in ("0671234567", "+38 067 123-45-67", " 380671234567", "101", "7", "*31*0671234567", "alice"):
            assert (await client.get(f"/api/v1/{resource}", params={"client_number": text})).status_code == 200, text


def test_every_filter_by_number_is_tried() -> None:
    """A new one must be in ``NUMBERED``."""
    numbered = {
        endpoint.path.strip("/")
        for resource in RESOURCES
        for endpoint in resource.endpoints
        if endpoint.query is not None and "client_number" in endpoint.query.model_fields
    }
    assert numbered == set(NUMBERED)
