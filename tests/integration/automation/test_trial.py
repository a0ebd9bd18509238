"""The dry run of a rule against what the rule then really did, and what it says of gates and of people."""

import random
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pbxcrm.automation.rule_checks import RuleDraft
from pbxcrm.automation.trial_jobs import try_rule
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.tag_actions import set_tags
from pbxcrm.privacy.erase_actions import erase_client
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared import reasons
from pbxcrm.shared.background_jobs import BackgroundJob, work_on
from pbxcrm.shared.errors import Invalid
from tests.calls import FactStory, batch, outbound
from tests.integration.automation.conftest import A_TASK, REGION, RuleDesk

AMOUNT: dict[str, Any] = {"field": "amount", "op": ">=", "value": "1000"}
RULES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"kind": "field_changed", "fields": ["title", "amount"]}, AMOUNT),
    ({"kind": "stage_entered"}, {"any": [AMOUNT, {"field": "tag", "op": "has", "value": "big"}]}),
    ({"kind": "stage_left"}, {"none": [{"field": "source", "op": "=", "value": "Fair"}]}),
    ({"kind": "deal_created"}, {}),
    ({"kind": "sum_reached", "amount": "1000"}, {"field": "responsible", "op": "=", "value": "ivan"}),
]


async def trial(desk: RuleDesk, draft: RuleDraft, days: int = 7) -> BackgroundJob:
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "admin")
        job = await try_rule(session, viewer, draft, days=days, region=REGION, now=desk.now)
    while await work_on(desk.database, desk.now):
        pass
    async with desk.database.read() as session:
        done = await session.get_one(BackgroundJob, job.id)
    assert done.state == "done", done.error
    return done


def draft_of(desk: RuleDesk, when: dict[str, Any], asked: dict[str, Any], *steps: dict[str, Any]) -> RuleDraft:
    return RuleDraft("Rule", desk.office.id("admin"), when, list(steps or (A_TASK,)), conditions=asked)


async def test_it_says_what_the_rules_then_really_did(desk: RuleDesk) -> None:
    """Every rule watches while people work; each act is heard before the next one."""
    rules = [await desk.rule(when, A_TASK, conditions=asked, state="watch") for when, asked in RULES]
    dice = random.Random(12)
    deals = [await desk.deal(second=True) for _ in range(4)]
    await desk.work()
    for _ in range(40):
        desk.now += timedelta(minutes=7)
        deal_id = dice.choice(deals)
        match dice.randrange(4):
            case 0:
                await desk.edit(deal_id, amount=Decimal(dice.choice((500, 1500))), title=f"Deal {dice.random()}")
            case 1:
                await desk.edit(deal_id, source=dice.choice(("Fair", "Shop")))
            case 2:
                stages = ("Invoice issued", "Invoice agreed", "Received")
                await desk.move(deal_id, dice.choice(stages), second=True)
            case _:
                async with desk.database.write() as session:
                    viewer = await desk.office.viewer(session, "ivan")
                    tags = dice.choice(([], ["big"], ["big", "new"]))
                    await set_tags(session, viewer, deal_id, tags, desk.now, version=None)
        await desk.work()
    desk.now += timedelta(minutes=1)
    for rule_id, (when, asked) in zip(rules, RULES, strict=True):
        runs = await desk.runs(rule_id)
        really = sorted((run.at.isoformat(), run.deal_id) for run in runs if run.status == "watch")
        job = await trial(desk, draft_of(desk, when, asked))
        assert sorted((row["at"], row["deal_id"]) for row in job.result["rows"]) == really, when
        assert job.result["fired"] == len(really)
        assert job.result["skipped"] == sum(run.status == "skipped" for run in runs), when
    assert any(run.status == "watch" for run in await desk.runs()), "the reference is not empty"


async def test_it_says_what_rules_on_calls_then_really_did(desk: RuleDesk, intake: Intake) -> None:
    """Random calls of two clients, each heard before the next one; which rule fired on which deal how often."""
    asked: list[dict[str, Any]] = [
        {"kind": "missed_call"},
        {"kind": "call", "direction": "inbound", "outcome": "answered"},
        {"kind": "not_reached", "attempt": 1},
        {"kind": "not_reached", "attempt": 2},
    ]
    rules = [await desk.rule(when, A_TASK, state="watch") for when in asked]
    dice = random.Random(21)
    for number in range(30):
        desk.now += timedelta(minutes=7)
        client, call = dice.choice(("+380501110001", "+380501110002")), f"21.{number}"
        stories = (
            FactStory(call, client=client, at=desk.now).ring("101").wait(3).answer("101").wait(9).end(),
            FactStory(call, client=client, at=desk.now).ring("101").wait(9).end(),
            outbound(call, "101", client, at=desk.now).ring("101").wait(20).end(),
        )
        await intake.apply(batch(stories[0] if number < 2 else dice.choice(stories)))
        await desk.work()
    desk.now += timedelta(hours=1)
    for rule_id, when in zip(rules, asked, strict=True):
        really = Counter(run.deal_id for run in await desk.runs(rule_id) if run.status == "watch")
        job = await trial(desk, draft_of(desk, when, {}))
        assert Counter(row["deal_id"] for row in job.result["rows"]) == really, when
        assert really, "the reference is not empty"


async def test_it_says_which_deal_of_a_client_was_the_second_won(desk: RuleDesk) -> None:
    when = {"kind": "order", "order": 2}
    rule_id = await desk.rule(when, A_TASK, state="watch")
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "ivan")
        clients = [
            await create_contact(session, viewer, name=name, region=REGION, now=desk.now) for name in ("Petro", "Olha")
        ]
    for number in (0, 1, 0, 1, 0):
        deal_id = await desk.deal(contact_id=clients[number].id)
        desk.now += timedelta(minutes=5)
        await desk.move(deal_id, "Received", second=True)
        await desk.work()
    really = [(run.at.isoformat(), run.deal_id) for run in await desk.runs(rule_id)]
    desk.now += timedelta(minutes=1)
    job = await trial(desk, draft_of(desk, when, {}))
    assert sorted((row["at"], row["deal_id"]) for row in job.result["rows"]) == really
    assert len(really) == 2


async def test_it_tells_what_a_gate_would_refuse_and_what_people_did(desk: RuleDesk) -> None:
    deal_id = await desk.deal()
    await desk.edit(deal_id, title="Hall")
    desk.now += timedelta(hours=1)
    await desk.move(deal_id, "Invoice issued", login="admin")
    desk.now += timedelta(hours=1)
    when = {"kind": "field_changed", "fields": ["title"]}
    job = await trial(desk, draft_of(desk, when, {}, {"kind": "move", "stage_id": desk.stages["Lost"]}, A_TASK))
    (row,) = job.result["rows"]
    assert (row["deal_id"], row["refused"], job.result["refused"]) == (deal_id, True, 1)
    assert reasons.text(row["would"][0]).startswith("Not moved to “Lost”")
    assert [(act["act"], act["by_id"]) for act in row["did"]] == [("deal.moved", desk.office.id("admin"))]
    job = await trial(desk, draft_of(desk, when, {}, {"kind": "move", "stage_id": desk.stages["Invoice issued"]}))
    said = [reasons.text(each) for each in job.result["rows"][0]["would"]]
    assert said == ["Moved to “Invoice issued”"], "it was not there yet"
    assert (job.done, job.total) == (job.total, deal_id)
    assert not await desk.tasks()
    assert not await desk.runs()


async def test_a_silence_is_not_tried(desk: RuleDesk) -> None:
    with pytest.raises(Invalid) as refused:
        await trial(desk, draft_of(desk, {"kind": "silence", "days": 3}, {}))
    assert refused.value.code == "automation.not_tried"


async def test_it_shows_what_formulas_give_and_forgets_who_is_erased(desk: RuleDesk, tmp_path: Path) -> None:
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "ivan")
        client = await create_contact(session, viewer, name="Petro Oliinyk", region=REGION, now=desk.now)
    deals = [await desk.deal(contact_id=client.id), await desk.deal()]
    for deal_id in deals:
        await desk.edit(deal_id, title="Hall", amount="1500")
    steps = (
        {"kind": "task", "title": "Call {= default(client_name, title)}"},
        {"kind": "note", "text": "Half is {= amount / 2}"},
        {"kind": "field", "field": "source", "value": "From {= default(client_name, title)}"},
    )
    draft = draft_of(desk, {"kind": "field_changed", "fields": ["title"]}, {}, *steps)
    job = await trial(desk, draft)
    said = {row["deal_id"]: [reasons.text(each) for each in row["would"]] for row in job.result["rows"]}
    assert said[deals[0]] == [
        "Task: Call Petro Oliinyk",
        "Note: Half is 750",
        "“Source” set to “From Petro Oliinyk”",
    ]
    await desk.move(deals[0], "Lost", lost_reason="Too late")
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        waiting = await try_rule(session, admin, draft, days=7, region=REGION, now=desk.now)
        waiting.cursor, waiting.result = {"after": deals[0]}, job.result
        await erase_client(session, admin, client.id or 0, "Petro Oliinyk", lambda _pbx: tmp_path, now=desk.now)
    async with desk.database.read() as session:
        kept = await session.get_one(BackgroundJob, job.id)
        begun = await session.get_one(BackgroundJob, waiting.id)
    assert [row["deal_id"] for row in kept.result["rows"]] == [deals[1]]
    assert (begun.cursor["after"], begun.result) == (0, {}), "what it read is read again"
