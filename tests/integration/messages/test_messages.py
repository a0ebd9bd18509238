"""Messages to clients, from the event to the mail in a real mail server: once, in their language, past the guards, on the timeline."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.consent_actions import keep_consent
from pbxcrm.messages.actions import decide_delivery
from pbxcrm.messages.mail import MailCarrier
from pbxcrm.messages.models import Delivery
from pbxcrm.messages.option_actions import add_stop, change_message_options
from pbxcrm.messages.rules import LEASE
from pbxcrm.messages.sender import Begin, MessageSender, TakenAwayError
from pbxcrm.messages.template_actions import MessageDraft, archive_message_template, save_message_template
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.tasks.models import Task
from pbxcrm.timeline.entries import EntryKind
from pbxcrm.timeline.queries import timeline
from tests.integration.automation.conftest import A_TASK
from tests.integration.messages.conftest import CLIENT, MessageDesk

ENTERED = {"kind": "stage_entered"}
HOUR = timedelta(hours=1)


async def rule_on(messages: MessageDesk, template_id: int, *steps: dict[str, Any], **more: Any) -> int:
    when = {**ENTERED, "stage_id": messages.rules.stages["Invoice issued"]}
    return await messages.rules.rule(when, {"kind": "message", "template_id": template_id}, *steps, **more)


async def invoiced(messages: MessageDesk, **more: Any) -> int:
    """A deal of the client enters the stage, and the rules hear of it."""
    deal_id = await messages.rules.deal(**more)
    await messages.rules.move(deal_id, "Invoice issued")
    await messages.rules.work()
    return deal_id


async def options(messages: MessageDesk, **values: Any) -> None:
    async with messages.rules.database.write() as session:
        viewer = await messages.rules.office.viewer(session, "admin")
        await change_message_options(session, viewer, values, "UA", messages.rules.now)


async def test_a_rule_sends_a_message_once_after_the_commit(messages: MessageDesk) -> None:
    await options(messages, message_own_name="Dah i dim")
    template_id = await messages.template("{client.name}, вітає {own.name}! Ваша угода: {deal.title}, {deal.amount|—}.")
    rule_id = await rule_on(messages, template_id)
    deal_id = await invoiced(messages, contact_id=await messages.client())
    assert messages.taken.mails == [], "nothing is sent within the transaction of the rule"
    assert await messages.told() == [("queued", "")]
    assert await messages.send() == 1
    assert await messages.send() == 0
    (mail,) = messages.taken.of(CLIENT)
    assert (mail["From"], mail["Subject"]) == ("crm@office.example", "About Roof")
    assert mail.get_content().strip() == "Petro, вітає Dah i dim! Ваша угода: Roof, —."
    assert mail["Auto-Submitted"] == "auto-generated"
    (delivery,) = await messages.deliveries()
    assert (delivery.state, delivery.key, delivery.answer) == ("sent", f"rule:{rule_id}:{delivery.event_id}:0", "taken")
    assert mail["Message-ID"] == f"<{delivery.message_id}@office.example>"
    (run,) = await messages.rules.runs(rule_id)
    assert await messages.rules.steps(run.id) == [("message", "done", f"Message to {CLIENT}: About Roof")]
    async with messages.rules.database.read() as session:
        viewer = await messages.rules.office.viewer(session, "ivan")
        told = await timeline(session, viewer, deal_id=deal_id, kinds=frozenset({EntryKind.MESSAGE}))
    (entry,) = told.entries
    assert (entry.id, reasons.text(entry.reason)) == (delivery.id, "The rule “Rule” did it.")


async def test_the_language_of_the_client_chooses_the_text(messages: MessageDesk) -> None:
    async with messages.rules.database.write() as session:
        viewer = await messages.rules.office.viewer(session, "admin")
        draft = MessageDraft("Two", "email", {"uk": "Добрий день", "en": "Good day"}, {"uk": "Угода", "en": "Deal"})
        template = await save_message_template(session, viewer, None, draft, messages.rules.now)
    await options(messages, message_most_a_day=0)
    for number, (language, _said) in enumerate((("en", "Deal"), ("ru", "Угода"), ("", "Угода"))):
        contact_id = await messages.client(f"c{number}@client.example", language=language)
        deal_id = await messages.rules.deal(contact_id=contact_id)
        await messages.by_hand(deal_id, template.id or 0, f"key {number}")
    await messages.send()
    said = {mail["To"]: mail["Subject"] for mail in messages.taken.mails}
    assert said == {f"c{n}@client.example": subject for n, subject in enumerate(("Deal", "Угода", "Угода"))}


async def test_a_template_is_checked_where_it_is_wrong(messages: MessageDesk) -> None:
    for text, subject, place in (
        ("Hello {client.nam}", "Hi", "texts.uk"),
        ("Hello {", "Hi", "texts.uk"),
        ("Hello", "Hi {deal.nothing|x}", "subjects.uk"),
        ("Hello", "", "subjects.uk"),
        ("", "Hi", "texts.uk"),
        ("x" * 10_001, "Hi", "texts.uk"),
        ("Half {= amuont / 2}", "Hi", "texts.uk"),
        ("Half {= amount / 2", "Hi", "texts.uk"),
        ("Half", "{= 1 +}", "subjects.uk"),
    ):
        with pytest.raises(Invalid) as refused:
            await messages.template(text, subject)
        assert refused.value.field == place
    template_id = await messages.template("{{not a field}} {client.name|friend}", "Hi")
    deal_id = await messages.rules.deal(contact_id=await messages.client(name="Olha"))
    await messages.by_hand(deal_id, template_id)
    await messages.send()
    assert messages.taken.mails[0].get_content().strip() == "{not a field} Olha"


ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@ON_SQLITE
async def test_formulas_in_messages(messages: MessageDesk) -> None:
    """In the language of the reader; shipped names of stages too. What a client is called is no formula and no field."""
    text = "Prepay {= amount / 2} by {= event_at}, {= client_name}.\n{= stage}, {deal.stage} {{= title}}"
    template_id = await messages.template(text, 'Deal {= if(amount > 1000, "} big", "small")}')
    contact_id = await messages.client(name="Petro {= amount} {deal.title}")
    when = datetime(2026, 12, 1, 8, tzinfo=UTC)
    deal_id = await messages.rules.deal(
        contact_id=contact_id, stage="Unsorted", values={"amount": "2500.50", "event_at": when}
    )
    await messages.by_hand(deal_id, template_id)
    await messages.send()
    (mail,) = messages.taken.mails
    assert mail["Subject"] == "Deal } big"
    said = mail.get_content().strip().replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert said == (
        "Prepay 1 250,25 by 1 грудня 2026 р., 10:00, Petro {= amount} {deal.title}.\nНерозібране, Нерозібране {= title}"
    )


@ON_SQLITE
@pytest.mark.parametrize(
    ("formula", "why"),
    [
        ("{= amount / 2}", "A formula of the template gives nothing: “amount” is empty."),
        ("{= source }", "“= source” is empty, and the template has no other word for it."),
        (
            "{= amount = 0}",
            "A formula of the template gives nothing: Here a text is needed. Write if(…, …, …) around a condition.",
        ),
    ],
)
async def test_a_formula_that_gives_nothing_holds_the_message_back(
    messages: MessageDesk, formula: str, why: str
) -> None:
    await rule_on(messages, await messages.template(formula))
    await invoiced(messages, contact_id=await messages.client())
    await messages.send()
    assert await messages.told() == [("refused", why)]


async def test_a_missing_value_is_said_and_nothing_is_sent(messages: MessageDesk) -> None:
    await rule_on(messages, await messages.template("The event is on {deal.event_at}."))
    deal_id = await invoiced(messages, contact_id=await messages.client())
    await messages.send()
    assert await messages.told() == [("refused", "“Event” is empty, and the template has no other word for it.")]
    (run,) = await messages.rules.runs()
    assert run.status == "held"
    assert [said for *_, said in await messages.rules.steps(run.id)] == [
        "No message. “Event” is empty, and the template has no other word for it."
    ]
    with pytest.raises(Conflict, match="“Event” is empty"):
        await messages.by_hand(deal_id, (await messages.deliveries())[0].template_id or 0)


async def test_guards_are_asked_before_a_message(messages: MessageDesk) -> None:
    await rule_on(messages, await messages.template(), A_TASK)
    unsaid, refused, stopped = [await messages.client(f"{n}@client.example") for n in ("unsaid", "refused", "stopped")]
    async with messages.rules.database.write() as session:
        ivan = await messages.rules.office.viewer(session, "ivan")
        admin = await messages.rules.office.viewer(session, "admin")
        await keep_consent(session, ivan, refused, is_given=False, source="by telephone", now=messages.rules.now)
        await add_stop(session, admin, "Stopped@Client.Example", "asked", "UA", messages.rules.now)
    for contact_id in (unsaid, refused, stopped, None):
        await invoiced(messages, contact_id=contact_id, second=True)
    await invoiced(messages, contact_id=unsaid, second=True)
    await messages.send()
    assert [mail["To"] for mail in messages.taken.mails] == ["unsaid@client.example"]
    assert await messages.told() == [
        ("sent", ""),
        ("refused", "The client does not agree to the use of their data."),
        ("refused", "stopped@client.example is on the stop list."),
        ("refused", "The client has no e-mail address."),
        ("refused", "The client got 1 message today already, and rules send no more."),
    ]
    held = "A message to the client was held back."
    stopped_why = "stopped@client.example is on the stop list."
    assert await messages.rules.told() == [
        ("done", "All steps were taken."),
        ("held", f"{held} The client does not agree to the use of their data."),
        ("held", f"{held} {stopped_why}"),
        ("held", f"{held} The client has no e-mail address."),
        ("held", f"{held} The client got 1 message today already, and rules send no more."),
    ]
    steps = [await messages.rules.steps(run.id) for run in await messages.rules.runs()]
    assert steps[2] == [
        ("message", "held", f"Not sent to stopped@client.example: “About Roof”. {stopped_why}"),
        ("task", "done", "Task: Call them"),
    ]
    assert steps[3][0] == ("message", "held", "No message. The client has no e-mail address.")
    await options(messages, message_needs_consent=True, message_most_a_day=0)
    await invoiced(messages, contact_id=unsaid, second=True)
    await messages.send()
    assert (await messages.told())[-1] == (
        "refused",
        "The client has not said yet that they agree to the use of their data.",
    )


async def test_quiet_hours_put_a_message_off(messages: MessageDesk) -> None:
    await options(messages, message_quiet="10:00-15:30")
    await rule_on(messages, await messages.template())
    await invoiced(messages, contact_id=await messages.client())
    await messages.send()
    waits = "It waits for the end of quiet hours (10:00-15:30)."
    assert await messages.told() == [("queued", waits)]
    assert await messages.rules.told() == [("held", f"A message to the client was held back. {waits}")]
    (run,) = await messages.rules.runs()
    assert await messages.rules.steps(run.id) == [
        ("message", "held", f"Not sent to {CLIENT} yet: “About Roof”. {waits}")
    ]
    assert await messages.send(HOUR) == 0
    await messages.send(3 * HOUR)
    assert [state for state, _ in await messages.told()] == ["sent"]
    assert await messages.rules.told() == [("done", "All steps were taken.")]
    assert await messages.rules.steps(run.id) == [("message", "done", f"Message to {CLIENT}: About Roof")]


@ON_SQLITE
async def test_a_rule_that_waited_after_a_message_that_was_held_back_says_so(messages: MessageDesk) -> None:
    """A message that was sent changes no failure of another step."""
    template_id, wait = await messages.template(), {"kind": "wait", "minutes": 60}
    archived = await messages.template(name="Archived")
    await rule_on(messages, template_id, {"kind": "message", "template_id": archived}, name="Fails")
    await rule_on(messages, template_id, wait, A_TASK, name="Waits")
    async with messages.rules.database.write() as session:
        admin = await messages.rules.office.viewer(session, "admin")
        await archive_message_template(session, admin, archived, messages.rules.now)
    await invoiced(messages, contact_id=await messages.client())
    await messages.send()
    assert [state for state, _ in await messages.told()] == ["sent", "refused"], "one message a day"
    assert [status for status, _ in await messages.rules.told()] == ["failed", "waiting"]
    await messages.rules.work(HOUR)
    often = "The client got 1 message today already, and rules send no more."
    assert await messages.rules.told() == [
        ("failed", "A step could not be taken: This template is not used any more."),
        ("held", f"A message to the client was held back. {often}"),
    ]


async def test_a_server_that_refuses_is_asked_again_by_the_schedule_then_the_owner_is_told(
    messages: MessageDesk,
) -> None:
    messages.taken.refuses = "451 too busy"
    await rule_on(messages, await messages.template())
    await invoiced(messages, contact_id=await messages.client())
    await messages.send()
    assert await messages.told() == [("queued", "It could not be sent and will be tried again: 451 too busy")]
    assert await messages.send(timedelta(seconds=1)) == 0, "not before its time"
    await options(messages, message_quiet="")
    for seconds in (5, 30, 120, 600, 3600):
        assert await messages.send(timedelta(seconds=seconds)) == 1
    assert await messages.told() == [("failed", "It could not be sent: 451 too busy")]
    assert messages.taken.asked == 6
    (task,) = await messages.rules.tasks()
    assert (task.assignee_id, task.about) == (messages.rules.office.id("admin"), "automation:1")
    assert "It could not be sent: 451 too busy" in reasons.text(task.reason)
    assert (await messages.rules.told())[0] == ("failed", "It could not be sent: 451 too busy")
    messages.taken.refuses = ""
    async with messages.rules.database.write() as session:
        ivan = await messages.rules.office.viewer(session, "ivan")
        await decide_delivery(session, ivan, 1, messages.rules.now, again=True)
    await messages.send()
    assert (await messages.told(), (await messages.rules.told())[0][0]) == ([("sent", "")], "done")


async def test_a_refusal_for_good_is_not_tried_again(messages: MessageDesk) -> None:
    messages.taken.refuses = "554 no such mailbox"
    deal_id = await messages.rules.deal(contact_id=await messages.client())
    await messages.by_hand(deal_id, await messages.template())
    await messages.send()
    assert await messages.told() == [("failed", "It could not be sent: 554 no such mailbox")]
    async with messages.rules.database.read() as session:
        (task,) = (await session.exec(select(Task).where(Task.about == "message:1"))).all()
    assert (task.assignee_id, task.deal_id) == (messages.rules.office.id("ivan"), deal_id)


async def test_a_sender_that_died_leaves_it_unknown_and_a_person_decides(messages: MessageDesk) -> None:
    """It may have arrived: it is never sent again by itself. What it had taken but not begun to hand over is sent by the next one."""
    await options(messages, message_most_a_day=0)
    await rule_on(messages, await messages.template())
    deal_id = await invoiced(messages, contact_id=await messages.client())
    (carrier,) = messages.sender.carriers
    await invoiced(messages, contact_id=await messages.client("other@client.example"))
    claimed = await messages.sender._claim(carrier, 10, messages.rules.now)
    assert len(claimed) == 2
    await messages.sender._begin(claimed[0])
    assert await messages.send(LEASE / 2) == 0
    assert await messages.send(LEASE) == 1
    assert [mail["To"] for mail in messages.taken.mails] == ["other@client.example"]
    assert [state for state, _ in await messages.told()] == ["unknown", "sent"]
    with pytest.raises(TakenAwayError):
        await messages.sender._begin(claimed[1])
    assert [status for status, _ in await messages.rules.told()] == ["unknown", "done"]
    assert [task.deal_id for task in await messages.rules.tasks()] == [deal_id]
    async with messages.rules.database.write() as session:
        petro = await messages.rules.office.viewer(session, "petro")
        with pytest.raises(NotFound):
            await decide_delivery(session, petro, 1, messages.rules.now, again=True)
    async with messages.rules.database.write() as session:
        ivan = await messages.rules.office.viewer(session, "ivan")
        await decide_delivery(session, ivan, 1, messages.rules.now, again=False)
    assert (await messages.told())[0] == ("left", "Somebody left it as it is.")
    with pytest.raises(Conflict):
        async with messages.rules.database.write() as session:
            await decide_delivery(session, ivan, 1, messages.rules.now, again=True)


async def test_a_server_that_takes_the_message_and_does_not_answer(
    messages: MessageDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs after the data: nobody knows, and another channel goes on meanwhile."""
    monkeypatch.setattr("pbxcrm.notices.mail.SECONDS", 0.5)
    messages.taken.holds = asyncio.Event()
    carried: list[str] = []

    class Other:
        channel, most_at_once = "sms", 1

        async def may_repeat(self, session: AsyncSession) -> bool:
            return False

        async def carry(self, delivery: Delivery, begin: Begin) -> str:
            await begin()
            carried.append(delivery.address)
            return "ok"

    sender = replace(messages.sender, carriers=(*messages.sender.carriers, Other()))
    contact_id = await messages.client()
    await messages.by_hand(await messages.rules.deal(contact_id=contact_id), await messages.template())
    async with messages.rules.database.write() as session:
        now = messages.rules.now
        session.add(
            Delivery(key="2", channel="sms", state="queued", address="+380671112233", created_at=now, due_at=now)
        )
    assert await sender.send_due(messages.rules.now) == 2
    assert carried == ["+380671112233"]
    messages.taken.holds.set()
    assert [state for state, _ in await messages.told()] == ["unknown", "sent"]


async def test_a_form_that_is_sent_twice_sends_one_message(messages: MessageDesk) -> None:
    deal_id, template_id = await messages.rules.deal(contact_id=await messages.client()), await messages.template()
    first = await messages.by_hand(deal_id, template_id, "the form")
    assert await messages.by_hand(deal_id, template_id, "the form") == first
    await messages.send()
    assert len(messages.taken.mails) == 1
    assert messages.taken.mails[0]["Auto-Submitted"] is None, "a person wrote it"


async def test_a_rule_that_watches_reaches_the_recipient_of_tests_only(messages: MessageDesk) -> None:
    await rule_on(messages, await messages.template(), state="watch")
    contact_id = await messages.client()
    await invoiced(messages, contact_id=contact_id)
    await messages.send()
    assert await messages.told() == [("watch", "The rule only watches: nothing was sent.")]
    await options(messages, message_test_email="test@office.example")
    await invoiced(messages, contact_id=contact_id, second=True)
    await messages.send()
    assert [mail["To"] for mail in messages.taken.mails] == ["test@office.example"]
    said = [step for run in await messages.rules.runs() for step in await messages.rules.steps(run.id)]
    assert said == [
        ("message", "would", f"Message to {CLIENT}: About Roof"),
        ("message", "would", "Message to test@office.example, the recipient of tests: About Roof"),
    ]


async def test_a_template_that_is_used_no_more_fails_its_rule_in_plain_words(messages: MessageDesk) -> None:
    template_id = await messages.template()
    await rule_on(messages, template_id)
    async with messages.rules.database.write() as session:
        admin = await messages.rules.office.viewer(session, "admin")
        await archive_message_template(session, admin, template_id, messages.rules.now)
    await invoiced(messages, contact_id=await messages.client())
    assert (await messages.rules.told())[0] == (
        "failed",
        "A step could not be taken: This template is not used any more.",
    )
    with pytest.raises(Invalid) as refused:
        await rule_on(messages, template_id)
    assert refused.value.field == "then.0.template_id"


async def test_without_a_mail_server_it_is_said(messages: MessageDesk) -> None:
    sender = MessageSender(messages.rules.database, (MailCarrier(None, ""),))
    deal_id = await messages.rules.deal(contact_id=await messages.client())
    await messages.by_hand(deal_id, await messages.template())
    await sender.send_due(messages.rules.now)
    assert await messages.told() == [("failed", "It could not be sent: No mail server is set (PBXCRM_SMTP_URL).")]


async def test_two_workers_send_each_message_once(messages: MessageDesk) -> None:
    await options(messages, message_most_a_day=0)
    template_id = await messages.template()
    for number in range(12):
        contact_id = await messages.client(f"c{number}@client.example")
        deal_id = await messages.rules.deal(contact_id=contact_id)
        await messages.by_hand(deal_id, template_id, f"{number}")
    while sum(await asyncio.gather(messages.send(), messages.send())):
        pass
    assert sorted(mail["To"] for mail in messages.taken.mails) == sorted(f"c{n}@client.example" for n in range(12))


HOMES = ["https://crm.example", "https://a-rather-long-name-of-an-office.somewhere.in.the.country.example/crm"]


@pytest.mark.parametrize("home", HOMES)
async def test_messages_of_rules_say_how_to_end_them(messages: MessageDesk, home: str) -> None:
    """In the headers that mail programs read (RFC 8058), whole however long, and in the text. What is stored has no secret to press."""
    server = replace(messages.sender.carriers[0], home=home)  # type: ignore[type-var]
    sender = replace(messages.sender, carriers=(server,))
    template_id = await messages.template("Hello!\nNo more: {own.unsubscribe}\nYours")
    await rule_on(messages, template_id)
    deal_id = await invoiced(messages, contact_id=await messages.client())
    await messages.by_hand(deal_id, template_id)
    assert await sender.send_due(messages.rules.now) == 2
    by_rule, by_hand = sorted(messages.taken.mails, key=lambda mail: mail["List-Unsubscribe"] or "~")
    (delivery, other) = await messages.deliveries()
    link = f"{home}/unsubscribe/{delivery.data['secret']}"
    assert by_rule["List-Unsubscribe"] == f"<{link}>"
    assert by_rule["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert by_rule.get_content().split() == ["Hello!", "No", "more:", link, "Yours"]
    assert by_hand["List-Unsubscribe"] is None, "a person wrote it"
    assert other.data["secret"] in by_hand.get_content()
    assert delivery.body == "Hello!\nNo more: {own.unsubscribe}\nYours"
    assert delivery.data["secret"] not in f"{by_rule['Message-ID']}{delivery.key}"


async def test_without_a_public_address_there_is_no_link(messages: MessageDesk) -> None:
    await rule_on(messages, await messages.template("Hello!\nNo more: {own.unsubscribe}"))
    await invoiced(messages, contact_id=await messages.client())
    await messages.send()
    (mail,) = messages.taken.mails
    assert (mail.get_content().strip(), mail["List-Unsubscribe"]) == ("Hello!", None)
    with pytest.raises(Invalid) as refused:
        await messages.template(subject="{own.unsubscribe}", name="In the subject")
    assert refused.value.field == "subjects.uk"


async def test_who_said_no_at_one_address_gets_nothing_at_another(messages: MessageDesk) -> None:
    contact_id = await messages.client(CLIENT, "second@client.example")
    await rule_on(messages, await messages.template())
    async with messages.rules.database.write() as session:
        admin = await messages.rules.office.viewer(session, "admin")
        await add_stop(session, admin, "SECOND@client.example", "", "UA", messages.rules.now)
    await invoiced(messages, contact_id=contact_id)
    await messages.send()
    assert await messages.told() == [("refused", "second@client.example is on the stop list.")]
