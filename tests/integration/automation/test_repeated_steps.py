"""Every kind of step says whether it may be repeated, and keeps that word when the worker is killed (SIGKILL) in its midst.

What a step does is told by the rows of all tables: two deals get it, one from a worker that lives, one from a worker that is killed
between the step and the commit and then from another one. Both must leave the same.
"""

import asyncio
import json
import signal
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import SQLModel

from pbxcrm.automation.steps.kinds import STEPS
from pbxcrm.automation.steps.step import Repeats
from pbxcrm.messages.gateway_actions import GatewayDraft, save_gateway
from pbxcrm.messages.rules import LEASE
from pbxcrm.messages.sender import MessageSender
from pbxcrm.messages.webhook_actions import create_webhook
from pbxcrm.money.product_actions import ProductDraft, add_product
from pbxcrm.shared.db import Database
from tests import forks
from tests.http_server import HttpPeer, running_http
from tests.integration.messages.conftest import MessageDesk
from tests.integration.messages.conftest import messages as messages  # noqa: PLC0414 - its fixtures
from tests.integration.messages.conftest import taken as taken  # noqa: PLC0414
from tests.killed_at_work import carriers
from tests.smtp_server import running_smtp

LINES = {"kind": "lines", "product_id": "KN-30"}
#: Each kind, after what it needs.
ASKED: dict[str, list[dict[str, Any]]] = {
    "task": [{"kind": "task", "title": "Call them", "due": "2h"}],
    "move": [{"kind": "move", "stage_id": "Invoice issued"}],
    "assign": [{"kind": "assign", "to": "user:olena"}],
    "field": [{"kind": "field", "field": "amount", "value": "1500"}],
    "note": [{"kind": "note", "text": "Send the samples"}],
    "tag": [{"kind": "tag", "add": ["large"]}],
    "deal": [{"kind": "deal", "stage_id": "Invoice issued", "title": "Again"}],
    "lines": [LINES],
    "discount": [LINES, {"kind": "discount", "discount": "2 %"}],
    "message": [{"kind": "message", "template_id": 0}],
    "webhook": [{"kind": "webhook", "webhook_id": 0}],
}
OUTSIDE = {Repeats.SAFE, Repeats.UNSAFE}


async def rows(database: Database) -> Counter[str]:
    """How many rows each table has, but for hints to browsers and events, which are deleted when they are handled, and the names of tags,
    which are made once.
    """
    found: Counter[str] = Counter()
    async with database.read() as session:
        connection = await session.connection()
        for table in SQLModel.metadata.sorted_tables:
            if table.name not in {"outbox", "automation_events", "tags"}:
                found[table.name] = (await connection.execute(select(func.count()).select_from(table))).scalar_one()
    return found


async def killed(desk: MessageDesk, *words: str) -> None:
    """A worker works until it kills itself."""
    url = desk.rules.database.engine.url.render_as_string(hide_password=False)
    for driver in ("+aiosqlite", "+asyncpg"):
        url = url.replace(driver, "")
    process = forks.start("tests.killed_at_work", url, desk.rules.now.isoformat(), *words, stderr=2)
    # In a thread: the servers that it speaks to live in this loop.
    assert await asyncio.to_thread(process.wait, 120) == -signal.SIGKILL


@pytest.mark.timeout(600)
async def test_a_step_is_taken_once_whoever_is_killed_in_its_midst(messages: MessageDesk) -> None:
    assert set(ASKED) == set(STEPS), "say here how the new kind is tried"
    rules, database = messages.rules, messages.rules.database
    template_id = await messages.template()
    async with database.write() as session:
        admin = await rules.office.viewer(session, "admin")
        webhook, _secret = await create_webhook(
            session, admin, name="Stock", address="https://stock.example/", now=rules.now
        )
        product = ProductDraft("Plaster", Decimal(100), "KN-30", "Walls", "goods", "bag", None)
        await add_product(session, admin, product, rules.now, currency="UAH")
    ids = {"template_id": template_id, "webhook_id": webhook.id}
    for kind, steps in ASKED.items():
        asked = [{**step, **{name: ids[name] for name in ids if name in step}} for step in steps]
        for step in asked:
            if "stage_id" in step:
                step["stage_id"] = rules.stages[step["stage_id"]]
        only = {"field": "title", "op": "=", "value": kind}
        await rules.rule({"kind": "field_changed", "fields": ["source"]}, *asked, name=kind, conditions=only)
        grown: list[Counter[str]] = []
        for kills in (False, True):
            contact_id = await messages.client(f"{kind}-{kills}@client.example", name=f"Petro {kind} {kills}")
            deal_id = await rules.deal(title=kind, contact_id=contact_id)
            if kind == "deal":
                await rules.move(deal_id, "Received")
            await rules.work()
            await rules.edit(deal_id, source="Fair")
            before = await rows(database)
            if kills:
                await killed(messages, "step", kind)
                assert await rows(database) == before, (kind, "nothing is left of what was half done")
            await rules.work()
            grown.append(Counter({name: count - before[name] for name, count in (await rows(database)).items()}))
        assert grown[0] == grown[1], kind
        assert grown[0]["automation_steps"] == len(steps), kind
        assert grown[0]["deliveries"] == (1 if STEPS[kind].repeats in OUTSIDE else 0), (kind, STEPS[kind].repeats)


@pytest.mark.parametrize(
    ("kind", "channel", "knows"),
    [("message", "email", False), ("message", "sms", False), ("message", "sms", True), ("webhook", "webhook", True)],
)
async def test_what_reaches_outside_is_repeated_only_where_it_is_known_there(
    messages: MessageDesk, kind: str, channel: str, *, knows: bool
) -> None:
    """The sender is killed after the other side took the message and before that is marked."""
    rules = messages.rules
    async with running_http(HttpPeer()) as peer, running_smtp(messages.taken) as smtp_url:
        peer.says("200 OK", body=json.dumps({"id": 7}).encode())
        async with rules.database.write() as session:
            admin = await rules.office.viewer(session, "admin")
            gateway = GatewayDraft(
                peer.url, body='["{number}", "{text}", "{id}"]', taken_path="id", knows_repeats=knows
            )
            await save_gateway(session, admin, gateway, rules.now)
            webhook, _secret = await create_webhook(session, admin, name="Stock", address=peer.url, now=rules.now)
        template_id = await messages.template(channel=channel) if kind == "message" else 0
        asked = {"template_id": template_id} if kind == "message" else {"webhook_id": webhook.id}
        await rules.rule({"kind": "field_changed", "fields": ["source"]}, {"kind": kind, **asked})
        deal_id = await rules.deal(contact_id=await messages.client(phones=["+380671112233"]))
        await rules.edit(deal_id, source="Fair")
        await rules.work()
        await killed(messages, "carrier", channel, smtp_url)

        def reached() -> int:
            return len(messages.taken.mails) + len(peer.calls)

        assert reached() == 1
        carrier = carriers(rules.database, smtp_url)[channel]
        async with rules.database.read() as session:
            repeats = await carrier.may_repeat(session)
        assert repeats == knows
        assert STEPS[kind].repeats is (Repeats.SAFE if kind == "webhook" else Repeats.UNSAFE)
        messages.sender = MessageSender(rules.database, (carrier,))
        assert await messages.send() == 0, "its lease is not over"
        await messages.send(LEASE + timedelta(seconds=1))
        assert [state for state, _ in await messages.told()] == ["sent" if knows else "unknown"]
        assert reached() == (2 if knows else 1)
        assert len({(call.headers["idempotency-key"], call.body) for call in peer.calls}) <= 1
        assert len(await rules.tasks()) == (0 if knows else 1), "a person decides"
