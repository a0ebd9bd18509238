"""The pages of clients, companies, numbers and lines; search; the front page."""

import html
import re
from pathlib import Path

import pytest
from sqlmodel import select

from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call, Line
from pbxcrm.contacts.models import Contact, Phone, SpecialNumber
from pbxcrm.contacts.queries import with_numbers
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, count_queries, desk
from web.app import create_app

__all__ = ["browsers", "desk"]
IRYNA = "Ірина Мельник"
ANNA = "Анна-Марія Костянтинопольська-Загоруйко"


async def test_clients_one_may_see_and_search_in_any_case(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    page = (await ivan.get("/contacts")).text
    assert IRYNA in page
    assert "Petro Other" not in page
    found = (await ivan.get("/contacts?q=МЕЛЬ")).text.partition('id="contacts"')[2]
    assert IRYNA in found
    assert "Stepan" not in found
    assert "Stepan" in (await ivan.get("/contacts?q=093 123")).text
    assert "No client fits" in (await ivan.get("/contacts?q=zzzz")).text


async def test_client_card_has_numbers_deals_and_what_happened(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    page = (await ivan.get(f"/contacts/{desk.busy.contacts[IRYNA]}")).text
    for text in ("+380 67 222 33 44", "Dental Plus", "Reception desk", "Ivan Kravets talked, 6:12"):
        assert text in page
    foreign = desk.busy.contacts["Petro Other's Client"]
    assert (await ivan.get(f"/contacts/{foreign}")).status_code == 404
    assert (await ivan.post(f"/contacts/{foreign}/numbers", data={"number": "0671112299"})).status_code == 404


async def test_a_linked_number_brings_its_history(browsers: Browsers, desk: BrowserDesk) -> None:
    maria, contact_id = await browsers("maria"), desk.busy.contacts["Marta Bilyk"]
    wrong = await maria.post(f"/contacts/{contact_id}/numbers", data={"number": "not a number"}, headers=HTMX)
    assert wrong.status_code == 422
    assert 'aria-invalid="true"' in wrong.text
    await maria.post(f"/contacts/{contact_id}/numbers", data={"number": "063 000 00 02"}, headers=HTMX)
    async with desk.database.read() as session:
        calls = (await session.exec(select(Call).where(Call.client_number == "+380630000002"))).all()
    assert [call.contact_id for call in calls] == [contact_id, contact_id]


async def test_edit_sets_all_numbers_and_makes_the_company(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, contact_id = await browsers("ivan"), desk.busy.contacts[IRYNA]
    form = (await ivan.get(f"/contacts/{contact_id}/edit")).text
    seen = re.search(r'name="version" value="(\d+)"', form)
    assert seen
    data = {
        "version": seen[1],
        "name": "Ірина М.",
        "phones": "067 222 33 44\n+44 20 7946 0000, 044 333 22 11",
        "emails": "iryna@dental.example",
        "company_name": "New Dental",
        "responsible_id": str(desk.office.id("ivan")),
        "note": "",
    }
    bad = await ivan.post(f"/contacts/{contact_id}/edit", data={**data, "emails": "nonsense"}, headers=HTMX)
    assert bad.status_code == 422
    assert "44 20 7946" in bad.text  # what was typed is kept
    assert (await ivan.post(f"/contacts/{contact_id}/edit", data=data)).status_code == 303
    async with desk.database.read() as session:
        phones = (await session.exec(select(Phone.number).where(Phone.contact_id == contact_id))).all()
    assert set(phones) == {"+380672223344", "+442079460000", "+380443332211"}
    assert "New Dental" in (await ivan.get("/companies")).text
    assert (await ivan.post(f"/contacts/{contact_id}/edit", data=data)).status_code == 409


async def test_a_new_client_is_filled_in_from_a_number(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    assert "+380630000001" in (await ivan.get("/contacts/new?number=%2B380630000001")).text
    answer = await ivan.post("/contacts/new", data={"name": "Fresh", "phones": "0501231212"})
    async with desk.database.read() as session:
        made = (await session.exec(select(Contact).where(Contact.name == "Fresh"))).one()
    assert answer.headers["location"] == f"/contacts/{made.id}"


async def test_company_card(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    found = re.search(r'/companies/(\d+)" data-card>Dental Plus', (await ivan.get("/companies?q=DENT")).text)
    assert found
    page = (await ivan.get(f"/companies/{found[1]}")).text
    assert IRYNA in page
    assert "Reception desk" in page
    wrong = await ivan.post(f"/companies/{found[1]}", data={"version": "1", "name": ""}, headers=HTMX)
    assert wrong.status_code == 422


async def test_numbers_that_are_nobodys_client(browsers: Browsers, desk: BrowserDesk) -> None:
    maria = await browsers("maria")
    wrong = await maria.post("/numbers", data={"number": "x", "kind": "spam"}, headers=HTMX)
    assert wrong.status_code == 422
    await maria.post("/numbers", data={"number": "0443330000", "kind": "own", "note": "branch"})
    assert "+380 44 333 00 00" in (await maria.get("/numbers")).text
    await maria.post("/numbers/remove", data={"number": "+380443330000"})
    async with desk.database.read() as session:
        assert (await session.exec(select(SpecialNumber))).all() == []
    assert (await (await browsers("ivan")).get("/numbers")).status_code == 403


async def test_lines_are_ordered_previewed_and_checked(browsers: Browsers, desk: BrowserDesk) -> None:
    admin = await browsers("admin")
    data = {"name": "Support", "trunk": "itsp-*", "makes_callbacks": "1", "short_seconds": "5"}
    preview = (await admin.post("/settings/lines/preview", data=data, headers=HTMX)).text
    assert "trunk itsp-*" in preview
    assert "no deals are made" in preview
    wrong = await admin.post("/settings/lines/new", data={**data, "short_seconds": "soon"}, headers=HTMX)
    assert wrong.status_code == 422
    assert 'aria-invalid="true"' in wrong.text
    assert (await admin.post("/settings/lines/new", data=data)).status_code == 303
    again = await admin.post("/settings/lines/new", data=data, headers=HTMX)
    assert "There is a line of this name already." in again.text
    await admin.post("/settings/lines/new", data={"name": "Sales", "makes_deals": "1"})
    async with desk.database.read() as session:
        sales = (await session.exec(select(Line).where(Line.name == "Sales"))).one()
    await admin.post(f"/settings/lines/{sales.id}/move", data={"to": "up"})
    page = (await admin.get("/settings/lines")).text
    assert page.index(">Sales<") < page.index(">Support<")
    async with desk.database.write() as session:
        call = await session.get(Call, desk.busy.calls["1700000000.2"])
        assert call is not None
        call.line_id = sales.id
    assert (await admin.post(f"/settings/lines/{sales.id}/delete")).status_code == 303
    async with desk.database.read() as session:
        assert [line.name for line in (await session.exec(select(Line))).all()] == ["Support"]
    assert (await (await browsers("maria")).get("/settings/lines")).status_code == 403


async def test_search_finds_from_the_third_letter_what_one_may_see(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    assert "at least three" in (await ivan.get("/search?q=ме", headers=HTMX)).text
    found = (await ivan.get("/search?q=мельник", headers=HTMX)).text
    assert f'href="/contacts/{desk.busy.contacts[IRYNA]}"' in found
    assert f'href="/deals/{desk.busy.deals["Reception desk"]}"' in found
    assert "<html" not in found
    assert "Nothing found" in (await ivan.get("/search?q=Foreign", headers=HTMX)).text
    assert "<html" in (await ivan.get("/search?q=mel")).text
    assert await count_queries(desk.database, ivan, "/search?q=мельник") <= 23


@pytest.mark.parametrize(("login", "path"), [("olena", "/"), ("kira", "/calls"), ("admin", "/settings/start")])
async def test_the_front_page_is_another_for_everybody(
    browsers: Browsers, desk: BrowserDesk, login: str, path: str
) -> None:
    answer = await (await browsers(login)).get("/")
    assert answer.status_code == 303
    assert answer.headers["location"] == path if path != "/" else answer.headers["location"] in {"/callbacks", "/board"}


async def test_every_page_speaks_ukrainian(browsers: Browsers, desk: BrowserDesk) -> None:
    admin = await browsers("admin")
    await admin.post("/profile/look", data={"language": "uk"})
    for path, word in (
        ("/board", "Дошка"),
        ("/calls", "Дзвінки"),
        ("/tasks", "Завдання"),
        ("/contacts", "Клієнти"),
        ("/settings/lines", "Лінії"),
    ):
        assert f"<title>{word}" in (await admin.get(path)).text


async def test_a_number_that_is_typed_says_whose_it_is(browsers: Browsers, desk: BrowserDesk) -> None:
    """In any spelling; of a colleague's private client the colleague is named; of another team nothing is told."""
    ivan, olena, petro = await browsers("ivan"), await browsers("olena"), await browsers("petro")
    typed, anna = "067 444-55-66", "Анна-Марія"
    for path in ("/contacts/whose?phones=", "/contacts/whose?number="):
        own = (await ivan.get(path + typed)).text
        assert anna in own
        assert "client of Ivan" in own
    private = (await olena.get("/contacts/whose?phones=" + typed)).text
    assert "client of Ivan Kravets" in private
    assert anna not in private
    assert "private" in private
    assert (await petro.get("/contacts/whose?phones=" + typed)).text.strip() == ""
    found = (await olena.get("/search?q=" + typed, headers=HTMX)).text
    assert "client of Ivan Kravets" in found
    assert anna not in found
    assert "client of" not in (await petro.get("/search?q=" + typed, headers=HTMX)).text


async def test_a_second_client_of_one_number_is_made_knowingly_only(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, petro = await browsers("ivan"), await browsers("petro")
    wanted = {"name": "Her husband", "phones": "+380672223344", "emails": "", "company_name": "", "note": ""}
    refused = await ivan.post("/contacts/new", data=wanted)
    assert (refused.status_code, "known already" in refused.text) == (422, True)
    assert 'value="Her husband"' in refused.text
    deal = {"title": "A sofa", "contact": "Her husband", "number": "067 222 33 44", "contact_id": ""}
    assert (await ivan.post("/deals/new", data=deal)).status_code == 422
    assert (await ivan.post("/contacts/new", data=wanted | {"anyway": "1"})).status_code == 303
    # What another team has is not told, not even by being refused.
    assert (await petro.post("/contacts/new", data=wanted)).status_code == 303


@pytest.mark.parametrize("between", [" ", "/", "; ", " або ", " или ", ", ", "\n"])
async def test_two_numbers_in_one_field_are_both_known(browsers: Browsers, desk: BrowserDesk, between: str) -> None:
    ivan, typed = await browsers("ivan"), f"067 222-33-44{between}0501234567"
    assert "client of" in (await ivan.get("/contacts/whose", params={"phones": typed})).text
    wanted = {"name": "Her husband", "phones": typed, "emails": "", "company_name": "", "note": ""}
    refused = await ivan.post("/contacts/new", data=wanted)
    assert (refused.status_code, "known already" in refused.text) == (422, True)


#: Every form in which a number is typed, with the field it is typed into: a new one says whose the number is, or here why not.
TYPED_INTO = {
    "/contacts/new": "phones", "/contacts/{contact}/edit": "phones", "/contacts/{contact}": "number", "/deals/new": "number",
    "/numbers": "number", "/people/new": "mobiles", "/people/1": "mobiles",
}  # fmt: skip
#: Numbers of ours that callers dial, with wildcards; and the extension or number a call is passed to, asked on the card itself.
NOT_A_CLIENTS = {"lines/_form.html", "dock/_card.html"}
TEMPLATES = Path(create_app.__code__.co_filename).parent / "templates"


def test_each_form_with_a_number_asks_whose_it_is() -> None:
    names = r"name=\"(number|phones|mobiles|did)\"|(field|text_area)\(form, '(number|phones|mobiles|did)'"
    typed = {
        path.relative_to(TEMPLATES).as_posix(): text
        for path in TEMPLATES.rglob("*.html")
        for text in [path.read_text(encoding="utf-8")]
        if re.search(names, re.sub(r'<input type="hidden"[^>]*>', "", text))
    }
    assert typed.keys() > NOT_A_CLIENTS
    silent = {name for name, text in typed.items() if "known_numbers(" not in text} - NOT_A_CLIENTS
    assert silent == set()
    assert "/contacts/whose?meant=call" in typed["dock/_card.html"]


@pytest.mark.parametrize("path", TYPED_INTO)
async def test_each_form_says_whose_the_number_is(browsers: Browsers, desk: BrowserDesk, path: str) -> None:
    admin = await browsers("admin")
    contact = desk.busy.contacts["Ірина Мельник"]
    page = (await admin.get(path.format(contact=contact))).text
    asked = html.unescape(re.findall(r'hx-get="(/contacts/whose[^"]*)"', page)[0])
    said = (await admin.get(f"{asked}&{TYPED_INTO[path]}=067+444-55-66")).text
    assert "Анна-Марія" in said
    assert "client of Ivan Kravets" in said
    assert ('name="anyway"' in said) is (TYPED_INTO[path] != "mobiles" and path != "/numbers")


async def test_a_number_of_another_client_is_linked_knowingly_only(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, contact = await browsers("ivan"), desk.busy.contacts["Ірина Мельник"]
    taken = {"number": "067 444-55-66"}
    refused = await ivan.post(f"/contacts/{contact}/numbers", data=taken)
    assert (refused.status_code, "known already" in refused.text) == (422, True)
    assert (await ivan.post(f"/contacts/{contact}/numbers", data=taken | {"anyway": "1"})).status_code == 303
    page = (await ivan.get(f"/contacts/{contact}/edit")).text
    form = dict(re.findall(r'name="(version|name)"[^>]*value="([^"]*)"', page))
    form |= {
        "name": "Ірина Мельник",
        "phones": "+380672223344\n+380674445566",
        "emails": "",
        "company_name": "",
        "note": "",
    }
    form["responsible_id"] = str(desk.office.id("ivan"))
    saved = await ivan.post(f"/contacts/{contact}/edit", data=form)  # both are theirs already: nothing is asked
    assert saved.status_code == 303


async def test_what_is_typed_of_a_new_client_is_added_to_a_known_one(browsers: Browsers, desk: BrowserDesk) -> None:
    """The second number, the address and the note; nothing of theirs is replaced. Only where one may change that client."""
    ivan, olena, contact = await browsers("ivan"), await browsers("olena"), desk.busy.contacts[IRYNA]
    typed = {
        "name": "Her husband",
        "phones": "+380672223344\n0509998877",
        "emails": "ira@dental.example",
        "note": "By train",
    }
    offered = (await ivan.get("/contacts/whose?meant=client&phones=067+222+33+44")).text
    for act in (
        f'hx-post="/contacts/{contact}/add"',
        f'href="/contacts/{contact}/merge"',
        f'href="/contacts/{contact}"',
    ):
        assert act in offered
    assert "/add" not in (await olena.get("/contacts/whose?meant=client&phones=067+222+33+44")).text
    assert "/add" not in (await ivan.get("/contacts/whose?meant=deal&phones=067+222+33+44")).text
    both = (await ivan.get("/contacts/whose?meant=client&phones=067+222+33+44,067+444+55+66")).text
    assert f"/contacts/{contact}/merge?contact_id={desk.busy.contacts[ANNA]}" in both
    assert (await olena.post(f"/contacts/{contact}/add", data=typed)).status_code in {403, 404}
    taken = await ivan.post(f"/contacts/{contact}/add", data=typed | {"phones": "067 444-55-66"}, headers=HTMX)
    assert (taken.status_code, "known already" in taken.text, "Her husband" in taken.text) == (422, True, True)
    for _twice in range(2):
        added = await ivan.post(f"/contacts/{contact}/add", data=typed)
        assert (added.status_code, added.headers["location"]) == (303, f"/contacts/{contact}")
    async with desk.database.read() as session:
        row = (await with_numbers(session, [await session.get_one(Contact, contact)]))[0]
    assert [(phone.number, phone.label) for phone in row.phones][-1] == ("+380509998877", "Her husband")
    assert [email.address for email in row.emails].count("ira@dental.example") == 1
    assert (row.contact.name, "By train" in row.contact.note) == (IRYNA, True)
    assert row.contact.note.count("By train") == 1


async def test_a_number_off_the_list_says_how_many_callbacks_are_open_again(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    maria = await browsers("maria")
    async with desk.database.read() as session:
        number = (await session.exec(select(Episode.client_number).where(Episode.status == "open"))).first()
    assert number
    await maria.post("/numbers", data={"number": number, "kind": "spam", "note": "a robot"})
    await maria.post("/numbers/remove", data={"number": number})
    assert "closed for it are open again: 1." in (await maria.get("/numbers")).text


async def test_choosing_a_client_by_a_private_number_says_whose_it_is(browsers: Browsers, desk: BrowserDesk) -> None:
    olena, petro = await browsers("olena"), await browsers("petro")
    found = (await olena.get("/contacts/find?contact=067+444-55-66")).text
    assert "client of Ivan Kravets" in found
    assert "Анна-Марія" not in found
    assert "client of" not in (await petro.get("/contacts/find?contact=067+444-55-66")).text


async def test_new_deal_from_a_card_has_the_caller_for_a_client(browsers: Browsers, desk: BrowserDesk) -> None:
    olena = await browsers("olena")
    page = (await olena.get(f"/deals/new?call={desk.busy.calls['1700000000.4']}")).text
    client = page.partition('name="contact"')[2].partition(">")[0]
    assert "&lt;script&gt;" in client
    assert 'name="title" type="text" value=""' in page


async def test_a_second_company_of_one_name_is_made_knowingly(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    assert (await ivan.post("/companies/new", data={"name": "Twin Ltd", "note": ""})).status_code == 303
    asked = await ivan.post("/companies/new", data={"name": "TWIN ltd", "note": "The other"}, headers=HTMX)
    assert asked.status_code == 422
    assert "There is a company “Twin Ltd” already." in html.unescape(asked.text)
    assert "The other" in asked.text
    assert 'name="same_name"' in asked.text
    twice = await ivan.post("/companies/new", data={"name": "TWIN ltd", "note": "", "same_name": "1"})
    assert twice.status_code == 303
    # Of a company that somebody does not see nobody hears this way.
    petro = await browsers("petro")
    assert (await petro.post("/companies/new", data={"name": "Twin Ltd", "note": ""})).status_code == 303


async def test_a_person_with_several_faults_hears_of_all_at_once(browsers: Browsers, desk: BrowserDesk) -> None:
    admin = await browsers("admin")
    form = {"login": "bad login", "name": "", "role": "seller", "extensions": "101", "password": "x"}
    said = html.unescape((await admin.post("/people/new", data=form, headers=HTMX)).text)
    assert "Extension 101 belongs to Ivan Kravets." in said
    assert said.count('class="error"') >= 4 or said.count('aria-invalid="true"') >= 4
