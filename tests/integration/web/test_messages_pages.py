"""Messages to clients on their pages: templates with a preview, what holds for all, the stop list; sent by hand, and what became of it."""

import re
from html import unescape

from sqlmodel import select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.contacts.actions import edit_contact
from pbxcrm.messages.models import Delivery, MessageStop, MessageTemplate
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock
from tests.integration.web.test_deal_people import viewer_of_login
from tests.integration.web.test_settings_pages import make_deal

HOSTILE = "<img src=x onerror=alert(1)>"
PATH = "/settings/messages"
TYPED = {
    "name": "Greeting",
    "channel": "email",
    "texts.uk": "Вітаємо, {client.name}!",
    "subjects.uk": "Про {deal.title}",
}


async def test_a_template_is_written_seen_and_put_away(browser: Browsers, database: Database, clock: SetClock) -> None:
    _client, deal_id = await make_deal(database, clock)
    admin, olena = await browser("admin"), await browser("olena")
    assert (await olena.get(PATH)).status_code == 403
    assert "No templates of messages" in (await admin.get(PATH)).text
    wrong = await admin.post(f"{PATH}/new", data=TYPED | {"texts.uk": "Hi {client.nam}", "name": HOSTILE})
    assert wrong.status_code == 422
    assert "There is no field “client.nam” for messages." in wrong.text
    assert HOSTILE not in wrong.text
    assert "Hi {client.nam}" in unescape(wrong.text), "what was typed stays"
    said = await admin.post(f"{PATH}/check", data=TYPED | {"deal_id": str(deal_id)})
    assert "Вітаємо, " in said.text
    assert "There is no field" in (await admin.post(f"{PATH}/check", data=TYPED | {"texts.uk": "{x}"})).text
    formula = TYPED | {"texts.uk": '{= upper(title)} {= if(1 = 1, "<b>", title)} {= 3 / 2}', "deal_id": str(deal_id)}
    computed = (await admin.post(f"{PATH}/check", data=formula)).text
    assert "&lt;b&gt; 1,5" in computed
    assert "<b>" not in computed
    assert (
        "There is no field “titel” here."
        in (await admin.post(f"{PATH}/check", data=TYPED | {"subjects.uk": "{= titel}"})).text
    )
    assert (await admin.post(f"{PATH}/new", data=TYPED)).status_code == 303
    async with database.read() as session:
        (template,) = (await session.exec(select(MessageTemplate))).all()
    one = f"{PATH}/{template.id}"
    assert "{client.name}" in unescape((await admin.get(one)).text)
    assert (await admin.post(one, data=TYPED | {"name": "Hello", "version": "1"})).status_code == 303
    assert (await admin.post(one, data=TYPED | {"version": "1"})).status_code == 409
    assert (await admin.post(f"{one}/archive", data={})).status_code == 303
    assert "There are no templates" in (await olena.get(f"/deals/{deal_id}/message")).text


async def test_what_holds_for_all_messages_and_the_stop_list(browser: Browsers) -> None:
    admin = await browser("admin")
    options = {"message_quiet": "22-8", "message_most_a_day": "2", "message_own_name": "Dah", "message_language": "uk"}
    assert (await admin.post(f"{PATH}/options", data=options)).status_code == 303
    page = (await admin.get(PATH)).text
    assert 'value="22:00-08:00"' in page
    wrong = await admin.post(f"{PATH}/options", data=options | {"message_quiet": "at night"})
    assert wrong.status_code == 422
    assert "Write hours" in wrong.text
    assert (await admin.post(f"{PATH}/stop", data={"address": "nobody", "note": ""})).status_code == 422
    assert (await admin.post(f"{PATH}/stop", data={"address": "A@Client.Example", "note": HOSTILE})).status_code == 303
    page = (await admin.get(PATH)).text
    assert "a@client.example" in page
    assert HOSTILE not in page
    remove = re.search(r"/settings/messages/stop/\d+/remove", page)
    assert remove is not None
    assert (await admin.post(remove[0])).status_code == 303
    assert "a@client.example" not in (await admin.get(PATH)).text


async def test_a_message_is_sent_from_the_card_of_a_deal(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    client_id, deal_id = await make_deal(database, clock)
    admin, olena, dmytro = await browser("admin"), await browser("olena"), await browser("dmytro")
    await admin.post(f"{PATH}/new", data=TYPED)
    async with database.read() as session:
        (template,) = (await session.exec(select(MessageTemplate))).all()
    path = f"/deals/{deal_id}/message"
    assert (await dmytro.get(path)).status_code == 404
    assert path in (await olena.get(f"/deals/{deal_id}")).text
    asked = (await olena.get(path)).text
    assert "The client has no e-mail address." in asked
    send = {"message_template_id": str(template.id), "key": "k"}
    refused = await olena.post(path, data=send)
    assert refused.status_code == 409
    assert "The client has no e-mail address." in refused.text
    async with database.write() as session:
        viewer = await viewer_of_login(session, "olena")
        emails = ["client@example.com"]
        await edit_contact(session, viewer, client_id, version=None, now=clock(), region="UA", emails=emails)
    asked = (await olena.get(path)).text
    assert "client@example.com" in asked
    assert "Вітаємо, " in asked
    for _twice in range(2):
        assert (await olena.post(path, data=send)).status_code == 303
    async with database.read() as session:
        (delivery,) = (await session.exec(select(Delivery))).all()
    assert (delivery.state, delivery.address) == ("queued", "client@example.com")
    card = (await olena.get(f"/deals/{deal_id}?kind=messages")).text
    assert "waits to be sent" in card
    assert "/decide" not in card
    async with database.write() as session:
        row = await session.get_one(Delivery, delivery.id)
        row.state = "unknown"
    assert f"/messages/{delivery.id}/decide" in (await olena.get(f"/deals/{deal_id}?kind=messages")).text
    assert (await dmytro.post(f"/messages/{delivery.id}/decide", data={})).status_code == 404
    assert (await olena.post(f"/messages/{delivery.id}/decide", data={"again": "1"})).status_code == 303
    async with database.read() as session:
        assert (await session.get_one(Delivery, delivery.id)).state == "queued"


async def test_the_client_said_no_and_yes_again(browser: Browsers, database: Database, clock: SetClock) -> None:
    """One press on either card; nothing is sent to any address of theirs; it is undone, and the log tells who did what."""
    client_id, deal_id = await make_deal(database, clock)
    olena, dmytro = await browser("olena"), await browser("dmytro")
    path = f"/contacts/{client_id}/no-messages"
    assert path in (await olena.get(f"/deals/{deal_id}")).text
    assert path in (await olena.get(f"/contacts/{client_id}")).text
    assert (await dmytro.post(path, data={})).status_code == 404
    answer = await olena.post(path, data={"back": f"/deals/{deal_id}"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/deals/{deal_id}")
    assert (await olena.post(path, data={"back": "//evil.example"})).headers["location"] == "/"
    async with database.read() as session:
        stops = (await session.exec(select(MessageStop))).all()
    assert [(stop.address, stop.why) for stop in stops] == [("+380671110001", {})]
    for card in (f"/deals/{deal_id}", f"/contacts/{client_id}"):
        page = (await olena.get(card)).text
        assert "wants no messages" in page
        assert f"/contacts/{client_id}/messages-again" in page
    assert (await dmytro.post(f"/contacts/{client_id}/messages-again", data={})).status_code == 404
    assert (await olena.post(f"/contacts/{client_id}/messages-again", data={})).status_code == 303
    assert "wants no messages" not in (await olena.get(f"/contacts/{client_id}")).text
    async with database.read() as session:
        assert (await session.exec(select(MessageStop))).all() == []
        log = (await session.exec(select(AuditEntry.action).where(AuditEntry.entity == "contact"))).all()
    assert [each for each in log if "messages" in each] == ["contact.no_messages", "contact.messages_again"]


async def test_the_link_in_an_e_mail_ends_messages(browser: Browsers, database: Database, clock: SetClock) -> None:
    """No log-in; looking changes nothing; the address tells nothing and nobody guesses it; pressed twice it is said again."""
    client_id, deal_id = await make_deal(database, clock)
    admin, olena, stranger = await browser("admin"), await browser("olena"), await browser()
    async with database.write() as session:
        viewer = await viewer_of_login(session, "olena")
        emails = ["client@example.com"]
        await edit_contact(session, viewer, client_id, version=None, now=clock(), region="UA", emails=emails)
    await admin.post(f"{PATH}/new", data=TYPED)
    send = {"message_template_id": "1", "key": "k"}
    assert (await olena.post(f"/deals/{deal_id}/message", data=send)).status_code == 303
    async with database.read() as session:
        (delivery,) = (await session.exec(select(Delivery))).all()
    link = f"/unsubscribe/{delivery.data['secret']}"
    for wrong in (delivery.message_id, delivery.message_id.removeprefix("m."), "%00", "x" * 5000):
        refused = await stranger.post(f"/unsubscribe/{wrong}", data={})
        assert refused.status_code in {404, 414}
        assert "client@example.com" not in refused.text
    asked = await stranger.get(link)
    assert (asked.status_code, asked.headers["referrer-policy"], asked.headers["cache-control"]) == (
        200, "no-referrer", "no-store"
    )  # fmt: skip
    assert "Не присилайте" in asked.text, "it speaks the language of the message"
    assert all(word not in asked.text for word in ("client@example.com", "Roof", "Greeting"))

    async def stops() -> list[tuple[str, int | None]]:
        async with database.read() as session:
            return [(each.address, each.by_id) for each in (await session.exec(select(MessageStop))).all()]

    assert await stops() == []
    one_click = {"List-Unsubscribe": "One-Click"}
    for _twice in range(2):
        done = await stranger.post(link, data=one_click, headers={"origin": "https://mail.example"})
        assert done.status_code == 200, "RFC 8058: no redirect, no cookie, from a mail program"
        assert "Більше не пишемо" in done.text
    assert await stops() == [("client@example.com", None)]
    page = unescape((await olena.get(f"/contacts/{client_id}")).text)
    assert "wants no messages" in page
    assert "pressed the link in it that ends messages" in page
    refused = await olena.post(f"/deals/{deal_id}/message", data=send | {"key": "another"})
    assert (refused.status_code, "client@example.com is on the stop list." in refused.text) == (409, True)
    assert "pressed the link in it that ends messages" in unescape((await admin.get(PATH)).text)
