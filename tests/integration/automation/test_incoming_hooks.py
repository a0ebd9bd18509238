"""Incoming webhooks: who is found, what rules hear and use, what is heard once, what is refused, what is kept."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from pbxcrm.automation.hook_actions import KEEP_CALLS, create_hook, prune_calls, revoke_hook, take_call
from pbxcrm.automation.hook_queries import list_hooks
from pbxcrm.automation.hook_rules import HookField, HookValue
from pbxcrm.automation.models import HookCall, HookCallState
from pbxcrm.automation.queries import load_active
from pbxcrm.contacts.actions import create_contact
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound, TooManyAttempts
from tests.integration.automation.conftest import A_TASK, REGION, RuleDesk

FIELDS = (
    HookField("deal_id", "order.deal"),
    HookField("number", "customer.phone"),
    HookField("email", "customer.email"),
    HookField("total", "order.total", HookValue.NUMBER.value),
    HookField("item", "order.items.0.name"),
)
NUMBER = "+380671112233"


class HookCaller:
    """Another program that knows the secret address of a webhook."""

    def __init__(self, desk: RuleDesk) -> None:
        self.desk, self.secret, self.hook_id = desk, "", 0

    async def make(
        self, *, per_minute: int = 60, fields: Sequence[HookField] = FIELDS, login: str = "admin"
    ) -> "HookCaller":
        async with self.desk.database.write() as session:
            viewer = await self.desk.office.viewer(session, login)
            asked: dict[str, Any] = {"name": "Shop", "fields": fields, "per_minute": per_minute, "now": self.desk.now}
            hook, self.secret = await create_hook(session, viewer, **asked)
        self.hook_id = hook.id or 0
        return self

    async def call(self, body: Any, key: str = "") -> HookCallState:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.desk.database.write() as session:
            return await take_call(session, self.secret, sent, key, self.desk.now, REGION)

    async def calls(self) -> Sequence[HookCall]:
        async with self.desk.database.read() as session:
            return (await session.exec(select(HookCall).order_by(col(HookCall.id)))).all()


@pytest.fixture
async def shop(desk: RuleDesk) -> HookCaller:
    return await HookCaller(desk).make()


def order(**more: Any) -> dict[str, Any]:
    return {"order": {"total": 1500.5, "items": [{"name": "Roof\0 <b>"}], **more}}


async def test_a_rule_hears_of_the_deal_and_uses_what_was_sent(desk: RuleDesk, shop: HookCaller) -> None:
    deal_id, other = await desk.deal(), await desk.deal(second=True)
    paid = {"field": "hook.total", "op": ">=", "value": "1000"}
    rule_id = await desk.rule(
        {"kind": "webhook", "hook_id": shop.hook_id},
        {"kind": "task", "title": "Paid {= hook_total * 2} for {= hook_item}"},
        conditions={"all": [paid]},
    )
    assert await shop.call(order(deal=deal_id)) is HookCallState.HEARD
    assert await shop.call(order(deal=other, total="12")) is HookCallState.HEARD
    await desk.work()
    (task,) = await desk.tasks()
    assert (task.deal_id, reasons.text(task.title_code)) == (deal_id, "Paid 3001 for Roof <b>")
    skipped, done = await desk.runs(rule_id)
    assert (done.status, done.act, done.seen[0]["saw"]) == ("done", "hook.deal", "1500.50")
    assert (skipped.deal_id, skipped.status) == (other, "skipped")
    first = (await shop.calls())[0]
    assert (first.deal_id, first.sent) == (deal_id, {"deal_id": str(deal_id), "total": "1500.5", "item": "Roof <b>"})


async def test_the_client_is_found_by_number_and_address_and_nobody_is_made(desk: RuleDesk, shop: HookCaller) -> None:
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "ivan")
        asked: dict[str, Any] = {"region": REGION, "now": desk.now, "phones": [NUMBER], "emails": ["petro@example.com"]}
        client = await create_contact(session, viewer, name="Petro", **asked)
    await desk.rule(
        {"kind": "webhook_client", "hook_id": shop.hook_id}, {"kind": "task", "title": "Greet {= client_name}"}
    )
    on_deal = await desk.rule({"kind": "webhook", "hook_id": shop.hook_id}, A_TASK)
    for customer in ({"phone": "067 111 22 33"}, {"email": "PETRO@example.com"}):
        assert await shop.call({"customer": customer}) is HookCallState.HEARD
    await desk.work()
    assert [reasons.text(task.title_code) for task in await desk.tasks()] == ["Greet Petro"] * 2
    assert await desk.runs(on_deal) == [], "the client has no deal"
    deal_id = await desk.deal(contact_id=client.id)
    await shop.call({"customer": {"phone": NUMBER}, "n": 2})
    await desk.work()
    assert [run.deal_id for run in await desk.runs(on_deal)] == [deal_id]
    assert await shop.call({"customer": {"phone": "+380509998877"}}) is HookCallState.NOBODY
    assert (await shop.calls())[-1].sent == {}, "nothing is kept of strangers"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_repetition_is_heard_once(desk: RuleDesk, shop: HookCaller) -> None:
    deal_id = await desk.deal()
    rule_id = await desk.rule({"kind": "webhook", "hook_id": shop.hook_id}, A_TASK)
    said = [await shop.call(order(deal=deal_id)) for _ in range(2)]
    said += [await shop.call(order(deal=deal_id, n=n), key="order-7") for n in range(2)]
    assert said == [HookCallState.HEARD, HookCallState.REPEATED] * 2
    desk.now += timedelta(hours=25)
    assert await shop.call(order(deal=deal_id)) is HookCallState.HEARD, "a day later it is news"
    await desk.work()
    assert len(await desk.runs(rule_id)) == 3
    async with desk.database.write() as session:
        await prune_calls(session, desk.now + KEEP_CALLS - timedelta(hours=1))
    assert len(await shop.calls()) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_refused(desk: RuleDesk, shop: HookCaller) -> None:
    deep = b"[" * 100_000
    for wrong in (b"", b"[]", b"{", b'"text"', b'{"a": NaN}', b"\xff\xfe", deep):
        with pytest.raises(Invalid) as refused:
            await shop.call(wrong)
        assert refused.value.code == "hooks.json"
    huge = {"order": {"deal": "9" * 5000, "total": "1e999999", "items": {"0": 1}}, "customer": [1]}
    assert await shop.call(huge) is HookCallState.NOBODY
    assert await shop.call(b'{"order": {"deal": ' + b"9" * 5000 + b"}}") is HookCallState.NOBODY
    await HookCaller(desk).make()
    slow = await HookCaller(desk).make(per_minute=1)
    await slow.call({})
    with pytest.raises(TooManyAttempts):
        await slow.call({"n": 1})
    desk.now += timedelta(minutes=2)
    await slow.call({"n": 1})
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        await revoke_hook(session, admin, shop.hook_id, desk.now)
    with pytest.raises(NotFound):
        await shop.call({})
    async with desk.database.write() as session:
        with pytest.raises(Conflict):
            await revoke_hook(session, await desk.office.viewer(session, "admin"), shop.hook_id, desk.now)
        with pytest.raises(NotAllowed):
            await list_hooks(session, await desk.office.viewer(session, "maria"))
    with pytest.raises(Invalid) as gone:
        await desk.rule({"kind": "webhook", "hook_id": shop.hook_id}, A_TASK)
    assert gone.value.field == "when.hook_id"


async def test_rules_that_ask_for_a_revoked_webhook_are_broken_and_their_owner_is_told(
    desk: RuleDesk, shop: HookCaller
) -> None:
    """Those that listen to it, and those whose condition asks for what it declared. What waits goes on."""
    other = await HookCaller(desk).make(fields=[HookField("deal_id", "deal")])
    listens = {"kind": "webhook", "hook_id": shop.hook_id}
    await desk.rule(listens, {"kind": "wait", "minutes": 60}, A_TASK, name="Listens")
    asks = {"field": "hook.item", "op": "filled"}
    await desk.rule({"kind": "webhook", "hook_id": other.hook_id}, A_TASK, name="Asks", conditions=asks)
    await desk.rule({"kind": "webhook", "hook_id": other.hook_id}, A_TASK, name="Well")
    await desk.rule(listens, A_TASK, name="Off", state="off")
    await shop.call({"order": {"deal": await desk.deal()}})
    await desk.work()
    async with desk.database.write() as session:
        await revoke_hook(session, await desk.office.viewer(session, "admin"), shop.hook_id, desk.now)
    told = {reasons.text(task.title_code): reasons.text(task.reason) for task in await desk.tasks()}
    no_hook = "The rule asks for something that is gone: There is no such webhook, or it is revoked."
    assert told.keys() == {"Look at the rule “Listens”", "Look at the rule “Asks”"}
    assert told["Look at the rule “Listens”"] == no_hook
    async with desk.database.read() as session:
        broken = {each.rule.name for each in (await load_active(session)).by_id.values() if each.broken is not None}
    assert broken == {"Listens", "Asks"}
    await desk.work(after=timedelta(hours=1))
    assert [status for status, _ in await desk.told()] == ["done"]
    for fields in (
        (),
        (HookField("Total", "a"),),
        (HookField("a", ""), HookField("a", "b")),
        (HookField("a", "x" * 201),),
    ):
        with pytest.raises(Invalid):
            await HookCaller(desk).make(fields=fields)
    with pytest.raises(NotAllowed):
        await HookCaller(desk).make(login="maria")
