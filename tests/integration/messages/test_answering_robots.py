"""Two robots that answer each other stop, and the owner of a rule is told why."""

import json

import pytest
from sqlmodel import col, select

from pbxcrm.automation.hook_actions import create_hook, take_call
from pbxcrm.automation.hook_rules import HookField
from pbxcrm.automation.rules import DEEPEST
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.pipeline_actions import create_pipeline
from pbxcrm.deals.pipeline_drafts import PipelineChange
from pbxcrm.messages.sender import MessageSender
from pbxcrm.messages.webhook_actions import create_webhook
from pbxcrm.messages.webhooks import WebhookCarrier
from pbxcrm.shared import reasons
from pbxcrm.shared.networks import parse_networks
from pbxcrm.shared.outgoing import Outgoing
from tests.http_server import HttpPeer, running_http
from tests.integration.automation.conftest import REGION, RuleDesk
from tests.integration.messages.conftest import MessageDesk

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MOST = 5  # times an hour on one deal


async def second_pipeline(desk: RuleDesk) -> tuple[int, int, int]:
    """The ids of the first pipeline, of the second one, and of the first stage of the second one."""
    async with desk.database.write() as session:
        first = (await session.get_one(Stage, desk.stages["Invoice issued"])).pipeline_id
        viewer = await desk.office.viewer(session, "admin")
        made = await create_pipeline(session, viewer, PipelineChange(name="Service"), template="leads", now=desk.now)
        query = select(Stage.id).where(Stage.pipeline_id == made.id, Stage.kind == StageKind.OPEN.value)
        stage_id = (await session.exec(query.order_by(col(Stage.position)))).first()
    return first, made.id or 0, stage_id or 0


async def test_rules_of_two_pipelines_that_make_deals_for_each_other(messages: MessageDesk) -> None:
    """Each deal is a new one, so it is no circle on one deal, but the chain of rules has an end."""
    desk = messages.rules
    first, second, stage_id = await second_pipeline(desk)
    for name, pipeline_id, into in (
        ("A", first, stage_id),
        ("B", second, desk.stages["Invoice issued"]),
    ):
        when = {"kind": "deal_created", "pipeline_id": pipeline_id}
        await desk.rule(when, {"kind": "deal", "stage_id": into}, name=name)
    await desk.deal()
    while await desk.work():
        pass
    async with desk.database.read() as session:
        pipelines = (await session.exec(select(Deal.pipeline_id).order_by(col(Deal.id)))).all()
    assert pipelines == [(first, second)[number % 2] for number in range(DEEPEST + 1)]
    assert [run.status for run in await desk.runs()] == ["done"] * DEEPEST + ["skipped"]
    why = f"Skipped: {DEEPEST} rules had caused each other before it on “Roof”."
    (task,) = [task for task in await desk.tasks() if task.about.startswith("automation:")]
    assert (task.assignee_id, why in reasons.text(task.reason)) == (desk.office.id("admin"), True)


async def test_another_program_that_answers_our_webhook_with_a_webhook(messages: MessageDesk) -> None:
    """Over HTTP nobody knows the cause any more; the rate of a rule on one deal ends it."""
    desk = messages.rules
    messages.sender = MessageSender(
        desk.database, (WebhookCarrier(desk.database, Outgoing(parse_networks("127.0.0.0/8"))),)
    )
    async with running_http(HttpPeer()) as peer:
        async with desk.database.write() as session:
            viewer = await desk.office.viewer(session, "admin")
            fields = (HookField("deal_id", "deal.id"),)
            hook, secret = await create_hook(session, viewer, name="Shop", fields=fields, per_minute=60, now=desk.now)
            out, _ = await create_webhook(session, viewer, name="Shop", address=peer.url, now=desk.now)
        rule_id = await desk.rule(
            {"kind": "webhook", "hook_id": hook.id},
            {"kind": "webhook", "webhook_id": out.id},
            name="Echo",
            most_per_hour=MOST,
        )
        bodies = [json.dumps({"deal": {"id": await desk.deal()}}).encode()]
        for body in bodies:  # grows with each answer
            async with desk.database.write() as session:
                await take_call(session, secret, body, "", desk.now, REGION)
            await desk.work()
            before = len(peer.calls)
            await messages.send()
            bodies += [call.body for call in peer.calls[before:]]
    why = f"Skipped: it ran {MOST} times in an hour on this deal."
    assert await desk.told(rule_id) == [("done", "All steps were taken.")] * MOST + [("skipped", why)]
    assert len(peer.calls) == MOST
    (task,) = [task for task in await desk.tasks() if task.about == f"automation:{rule_id}"]
    assert (task.assignee_id, why in reasons.text(task.reason)) == (desk.office.id("admin"), True)
