"""The lists of clients and companies sorted by a column: on the page, in a file and over the API, page by page, whoever looks."""

import csv
import re
from datetime import timedelta
from io import StringIO

import pytest
from sqlmodel import select

from pbxcrm.access import seen_through
from pbxcrm.contacts import list_queries
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import do_set_values
from tests.calls import NOON
from tests.integration.web.desks import BrowserDesk, Browsers, browsers, desk
from web.pages import client_lists

__all__ = ["browsers", "desk"]
LISTS = (("/contacts", FieldEntity.CONTACT), ("/companies", FieldEntity.COMPANY))
PRICES = ("30", None, "-5", "30", "7.5")  # of "Row 0" to "Row 4"


async def fill(desk: BrowserDesk, entity: FieldEntity) -> None:
    """Five rows of Ivan, made one after another."""
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        for key, kind, filterable in (("price", "money", True), ("size", "number", False)):
            draft = FieldDraft(name=key.title(), filterable=filterable)
            await create_field(session, admin, entity=entity, kind=kind, key=key, draft=draft, currency="UAH", now=NOON)
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        for n, price in enumerate(PRICES):
            name, made = f"Row {n}", NOON + timedelta(minutes=n)
            row: Contact | Company
            if entity is FieldEntity.CONTACT:
                row = Contact(name=name, birth_day=1231 - n if n else None, created_at=made)
            else:
                row = Company(name=name, created_at=made)
            row.responsible_id = desk.office.id("ivan")
            session.add(row)
            await session.flush()
            await do_set_values(session, admin, entity, row, {"price": price}, region="UA")


def numbers(names: list[str]) -> str:
    """The rows of this test among all, in order: ``43210``."""
    return "".join(name[-1] for name in names if re.fullmatch(r"Row \d", name))


def shown(page: str) -> str:
    return numbers(re.findall(r"data-card>([^<]+)</a>", page))


ORDERS = {"created_at": "01234", "-created_at": "43210", "": "43210", "name": "01234", "-name": "43210"} | {
    "field.price": "24031",  # equal ones by id, those without a price last
    "-field.price": "30421",
}


@pytest.mark.parametrize("little", [True, False], ids=["sees little", "sees much"])
@pytest.mark.parametrize(("path", "entity"), LISTS)
async def test_each_order_on_the_page_and_over_the_api(
    browsers: Browsers,
    desk: BrowserDesk,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    entity: FieldEntity,
    little: bool,
) -> None:
    if not little:  # everybody but those who see everything is tested row by row
        monkeypatch.setattr(seen_through, "LITTLE", -1)
    monkeypatch.setattr(client_lists, "LISTED", 3)  # several pages
    await fill(desk, entity)
    orders = ORDERS | ({"birthday": "43210", "-birthday": "12340"} if path == "/contacts" else {})
    for login in ("ivan", "admin"):
        browser = await browsers(login)
        for by, wanted in orders.items():
            found, address = "", f"{path}?sort={by}"
            while address:
                page = (await browser.get(address)).text
                found += shown(page)
                more = re.findall(r'href="([^"]+cursor=[^"]+)"', page)
                address = more[-1].replace("&amp;", "&") if more else ""
            assert found == wanted, (login, by)
        for wrong in ("field.size", "field.nothing", "numbers", "-"):
            assert (await browser.get(f"{path}?sort={wrong}")).status_code == 422, wrong
            saved = await browser.post(f"{path}/views", data={"name": "Wrong", "query": f"sort={wrong}"})
            assert saved.status_code == 422, wrong
    petro = await browsers("petro")  # of another team
    assert shown((await petro.get(f"{path}?sort=created_at")).text) == ""


@pytest.mark.parametrize(("path", "entity"), LISTS)
async def test_heads_filters_and_files(
    browsers: Browsers, desk: BrowserDesk, monkeypatch: pytest.MonkeyPatch, path: str, entity: FieldEntity
) -> None:
    monkeypatch.setattr(client_lists, "BATCH", 2)
    await fill(desk, entity)
    maria = await browsers("maria")
    page = (await maria.get(f"{path}?q=row")).text
    head = re.findall(r'<th scope="col"><a href="([^"]+sort=created_at[^"]*)"', page)[0].replace("&amp;", "&")
    page = (await maria.get(head)).text
    assert shown(page) == "01234"
    assert 'aria-sort="ascending"' in page
    assert "sort=-created_at" in page
    assert shown((await maria.get(f"{path}?sort=-created_at&field.price.min=1")).text) == "430"
    file = (await maria.get(f"{path}?sort=created_at&q=row&format=csv")).text
    assert numbers([row[0] for row in csv.reader(StringIO(file.removeprefix("\ufeff")))]) == "01234"
    assert "only the" not in page

    monkeypatch.setattr(seen_through, "LITTLE", -1)
    monkeypatch.setattr(list_queries, "MOST_SORTED", 3)
    page = (await maria.get(f"{path}?q=row&sort=created_at")).text
    assert shown(page) == "234"  # the newest three
    assert "only the 3 newest" in page
    file = (await maria.get(f"{path}?sort=created_at&q=row&format=csv")).text
    assert numbers([row[0] for row in csv.reader(StringIO(file.removeprefix("\ufeff")))]) == "43210"  # all of them


NATIVE = [
    "Clara",
    "Hanna",
    "Ünal",
    "Veit",
    "Ананко",
    "Галаган",
    "Ґалаґан",
    "Дзюба",
    "Ёлкин",
    "Ельцов",
    "Єва",
    "Жук",
    "Ищенко",
    "Івасюк",
    "Їжак",
    "Йосип",
    "Черненко",
    "Юрій",
]


@pytest.mark.parametrize(("path", "entity"), LISTS)
async def test_names_stand_in_the_order_of_the_alphabet(
    browsers: Browsers, desk: BrowserDesk, monkeypatch: pytest.MonkeyPatch, path: str, entity: FieldEntity
) -> None:
    """On the page, page by page, and in a file; a new name moves its row, and a client without a name stands last."""
    monkeypatch.setattr(client_lists, "LISTED", 7)
    model: type[Contact | Company] = Contact if entity is FieldEntity.CONTACT else Company
    async with desk.database.write() as session:
        for n, name in enumerate(sorted(NATIVE, key=lambda each: each[::-1])):
            session.add(model(name=name.upper() if n % 3 else name, note="ours", created_at=NOON))
        if model is Contact:
            session.add(Contact(name="", note="ours", created_at=NOON))
    admin = await browsers("admin")

    def ours(names: list[str]) -> list[str]:
        native = {each.casefold(): each for each in [*NATIVE, "Абрам"]}
        return [native[each.casefold()] for each in names if each.casefold() in native]

    async def pages(by: str) -> list[str]:
        found: list[str] = []
        address = f"{path}?sort={by}"
        while address:
            page = (await admin.get(address)).text
            found += re.findall(r"data-card>([^<]+)</a>", page)
            more = re.findall(r'href="([^"]+cursor=[^"]+)"', page)
            address = more[-1].replace("&amp;", "&") if more else ""
        if model is Contact:
            assert found[-1] == "without a name"
        return ours(found)

    assert await pages("name") == NATIVE
    assert await pages("-name") == NATIVE[::-1]
    file = (await admin.get(f"{path}?sort=name&format=csv")).text
    assert ours([row[0] for row in csv.reader(StringIO(file.removeprefix("\ufeff"))) if row]) == NATIVE
    view = await admin.post(f"{path}/views", data={"name": "By name", "query": "sort=-name"})
    assert view.status_code == 303
    async with desk.database.write() as session:
        row = (await session.exec(select(model).where(model.name == "Їжак").limit(1))).first() or (
            await session.exec(select(model).where(model.name == "ЇЖАК"))
        ).one()
        row.name = "Абрам"
    moved = [each for each in NATIVE if each != "Їжак"]
    moved.insert(moved.index("Ананко"), "Абрам")
    assert await pages("name") == moved
