"""The list of deals: the same filters as the board, columns of each person, sorting by every column, files of what is filtered."""

import csv
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any

import openpyxl
import pytest

from pbxcrm.deals import list_queries
from pbxcrm.deals.models import Deal
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.rules import with_value
from pbxcrm.fields.value_actions import do_set_values
from pbxcrm.shared.alphabet import order_key
from tests.calls import NOON
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, count_queries, desk
from web.pages import deal_list

__all__ = ["browsers", "desk"]
DESK, KITCHEN = "Reception desk", "Kitchen for Marta"


def titles(page: str) -> list[str]:
    return re.findall(r"data-card>([^<]+)</a>", page)


async def fill(desk: BrowserDesk, number: int) -> None:
    """So many more deals of Ivan, with a custom number, an amount and a date in which many are equal or empty."""
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        draft = FieldDraft(name="Area", filterable=True)
        await create_field(
            session, admin, entity=FieldEntity.DEAL, kind="number", key="area", draft=draft, currency="UAH", now=NOON
        )
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        like = await session.get_one(Deal, desk.busy.deals[DESK])
        for n in range(number):
            deal = Deal(
                title=f"Many {n:03d}", pipeline_id=like.pipeline_id, stage_id=like.stage_id, responsible_id=like.responsible_id,
                currency="UAH", created_at=NOON + timedelta(minutes=n // 2), stage_since=NOON - timedelta(minutes=n // 3),
                amount=Decimal(n // 4) if n % 5 else None, event_at=NOON + timedelta(hours=n // 4) if n % 3 else None,
            )  # fmt: skip
            session.add(deal)
            await session.flush()
            if n % 4:
                await do_set_values(session, admin, FieldEntity.DEAL, deal, {"area": str(n // 6 - 3)}, region="UA")


async def test_the_board_s_filters_narrow_the_list_for_everybody(browsers: Browsers) -> None:
    for login in ("admin", "maria", "ivan", "olena", "petro"):
        client = await browsers(login)
        for query in ("", "amount.min=60000", "q=desk", "status=closed", "no_task=1", "tag=x", "who=nobody"):
            listed = titles((await client.get(f"/deals?{query}")).text)
            boards = [titles((await client.get(f"/board?pipeline={n}&{query}")).text) for n in (1, 2, 3)]
            pipelines = re.findall(r'href="/deals\?pipeline=(\d+)"', (await client.get("/deals")).text)
            assert set(boards[0]) <= set(listed), (login, query)
            if not pipelines:
                assert set(listed) == set(boards[0]), (login, query)
    assert "Foreign deal" not in (await (await browsers("maria")).get("/deals")).text


@pytest.mark.parametrize(
    "sort", ["", "amount", "-amount", "created_at", "-stage_since", "event_at", "-event_at", "title", "-next_task",
             "field.area", "-field.area"],
)  # fmt: skip
async def test_each_order_is_read_to_its_end_without_gap_or_double(
    browsers: Browsers, desk: BrowserDesk, sort: str
) -> None:
    await fill(desk, 130)
    maria = await browsers("maria")
    page = (await maria.get(f"/deals?sort={sort}")).text
    assert ("aria-sort" in page) == (sort.removeprefix("-") in {"amount", "stage_since", "title", "next_task"})
    seen = re.findall(r'<tr id="deal-(\d+)"', page)
    while (more := re.search(r'class="btn" href="([^"]+cursor=[^"]+)"', page)) is not None:
        page = (await maria.get(more[1].replace("&amp;", "&"), headers=HTMX)).text
        seen += re.findall(r'<tr id="deal-(\d+)"', page)
    everything = await maria.get(f"/deals?format=csv&sort={sort}")
    rows = list(csv.reader(StringIO(everything.text.removeprefix("\ufeff"))))
    assert len(seen) == len(set(seen)) == len(rows) - 1
    assert len(seen) > 130
    async with desk.database.read() as session:
        deals = [await session.get_one(Deal, int(each)) for each in seen]
    keys: dict[str, Callable[[Deal], Any]] = {
        "amount": lambda deal: deal.amount,
        "event_at": lambda deal: deal.event_at,
        "title": lambda deal: order_key(deal.title),
    }
    if key := keys.get(sort.removeprefix("-")):
        values = [key(deal) for deal in deals]
        filled = [value for value in values if value is not None]
        assert filled == sorted(filled, reverse=sort.startswith("-"))
        assert values[len(filled) :] == [None] * (len(values) - len(filled))  # those without a value stand last


NATIVE = [
    "Clara",
    "Hanna",
    "Ünal",
    "Галаган",
    "Ґалаґан",
    "Дзюба",
    "ёлкин",
    "Ельцов",
    "Єва",
    "Івасюк",
    "Їжак",
    "Черненко",
]


async def test_texts_stand_in_the_order_of_the_alphabet(
    browsers: Browsers, desk: BrowserDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Titles and sources, which are sorted here, and texts of custom fields, which an index sorts: page by page and in a file."""
    monkeypatch.setattr(deal_list, "LISTED", 5)
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        draft = FieldDraft(name="Whom", filterable=True)
        await create_field(
            session, admin, entity=FieldEntity.DEAL, kind="text", key="whom", draft=draft, currency="UAH", now=NOON
        )
        like = await session.get_one(Deal, desk.busy.deals[DESK])
        for name in sorted(NATIVE, key=lambda each: each[::-1]):
            deal = Deal(
                title=name, source=f"{name} & Co", pipeline_id=like.pipeline_id, stage_id=like.stage_id, currency="UAH",
                responsible_id=like.responsible_id, created_at=NOON, stage_since=NOON,
            )  # fmt: skip
            session.add(deal)
            await session.flush()
            await do_set_values(session, admin, FieldEntity.DEAL, deal, {"whom": f"«{name}»"}, region="UA")
    maria = await browsers("maria")
    for by in ("title", "source", "field.whom"):
        for sort, wanted in ((by, NATIVE), (f"-{by}", NATIVE[::-1])):
            found: list[str] = []
            address = f"/deals?sort={sort}"
            while address:
                page = (await maria.get(address)).text
                found += titles(page)
                more = re.search(r'class="btn" href="([^"]+cursor=[^"]+)"', page)
                address = more[1].replace("&amp;", "&") if more else ""
            assert len(found) == len(set(found)) > len(NATIVE)
            assert [title for title in found if title in NATIVE] == wanted, sort
            file = (await maria.get(f"/deals?format=csv&sort={sort}")).text
            assert [row[0] for row in csv.reader(StringIO(file)) if row[0] in NATIVE] == wanted, sort


async def test_a_file_field_is_filtered_by_whether_it_is_filled(browsers: Browsers, desk: BrowserDesk) -> None:
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        draft = FieldDraft(name="Scan", filterable=True)
        made = await create_field(
            session, admin, entity=FieldEntity.DEAL, kind="file", key="scan", draft=draft, currency="UAH", now=NOON
        )
        deal = await session.get_one(Deal, desk.busy.deals[DESK])
        deal.custom = with_value(deal.custom, made, [1])
    maria = await browsers("maria")
    form = (await maria.get("/board/filters?field.scan.filled=0")).text  # of the board and of the list
    assert 'name="field.scan.filled"' in form
    assert '<option value="0" selected>' in form
    everything = set(titles((await maria.get("/deals")).text))
    for query, wanted, said in (
        ("filled=1", {DESK}, "filled"), ("filled=0", everything - {DESK}, "empty"),
        ("empty=1", everything - {DESK}, "empty"), ("empty=0", {DESK}, "filled"), ("filled=", everything, ""),
    ):  # fmt: skip
        page = (await maria.get(f"/deals?field.scan.{query}")).text
        assert set(titles(page)) == wanted, query
        assert (f"Scan: {said}" in page) == bool(said), query


async def test_so_many_deals_that_not_all_are_sorted_are_said(
    browsers: Browsers, desk: BrowserDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(desk, 60)
    monkeypatch.setattr(list_queries, "MOST_SORTED", 20)
    monkeypatch.setattr(list_queries, "MOST_COUNTED", 20)
    maria = await browsers("maria")
    assert "newest are sorted" in (page := (await maria.get("/deals?sort=-amount")).text)
    assert len(titles(page)) == 20
    assert "newest are sorted" not in (await maria.get("/deals?sort=created_at")).text
    exported = (await maria.get("/deals?sort=-amount&format=csv")).text
    assert exported.count("Many ") == 60  # a file leaves nothing out


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_a_file_holds_exactly_what_is_filtered_and_runs_no_formula(
    browsers: Browsers, desk: BrowserDesk, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(deal_list, "BATCH", 3)  # several batches
    await fill(desk, 10)
    async with desk.database.write() as session:
        deal = await session.get_one(Deal, desk.busy.deals[DESK])
        deal.title, deal.source = "=cmd|' /C calc'!A0", "@SUM(1)"
    maria = await browsers("maria")
    data = {"column": ["source", "amount", "field.area", "created_at"]}
    assert (await maria.post("/deals/columns", data=data)).status_code == 303
    answer = await maria.get(f"/deals?amount.min=1&format={kind}")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    if kind == "csv":
        rows = list(csv.reader(StringIO(answer.text.removeprefix("\ufeff"))))
        assert rows[0] == ["Deal", "Source", "Amount", "Area", "Made"]
        assert ["'=cmd|' /C calc'!A0", "'@SUM(1)", "22400.00", ""] in [row[:4] for row in rows]
        assert all(re.fullmatch(r"2026-[01]\d-[0-3]\d [0-2]\d:[0-5]\d", row[4]) for row in rows[1:])  # not "today"
    else:
        cells = list(openpyxl.load_workbook(BytesIO(answer.content)).active.iter_rows())
        rows = [[cell.value for cell in row] for row in cells]
        assert "f" not in {cell.data_type for row in cells for cell in row}
        assert ["=cmd|' /C calc'!A0", "@SUM(1)", 22400, None] in [[*row[:3], row[3] or None] for row in rows]
        assert {(cell.is_date, cell.number_format) for (*_rest, cell) in cells[1:]} == {(True, "yyyy-mm-dd hh:mm")}
    listed = titles((await maria.get("/deals?amount.min=1")).text)
    assert len(rows) - 1 == len(listed)
    assert not any("Foreign" in str(row) for row in rows)


async def test_each_person_has_their_own_columns(browsers: Browsers, desk: BrowserDesk) -> None:
    await fill(desk, 2)
    ivan, maria = await browsers("ivan"), await browsers("maria")
    form = (await ivan.get("/deals/columns", headers=HTMX)).text
    assert 'value="field.area"' in form
    await ivan.post("/deals/columns", data={"column": ["field.area", "tags", "field.area"], "query": "?mine=1"})
    page = (await ivan.get("/deals")).text
    assert re.findall(r'<th scope="col"[^>]*>(?:<a[^>]*>)?([^<]+)', page)[-3:] == ["Deal", "Area", "Tags"]
    assert "Area" not in (await maria.get("/deals")).text
    for wrong in ("password_hash", "field.none"):
        assert (await ivan.post("/deals/columns", data={"column": wrong})).status_code == 422
    assert (
        await ivan.post("/deals/columns", data={"column": ["tags"] * 3 + [f"x{n}" for n in range(40)]})
    ).status_code == 422
    await ivan.post("/deals/columns", data={"as_first": "1"})
    assert "Area" not in (await ivan.get("/deals")).text


async def test_what_matches_is_changed_at_once_from_the_list(browsers: Browsers, desk: BrowserDesk) -> None:
    maria = await browsers("maria")
    seen = titles((await maria.get("/deals?amount.min=60000&status=open")).text)
    data = {"bulk_act": "tag", "tag": "Big", "all": "1", "query": "?amount.min=60000&status=open", "pipeline_id": ""}
    assert (await maria.post("/board/bulk", data=data, headers=HTMX)).status_code == 200
    wrong = await maria.post("/board/bulk", data=data | {"query": "?nonsense=1"}, headers=HTMX)
    assert wrong.status_code == 422  # never all deals
    assert seen


async def test_wrong_addresses_and_nothing_found(browsers: Browsers) -> None:
    maria = await browsers("maria")
    for query in ("nonsense=1", "sort=colour", "sort=lamp", "amount.min=x", "format=csv&nonsense=1"):
        assert (await maria.get(f"/deals?{query}")).status_code == 422, query
    for pipeline in ("999", "x", "9" * 30):
        assert (await maria.get(f"/deals?pipeline={pipeline}")).status_code == 404
        data = {"bulk_act": "tag", "tag": "Big", "all": "1", "query": f"?pipeline={pipeline}", "pipeline_id": ""}
        assert (await maria.post("/board/bulk", data=data, headers=HTMX)).status_code == 404
    for cursor in ("x", "WyJ4IiwxXQ", "W251bGwsLTFd", "WyIxZTk5OTkiLDFd"):
        assert (await maria.get(f"/deals?sort=amount&cursor={cursor}")).status_code == 200, cursor
    assert "No deal that you see matches" in (await maria.get("/deals?amount.min=99999999")).text


async def test_a_saved_view_opens_as_the_list(browsers: Browsers) -> None:
    ivan = await browsers("ivan")
    query = "?show=table&sort=-amount&amount.min=1000"
    answer = await ivan.post("/board/views", data={"name": "Dear", "query": query, "is_default": "1"})
    where = answer.headers["location"]
    assert where.startswith("/deals?view=")
    assert (await ivan.get("/board")).headers["location"] == where
    page = (await ivan.get(where)).text
    assert "amount from 1000" in page
    assert 'action="/deals"' in (await ivan.get("/board/filters?show=table", headers=HTMX)).text


async def test_the_number_of_queries_does_not_grow(browsers: Browsers, desk: BrowserDesk) -> None:
    maria = await browsers("maria")
    few = await count_queries(desk.database, maria, "/deals?sort=-amount&q=desk")
    await fill(desk, 60)
    many = await count_queries(desk.database, maria, "/deals?sort=-amount&q=many")
    assert abs(many - few) <= 1
    assert many <= 30


async def test_a_tag_is_put_on_and_taken_off_on_the_page_of_a_deal(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, olena, kira = await browsers("ivan"), await browsers("olena"), await browsers("kira")
    path = f"/deals/{desk.busy.deals[DESK]}"
    panel = await ivan.post(f"{path}/tags", data={"tag": "  Oak   & steel "}, headers=HTMX)
    assert "Oak &amp; steel" in panel.text
    assert (await ivan.post(f"{path}/tags", data={"tag": "x" * 41}, headers=HTMX)).status_code == 422
    page = (await ivan.get(path)).text
    taken_off = re.search(r'hx-post="(/deals/\d+/tags/\d+/remove)"', page)
    assert taken_off is not None
    assert "/deals?tag=Oak" in page
    for stranger in (olena, kira):
        assert (await stranger.post(f"{path}/tags", data={"tag": "Mine"})).status_code in {403, 404}
        assert (await stranger.post(taken_off[1])).status_code in {403, 404}
    gone = await ivan.post(taken_off[1], headers=HTMX)
    undo = re.search(r"(/deals/\d+/tags/\d+/restore)", gone.text)
    assert undo is not None
    assert (
        "Oak" not in (await ivan.get(path)).text.partition('id="tags"')[2].partition("</ul>")[0].partition("<form")[0]
    )
    await ivan.post(undo[1])
    assert 'href="/deals?tag=Oak' in (await ivan.get(path)).text
