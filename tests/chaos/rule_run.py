"""Events fire rules whose messages go to a real gateway, while two real workers are killed at random moments.

What came out is compared with a slow and obvious reference: the events one after the other, each rule asked in its order. The gateway
keeps what it was sent: it has the last word on what was sent how often.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlmodel import col, func, select, update

from pbxcrm.automation.models import AutomationEvent, RuleRun, RunStep
from pbxcrm.deals.models import DealTag, Note, Tag
from pbxcrm.messages.gateway_actions import GatewayDraft, save_gateway
from pbxcrm.messages.models import Delivery, DeliveryState
from pbxcrm.messages.option_actions import change_message_options
from pbxcrm.messages.rules import message_id_of
from pbxcrm.messages.sender import MessageSender
from pbxcrm.messages.webhook_actions import create_webhook
from tests.http_server import HttpPeer, running_http
from tests.integration.automation.conftest import REGION, RuleDesk
from tests.integration.messages.conftest import MessageDesk
from tests.smtp_server import TakenMail
from tests.waiting import until
from tests.workers import MortalWorkers, mortal_workers

RULES = 20
SIZES = ("S", "M", "L", "XL")
#: The events tell their size in a word that conditions may ask for.
OUTCOME = dict(zip(SIZES, ("answered", "missed", "busy", "failed"), strict=True))
#: The first rule of each size also sends something, as its third step. The gateway of SMS does not know a message that comes again.
SENDS = ("webhook", "webhook", "sms", "sms")
PATIENCE = 3600  # seconds, on a busy machine


@dataclass(frozen=True)
class Size:
    events: int
    blows: int
    deals: int = 25
    seed: int = 12


@dataclass
class RuleChaos:
    """``wrong``: what differs from the reference, in words. ``repeated``: of webhooks, with the key by which the receiver knows them."""

    events: int
    kills: int = 0
    firings: int = 0
    steps: int = 0
    sent: int = 0  # different messages at the gateway
    repeated: int = 0
    unknown: int = 0  # SMS of which a person must find out whether they were sent
    unknown_sent: int = 0  # those of them that the gateway has
    seconds: float = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.events} events, {self.kills} workers killed, {self.firings} firings, {self.steps} steps, {self.sent} messages at the gateway, "
            f"{self.repeated} webhooks again with the same key, {self.unknown} SMS unknown ({self.unknown_sent} of them sent), "
            f"{self.seconds:.0f} s; {len(self.wrong)} faults"
        )


@dataclass(frozen=True)
class _Event:
    id: int
    deal_id: int
    size: str


async def play(desk: RuleDesk, folder: Path, size: Size) -> RuleChaos:
    """Let the events fire and the workers die, and compare."""
    dice = random.Random(size.seed)
    found = RuleChaos(size.events)
    began = asyncio.get_running_loop().time()
    async with running_http(HttpPeer()) as gateway:
        gateway.says("200 OK", "content-type: application/json", body=json.dumps({"id": "g-1"}).encode())
        rules, deals = await _fill(desk, gateway, size.deals)
        events = await _say(desk, [(dice.choice(deals), dice.choice(SIZES)) for _ in range(size.events)])
        networks = {"PBXCRM_OUTGOING_NETWORKS": "127.0.0.0/8, ::1"}
        async with mortal_workers(desk.database, folder, **networks) as workers:
            await _strike(desk, workers, size, dice, found)
        found.seconds = asyncio.get_running_loop().time() - began
        await _compare(desk, rules, events, found)
        await _compare_sent(desk, rules, events, gateway, found)
    return found


async def _fill(desk: RuleDesk, gateway: HttpPeer, deals: int) -> tuple[list[int], list[int]]:
    messages = MessageDesk(desk, MessageSender(desk.database, ()), TakenMail())
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "admin")
        hook, _secret = await create_webhook(session, viewer, name="Stock", address=f"{gateway.url}/hook", now=desk.now)
        body = '{"to": "{digits}", "text": "{text}", "id": {id}}'
        sms = GatewayDraft(
            address=f"{gateway.url}/sms", headers="", body=body, sender="Dah", secret="x", taken_path="id"
        )
        await save_gateway(session, viewer, sms, desk.now)
        any_hour = {"message_quiet": "", "message_most_a_day": 0}
        await change_message_options(session, viewer, any_hour, REGION, desk.now)
    template_id = await messages.template("Hello {client.name}!", name="SMS", channel="sms")
    step_of: dict[str, dict[str, Any]] = {
        "webhook": {"kind": "webhook", "webhook_id": hook.id},
        "sms": {"kind": "message", "template_id": template_id},
    }
    rules: list[int] = []
    for number in range(RULES):
        size = SIZES[number % len(SIZES)]
        others = [f"size {each}" for each in SIZES if each != size]
        rules.append(
            await desk.rule(
                {"kind": "field_changed", "fields": ["source"]},
                {"kind": "note", "text": f"Rule {number}"},
                {"kind": "tag", "add": [f"size {size}"], "remove": others},
                *([step_of[SENDS[number]]] if number < len(SENDS) else []),
                name=f"Rule {number}",
                conditions={"field": "call.outcome", "op": "=", "value": OUTCOME[size]},
                most_per_hour=1000,
            )
        )
    clients = [await messages.client(phones=(f"+38067{1_000_000 + number}",)) for number in range(deals)]
    return rules, [await desk.deal(second=True, contact_id=client_id) for client_id in clients]


async def _say(desk: RuleDesk, said: Sequence[tuple[int, str]]) -> list[_Event]:
    now = datetime.now(UTC)
    rows = [
        {
            "at": now, "act": "deal.edited", "subject": f"deal:{deal_id}", "deal_id": deal_id, "chain": [], "tries": 0, "due_at": now,
            "data": {"changed": {"source": {}}, "outcome": OUTCOME[size]},
        }
        for deal_id, size in said
    ]  # fmt: skip
    async with desk.database.write() as session:
        await (await session.connection()).execute(insert(AutomationEvent), rows)
    async with desk.database.read() as session:
        ids = (await session.exec(select(AutomationEvent.id).order_by(col(AutomationEvent.id)))).all()
    return [_Event(id_ or 0, *each) for id_, each in zip(ids, said, strict=True)]


async def _strike(desk: RuleDesk, workers: MortalWorkers, size: Size, dice: random.Random, found: RuleChaos) -> None:
    """Kill a worker each time when some more events or messages are done, until all are; Redis dies once."""

    waits = col(Delivery.state).in_([DeliveryState.QUEUED, DeliveryState.SENDING])

    async def done() -> int:
        """Events that are handled and messages that are sent, together."""
        workers.check()
        async with desk.database.read() as session:
            left = (await session.exec(select(func.count()).select_from(AutomationEvent))).one()
            ended = select(func.count()).where(
                col(Delivery.state).not_in([DeliveryState.QUEUED, DeliveryState.SENDING])
            )
            return size.events - left + (await session.exec(ended)).one()

    async def nothing_moves() -> bool:
        workers.check()
        async with desk.database.read() as session:
            left = (await session.exec(select(func.count()).select_from(AutomationEvent))).one()
            due = select(func.count()).where(waits, col(Delivery.due_at) <= datetime.now(UTC))
            return not left and not (await session.exec(due)).one()

    moments = sorted(dice.randrange(2 * size.events) for _ in range(size.blows))
    for blow, moment in enumerate(moments):

        async def came(least: int = moment) -> bool:
            return await done() >= least or await nothing_moves()  # the rest is in the hands of the dead

        await until(came, PATIENCE)
        workers.hit(with_redis=blow == size.blows // 2)
        found.kills += 1

    await until(nothing_moves, PATIENCE)
    workers.stop()
    found.kills += 2
    # Nobody sends any more: what is claimed was in the hands of a killed one. Its lease ends now, not in minutes.
    async with desk.database.write() as session:
        await session.exec(update(Delivery).where(waits).values(due_at=datetime.now(UTC)))
    workers.start()

    async def over() -> bool:
        return await done() == 2 * size.events

    await until(over, PATIENCE)


async def _compare(desk: RuleDesk, rules: Sequence[int], events: Sequence[_Event], found: RuleChaos) -> None:
    notes: Counter[tuple[int | None, str]] = Counter()
    tags: dict[int, set[str]] = {}
    for event in events:
        for number in range(RULES):
            if event.size == SIZES[number % len(SIZES)]:
                notes[event.deal_id, f"Rule {number}"] += 1
                tags[event.deal_id] = {f"size {event.size}"}
    async with desk.database.read() as session:
        noted = Counter((await session.exec(select(Note.deal_id, Note.text))).all())
        runs = (await session.exec(select(RuleRun.rule_id, RuleRun.event_id, RuleRun.status))).all()
        steps = (await session.exec(select(RunStep.run_id, RunStep.position, RunStep.status))).all()
        query = select(DealTag.deal_id, Tag.name).join(Tag, col(Tag.id) == col(DealTag.tag_id))
        tagged: dict[int, set[str]] = {}
        for deal_id, name in (await session.exec(query)).all():
            tagged.setdefault(deal_id, set()).add(name)
    found.firings, found.steps = len(runs), len(steps)
    statuses = Counter(status for _, _, status in runs)
    expected = {
        "notes that are lost or doubled": ((noted - notes).total() + (notes - noted).total(), 0),
        "firings": ((len(runs), len({run[:2] for run in runs})), (len(events) * RULES,) * 2),
        "firings that did something": (statuses["done"] + statuses["unknown"], notes.total()),
        "firings that failed": (statuses["failed"] + statuses["waiting"], 0),
        "steps": ((len(steps), len(set(steps))), (2 * notes.total() + len(events),) * 2),
        "steps that are done": (sum(status == "done" for *_, status in steps), len(steps)),
        "deals whose last event was not handled last": (sum(tagged.get(one) != tags[one] for one in tags), 0),
    }
    found.wrong += [f"{what}: {is_} instead of {should}" for what, (is_, should) in expected.items() if is_ != should]


async def _compare_sent(
    desk: RuleDesk, rules: Sequence[int], events: Sequence[_Event], gateway: HttpPeer, found: RuleChaos
) -> None:
    """Each message is at the gateway under its own key, once; a webhook may come again under it, and an SMS that may be missing is *unknown*."""
    wanted: Mapping[str, dict[str, _Event]] = {"webhook": {}, "sms": {}}
    for event in events:
        number = SIZES.index(event.size)
        wanted[SENDS[number]][message_id_of(f"rule:{rules[number]}:{event.id}:2")] = event
    taken: Mapping[str, Counter[str]] = {"webhook": Counter(), "sms": Counter()}
    for call in gateway.calls:
        taken["sms" if call.line.startswith("POST /sms") else "webhook"][call.headers["idempotency-key"]] += 1
    async with desk.database.read() as session:
        rows = (await session.exec(select(Delivery.key, Delivery.state))).all()
    states = {message_id_of(key): state for key, state in rows}
    unknown = {key for key, state in states.items() if state == DeliveryState.UNKNOWN}
    found.sent = sum(map(len, taken.values()))
    found.repeated = taken["webhook"].total() - len(taken["webhook"])
    found.unknown, found.unknown_sent = len(unknown), len(unknown & taken["sms"].keys())
    lost = {channel: wanted[channel].keys() - taken[channel].keys() for channel in wanted}
    expected = {
        "messages nobody asked for": sum(len(taken[channel].keys() - wanted[channel].keys()) for channel in wanted),
        "webhooks lost": len(lost["webhook"]),
        "SMS lost and not said to be unknown": len(lost["sms"] - unknown),
        "SMS sent twice": taken["sms"].total() - len(taken["sms"]),
        "more webhooks that came again than were in flight when workers died": max(
            0, found.repeated - 20 * found.kills
        ),
        "webhooks unknown": len(unknown & wanted["webhook"].keys()),
        "deliveries too many or too few": len(rows) - len(events),
        "deliveries that failed": sum(
            state not in {DeliveryState.SENT, DeliveryState.UNKNOWN} for state in states.values()
        ),
    }
    found.wrong += [f"{what}: {many}" for what, many in expected.items() if many]
