"""Each template of a rule that sends a message: from the event to the mail in a real mail server, or to a real gateway of SMS, after one click."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from pbxcrm.automation.rule_templates import TEMPLATES
from pbxcrm.deals.models import Deal, StageKind
from pbxcrm.deals.queries import load_funnel
from pbxcrm.messages.option_actions import change_message_options
from pbxcrm.messages.samples import SAMPLES
from pbxcrm.messages.sms import SmsCarrier
from pbxcrm.messages.sms_rules import size_of
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared import reasons
from pbxcrm.shared.outgoing import Outgoing
from tests.calls import batch, outbound
from tests.http_server import HttpPeer
from tests.integration.messages.conftest import CLIENT, MessageDesk
from tests.integration.messages.test_sms import HERE, NUMBER, desk, peer

__all__ = ["desk", "peer"]

DAY = timedelta(days=1)
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def mails(messages: MessageDesk, after: timedelta = timedelta()) -> list[tuple[str, str]]:
    """Time goes by as in a worker; who got what by then."""
    await messages.rules.tick(after)
    await messages.rules.tick()
    await messages.send()
    return [(mail["To"], mail["Subject"]) for mail in messages.taken.mails]


async def won(messages: MessageDesk, contact_id: int, days_ago: int) -> None:
    """An order of the client that was closed so long ago."""
    deal_id = await messages.rules.deal(contact_id=contact_id, second=True)
    async with messages.rules.database.write() as session:
        funnel = await load_funnel(session)
        stage = funnel.stage_of_kind(funnel.default_id, StageKind.WON)
        assert stage is not None
        deal = await session.get_one(Deal, deal_id)
        deal.stage_id, deal.closed_at = stage.id or 0, messages.rules.now - days_ago * DAY


async def status_message(messages: MessageDesk) -> None:
    deal_id = await messages.rules.deal(contact_id=await messages.client())
    assert await mails(messages) == [(CLIENT, "Roof: Нова заявка")]
    await messages.rules.move(deal_id, "Invoice issued")
    assert (await mails(messages, DAY))[1:] == [(CLIENT, "Roof: Рахунок виставлено")]
    assert messages.taken.mails[0].get_content().startswith("Вітаємо, Petro!")


async def invitation(messages: MessageDesk) -> None:
    deal_id = await messages.rules.deal(contact_id=await messages.client())
    await messages.rules.edit(deal_id, event_at=messages.rules.now + 5 * DAY)
    assert await mails(messages, DAY) == []
    assert await mails(messages, 2 * DAY) == [(CLIENT, "Запрошуємо: Roof")]


async def birthday(messages: MessageDesk) -> None:
    now = messages.rules.now
    born = now + 2 * DAY
    await messages.client(birthday=f"{born.day:02d}.{born.month:02d}.1990")
    await messages.client("other@client.example", birthday="01.01.1990")
    assert await mails(messages, DAY) == []
    assert await mails(messages, DAY) == [(CLIENT, "З днем народження!")]
    assert len(await mails(messages, DAY)) == 1


async def test_a_greeting_goes_out_at_most_a_day_late(messages: MessageDesk) -> None:
    await messages.use("birthday")
    for each, address in ((1, "late@client.example"), (2, "yesterday@client.example")):
        born = messages.rules.now + each * DAY
        await messages.client(address, birthday=f"{born.day:02d}.{born.month:02d}.1990")
    assert await mails(messages, 3 * DAY) == [("yesterday@client.example", "З днем народження!")]
    late, _ = await messages.rules.runs()
    day = (messages.rules.now - 2 * DAY).date().isoformat()
    assert (late.status, reasons.text(late.reason)) == (
        "held",
        f"A message to the client was held back. The greeting was for {day}, and is sent at most a day late.",
    )


async def holiday(messages: MessageDesk) -> None:
    buyer = await messages.client()
    await messages.client("asked@client.example")
    await won(messages, buyer, 30)
    assert await mails(messages, DAY) == []
    messages.rules.now = datetime(messages.rules.now.year, 12, 31, 12, tzinfo=UTC)
    assert await mails(messages) == []
    assert await mails(messages, DAY) == [(CLIENT, "З Новим роком!")]


async def rhythm(messages: MessageDesk) -> None:
    often, seldom = await messages.client(), await messages.client("two@client.example")
    for days_ago in (88, 58, 38, 18):  # 30, 20 and 20 days between them: the next one after 20
        await won(messages, often, days_ago)
    for days_ago in (38, 18):
        await won(messages, seldom, days_ago)
    assert await mails(messages, DAY) == []
    assert await mails(messages, DAY) == [(CLIENT, "Час замовити знову?")]
    assert len(await mails(messages, DAY)) == 1


async def survey(messages: MessageDesk) -> None:
    client = await messages.client()
    for _ in range(2):
        deal_id = await messages.rules.deal(contact_id=client, second=True)
        async with messages.rules.database.read() as session:
            funnel = await load_funnel(session)
        stage = funnel.stage_of_kind(funnel.default_id, StageKind.WON)
        assert stage is not None
        await messages.rules.move(deal_id, stage.name, login="admin")
        assert len(await mails(messages)) == len(await mails(messages, 2 * DAY))
        assert await mails(messages, 10 * DAY) == [(CLIENT, "Як вам перше замовлення?")]


STORIES: dict[str, Callable[[MessageDesk], Awaitable[None]]] = {
    each.__name__: each for each in (status_message, invitation, birthday, holiday, rhythm, survey)
}


@pytest.mark.parametrize("code", STORIES)
async def test_a_template_sends_what_it_says(messages: MessageDesk, code: str) -> None:
    await messages.use(code)
    await STORIES[code](messages)


async def said(messages: MessageDesk, peer: HttpPeer, after: timedelta = timedelta()) -> list[str]:
    """Time goes by as in a worker; what the gateway was asked to send by then."""
    await messages.rules.tick(after)
    await messages.rules.tick()
    await messages.send()
    return [json.loads(call.body)["text"] for call in peer.calls]


async def visit_sms(messages: MessageDesk, peer: HttpPeer, _intake: Intake) -> None:
    async with messages.rules.database.write() as session:
        admin = await messages.rules.office.viewer(session, "admin")
        await change_message_options(session, admin, {"message_own_name": "Dah"}, "UA", messages.rules.now)
    deal_id = await messages.rules.deal(contact_id=await messages.client(phones=(NUMBER,)))
    await messages.rules.edit(deal_id, event_at=messages.rules.now + 3 * DAY)
    assert await said(messages, peer, DAY) == []
    (text,) = await said(messages, peer, DAY)
    assert text.startswith("Нагадуємо: чекаємо на вас "), text
    assert text.endswith("Dah"), text


async def unreached_sms(messages: MessageDesk, peer: HttpPeer, intake: Intake) -> None:
    await messages.rules.deal(contact_id=await messages.client(phones=(NUMBER,)))
    for n in (1, 2):  # of the second the client hears nothing: it is in the same row
        await intake.apply(batch(outbound(f"17.{n}", "101", NUMBER).ring("101").wait(20).end()))
        await messages.rules.work()
        assert await said(messages, peer) == ["Ми телефонували вам, але не додзвонилися. Спробуємо ще раз."]


SMS_STORIES: dict[str, Callable[[MessageDesk, HttpPeer, Intake], Awaitable[None]]] = {
    each.__name__: each for each in (visit_sms, unreached_sms)
}


@pytest.mark.parametrize("code", SMS_STORIES)
async def test_a_template_sends_an_sms(desk: MessageDesk, peer: HttpPeer, intake: Intake, code: str) -> None:
    await desk.use(code)
    await SMS_STORIES[code](desk, peer, intake)


async def test_a_template_of_sms_without_a_gateway_says_so(
    messages: MessageDesk, peer: HttpPeer, intake: Intake
) -> None:
    """The message is not sent and says why, and the owner of the rule has a task."""
    sender = replace(
        messages.sender, carriers=(*messages.sender.carriers, SmsCarrier(messages.rules.database, Outgoing(HERE)))
    )
    await messages.use("unreached_sms")
    await messages.rules.deal(contact_id=await messages.client(phones=(NUMBER,)))
    await intake.apply(batch(outbound("17.1", "101", NUMBER).ring("101").wait(20).end()))
    await messages.rules.work()
    await sender.send_due(messages.rules.now)
    (told,) = await messages.told()
    assert told == (
        "failed",
        "It could not be sent: No gateway of SMS is set, or it is switched off (Settings, Messages).",
    )
    owner = messages.rules.office.id("admin")
    assert len([task for task in await messages.rules.tasks() if task.assignee_id == owner]) == 1
    assert peer.calls == []


def test_every_template_with_a_message_has_its_story(database_url: str) -> None:
    assert {each.code for each in TEMPLATES if each.sample} == STORIES.keys() | SMS_STORIES.keys()


@pytest.mark.parametrize("code", SMS_STORIES)
def test_an_sms_of_a_template_is_short(database_url: str, code: str) -> None:
    """Without the names it names: a company pays for each part."""
    for text in SAMPLES[code].texts.values():
        assert size_of(re.sub(r"[{][^}]*[}]", "", text).strip()).parts <= 2


async def test_using_a_template_twice_adds_one_message(messages: MessageDesk) -> None:
    await messages.use("birthday")
    await messages.use("birthday")
    async with messages.rules.database.read() as session:
        from pbxcrm.messages.models import MessageTemplate

        assert len((await session.exec(select(MessageTemplate))).all()) == 1
