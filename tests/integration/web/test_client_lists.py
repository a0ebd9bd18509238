"""The lists of clients and companies: filters in the address, columns of each person, saved views, files of what is filtered."""

import csv
import re
from datetime import timedelta
from io import BytesIO, StringIO

import openpyxl
import pytest
from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.definition_rules import OptionDraft
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import do_set_values
from tests.calls import NOON
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, count_queries, desk
from web.pages import client_lists

__all__ = ["browsers", "desk"]
IRYNA = "Ірина Мельник"
LISTS = (("/contacts", FieldEntity.CONTACT, Contact), ("/companies", FieldEntity.COMPANY, Company))


def names(page: str) -> list[str]:
    return re.findall(r"data-card>([^<]+)</a>", page)


def rows_of(answer: str) -> list[list[str]]:
    return list(csv.reader(StringIO(answer.removeprefix("\ufeff"))))


async def fill(desk: BrowserDesk, entity: FieldEntity, number: int) -> None:
    """So many more clients or companies of Ivan, every third of a kind, with a price; the first looks like a formula."""
    table = Contact if entity is FieldEntity.CONTACT else Company
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        for key, kind in (("kind", "choice"), ("price", "money")):
            options = [OptionDraft(name="Gold"), OptionDraft(name="Silver")] if kind == "choice" else None
            draft = FieldDraft(name=key.title(), filterable=True, options=options)
            await create_field(session, admin, entity=entity, kind=kind, key=key, draft=draft, currency="UAH", now=NOON)
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        for n in range(number):
            row = table(
                name="=cmd|' /C calc'!A0" if n == 0 else f"Many {n:03d}",
                responsible_id=desk.office.id("ivan"),
                created_at=NOON + timedelta(minutes=n),
            )
            session.add(row)
            await session.flush()
            values = {"price": str(n)} | ({"kind": "Gold"} if n % 3 == 0 else {})
            await do_set_values(session, admin, entity, row, values, region="UA")


@pytest.mark.parametrize(("path", "entity", "table"), LISTS)
async def test_filters_columns_and_views_of_a_list(
    browsers: Browsers, desk: BrowserDesk, path: str, entity: FieldEntity, table: type[Contact | Company]
) -> None:
    await fill(desk, entity, 9)
    maria, ivan, petro = [await browsers(login) for login in ("maria", "ivan", "petro")]
    form = (await maria.get(f"{path}/filters")).text
    assert 'name="field.kind"' in form
    assert 'name="field.price.min"' in form
    [gold] = re.findall(r'<option value="(\d+)">Gold', form)
    query = f"field.kind={gold}&field.price.min=3"
    page = (await maria.get(f"{path}?{query}")).text
    assert names(page) == ["Many 006", "Many 003"]
    assert "Kind: Gold" in page
    assert "Price ≥ 3" in page
    assert names((await petro.get(f"{path}?{query}")).text) == []  # of another team
    mine = names((await ivan.get(f"{path}?mine=1")).text)
    assert {"Many 001", "Many 008"} <= set(mine)
    assert not [name for name in names((await maria.get(f"{path}?who=nobody")).text) if name.startswith("Many")]
    assert names((await maria.get(f"{path}?created_at.min=2099-01-01")).text) == []
    for wrong in ("field.nothing=1", "nonsense=1", "who=x", f"field.kind={2**63}", "created_at.min=never"):
        assert (await maria.get(f"{path}?{wrong}")).status_code == 422, wrong  # never all rows
        saved = await maria.post(f"{path}/views", data={"name": "Wrong", "query": wrong})
        assert saved.status_code == 422, wrong

    chooser = (await maria.get(f"{path}/columns?{query}")).text
    assert 'value="field.price"' in chooser
    chosen = {"column": ["note", "field.price"], "query": query}
    assert (await maria.post(f"{path}/columns", data=chosen)).headers["location"] == f"{path}?{query}"
    page = (await maria.get(f"{path}?{query}")).text
    heads = re.findall(r'<th scope="col"[^>]*>(?:<a[^>]*>)?([^<]+)<', page)
    assert heads[1:] == ["Note", "Price"]
    assert "6.00" in page or "6,00" in page or "6\u00a0" in page
    assert "Responsible" in (await ivan.get(path)).text  # each person has their own
    unknown = await maria.post(f"{path}/columns", data={"column": "tags"})
    assert unknown.status_code == 422

    saved = await maria.post(f"{path}/views", data={"name": "Golden", "query": f"{query}&cursor=x", "for_team": "1"})
    where = saved.headers["location"]
    assert where.startswith(f"{path}?view=")
    assert names((await ivan.get(where)).text) == ["Many 006", "Many 003"]
    assert "Golden" in (await ivan.get(path)).text  # it is the team's
    assert "Golden" not in (await petro.get(path)).text
    other = "/companies" if path == "/contacts" else "/contacts"
    for elsewhere in (other, "/deals", "/board"):
        assert "Golden" not in (await maria.get(elsewhere)).text
    [view_id] = re.findall(r"view=(\d+)", where)
    await maria.post(f"/board/views/{view_id}/delete")
    assert "Golden" not in (await maria.get(path)).text


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize(("path", "entity", "table"), LISTS)
async def test_a_file_holds_exactly_what_is_filtered_and_runs_no_formula(
    browsers: Browsers,
    desk: BrowserDesk,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    entity: FieldEntity,
    table: type[Contact | Company],
    kind: str,
) -> None:
    monkeypatch.setattr(client_lists, "BATCH", 2)  # several batches
    await fill(desk, entity, 6)
    maria, petro = await browsers("maria"), await browsers("petro")
    await maria.post(f"{path}/columns", data={"column": ["field.price", "responsible"]})
    answer = await maria.get(f"{path}?mine=&field.price.max=4&format={kind}")
    if kind == "csv":
        found = rows_of(answer.text)
        assert found[-1][0] == "'=cmd|' /C calc'!A0"
        assert found[1][1] == "4"
        named = [row[0] for row in found[1:]]
    else:
        sheet = openpyxl.load_workbook(BytesIO(answer.content)).active
        assert sheet is not None
        cells = list(sheet.iter_rows())
        assert cells[-1][0].data_type == "s"
        assert cells[1][1].value == 4
        named = [str(row[0].value) for row in cells[1:]]
    assert named[:-1] == ["Many 004", "Many 003", "Many 002", "Many 001"]
    nothing = await petro.get(f"{path}?field.price.max=4&format=csv")
    assert len(rows_of(nothing.text)) == 1
    async with desk.database.read() as session:
        kept = select(AuditEntry.action).where(col(AuditEntry.action).like("%.exported"))
        assert len((await session.exec(kept)).all()) == 2


@pytest.mark.parametrize(("path", "entity", "table"), LISTS)
async def test_a_list_is_read_to_its_end_without_gap_or_double(
    browsers: Browsers, desk: BrowserDesk, path: str, entity: FieldEntity, table: type[Contact | Company]
) -> None:
    maria = await browsers("maria")
    few = await count_queries(desk.database, maria, path)
    await fill(desk, entity, 120)
    for login in ("maria", "ivan", "admin"):
        client = await browsers(login)
        page = (await client.get(f"{path}?field.price.min=1")).text
        seen = names(page)
        while (more := re.search(r'class="btn" href="([^"]+cursor=[^"]+)"', page)) is not None:
            page = (await client.get(more[1].replace("&amp;", "&"), headers=HTMX)).text
            seen += names(page)
        assert seen == [f"Many {n:03d}" for n in range(119, 0, -1)]
        exported = rows_of((await client.get(f"{path}?field.price.min=1&format=csv")).text)
        assert [row[0] for row in exported[1:]] == seen
    assert await count_queries(desk.database, maria, path) <= few + 2


@pytest.mark.parametrize(("path", "entity", "table"), LISTS)
async def test_the_filter_of_a_link_is_chosen_by_a_name(
    browsers: Browsers, desk: BrowserDesk, path: str, entity: FieldEntity, table: type[Contact | Company]
) -> None:
    """Also people and yes or no; the chip says the name, to whom it may be said."""
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        firm = Company(name="Лісове <b>", responsible_id=desk.office.id("ivan"), created_at=NOON)
        session.add(firm)
        made = {}
        for key, kind, target in (("partner", "link", "company"), ("adviser", "person", ""), ("vip", "yes_no", "")):
            draft = FieldDraft(name=key.title(), filterable=True)
            made[key] = await create_field(
                session, admin, entity=entity, kind=kind, key=key, target=target, draft=draft, currency="UAH", now=NOON
            )
        row = table(name="Linked", responsible_id=desk.office.id("ivan"), created_at=NOON)
        session.add(row)
        await session.flush()
        values = {"partner": str(firm.id), "adviser": "olena", "vip": True}
        await do_set_values(session, admin, entity, row, values, region="UA")
    ivan, petro = await browsers("ivan"), await browsers("petro")
    form = (await ivan.get(f"{path}/filters")).text
    find = f"/fields/{made['partner'].id}/find"
    assert f'hx-get="{find}"' in form
    assert f'data-id="{firm.id}"' in (await ivan.get(f"{find}?q=lisove")).text
    assert f'data-id="{firm.id}"' not in (await petro.get(f"{find}?q=lisove")).text
    assert '<option value="olena"' in form
    assert '<option value="0">no' in form
    for query in (f"field.partner={firm.id}", "field.adviser=olena", "field.vip=1"):
        page = (await ivan.get(f"{path}?{query}")).text
        assert names(page) == ["Linked"], query
        other = query.replace("vip=1", "vip=0") if "vip" in query else f"{query}&field.vip=0"
        assert names((await ivan.get(f"{path}?{other}")).text) == [], other
        said = {
            "field.partner": "Partner: Лісове &lt;b&gt;",
            "field.adviser": "Adviser: Olena",
            "field.vip": "Vip: yes",
        }
        assert said[query.partition("=")[0]] in page
    asked = (await ivan.get(f"{path}/filters?field.partner={firm.id}")).text
    assert 'value="Лісове &lt;b&gt;"' in asked
    foreign = (await petro.get(f"{path}?field.partner={firm.id}")).text
    assert "Лісове" not in foreign
    assert "Partner: not visible to you" in foreign
