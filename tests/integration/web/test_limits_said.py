"""What is not counted or not shown is said: columns of many deals, reports of many rows, figures behind which many rows stand."""

import csv
import re
from datetime import datetime
from io import BytesIO

import pytest
from openpyxl import load_workbook

from pbxcrm.deals import board_queries, queries
from pbxcrm.deals.seed import seed
from pbxcrm.reports import grouping
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers
from web.pages import pipelines, reports

FEW = 2


@pytest.fixture(autouse=True)
async def _three_deals(database: Database, browser: Browsers, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (board_queries, "MOST_COUNTED"),
        (queries, "MOST_COUNTED"),
        (pipelines, "MOST_COUNTED"),
        (grouping, "MOST"),
        (reports, "LISTED"),
    ):
        monkeypatch.setattr(module, name, FEW)
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
    olena = await browser("olena")
    for title in ("Fence", "Gate", "Roof"):
        await olena.post("/deals/new", data={"title": title, "stage_id": "2", "amount": "100"})


async def test_a_column_of_more_deals_than_are_counted_says_so(browser: Browsers) -> None:
    admin = await browser("admin")
    board = (await admin.get("/board")).text
    head = board.partition('id="stage-2"')[2].partition("</header>")[0]
    assert re.search(r"data-count[^>]*>2\+<", head)
    assert "—" in head  # no sum that would be of a part only
    assert "more than 2 open deals" in board
    editor = (await admin.get("/settings/pipelines/1")).text
    assert "more than 2 deals" in editor
    assert "More than 2 deals are in this stage" in (await admin.get("/settings/stages/2/remove")).text


async def test_a_report_of_more_rows_than_it_counts_refuses_and_says_what_to_do(browser: Browsers) -> None:
    olena, iryna = await browser("olena"), await browser("iryna")
    for deal_id in (1, 2):
        await olena.post(f"/deals/{deal_id}/move", data={"stage_id": "4", "version": "1"})
    assert (await iryna.get("/reports/stage_time")).status_code == 200
    await olena.post("/deals/3/move", data={"stage_id": "4", "version": "1"})
    refused = await iryna.get("/reports/stage_time")
    assert refused.status_code == 422
    assert "More than 2 rows: choose a shorter period, a team or a person." in refused.text


async def test_rows_behind_a_figure_come_some_at_a_time(browser: Browsers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MOST", 100)
    olena, iryna = await browser("olena"), await browser("iryna")
    for deal_id in (1, 2, 3):
        await olena.post(f"/deals/{deal_id}/move", data={"stage_id": "4", "version": "1"})
    seen: list[str] = []
    path = "/reports/stage_time/rows?row=all&column=left"
    while path:
        page = (await iryna.get(path)).text
        assert "Deals that left it: 3" in page
        seen += re.findall(r"<bdi>(\w+)</bdi></a></td><td", page)
        more = re.search(r'class="more"><a class="btn" href="([^"]+)"', page)
        path = more[1].replace("&amp;", "&") if more else ""
    assert sorted(seen) == ["Fence", "Gate", "Roof"]


async def test_the_rows_behind_a_figure_come_as_a_file_with_all_of_them(
    browser: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "MOST", 100)
    olena, iryna = await browser("olena"), await browser("iryna")
    for deal_id in (1, 2, 3):
        await olena.post(f"/deals/{deal_id}/move", data={"stage_id": "4", "version": "1"})
    page = (await iryna.get("/reports/stage_time/rows?row=all&column=median_minutes")).text
    (link,) = re.findall(r'href="([^"]+format=csv)"', page)
    file = await iryna.get(link.replace("&amp;", "&"))
    lines = list(csv.reader(file.text.removeprefix("\ufeff").splitlines()))
    assert lines[0] == ["What", "When", "Median", "Link"]
    assert sorted(line[0] for line in lines[1:]) == ["Fence", "Gate", "Roof"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", line[1]) and float(line[2]) >= 0 for line in lines[1:])
    assert {line[3].partition("/deals/")[2] for line in lines[1:]} == {"1", "2", "3"}
    book = load_workbook(BytesIO((await iryna.get(file.url.copy_set_param("format", "xlsx"))).content)).worksheets[0]
    assert book.max_row == 4
    assert isinstance(book.cell(2, 2).value, datetime)


async def test_each_figure_of_the_line_of_all_rows_and_each_share_opens_its_rows(
    browser: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "MOST", 100)
    monkeypatch.setattr(reports, "LISTED", 100)
    olena, iryna = await browser("olena"), await browser("iryna")
    for deal_id in (1, 2, 3):
        await olena.post(f"/deals/{deal_id}/move", data={"stage_id": "4", "version": "1"})
    page = (await iryna.get("/reports/stage_time")).text
    definition = re.search(r'<p class="definition"[^>]*>(.*?)</p>', page, re.DOTALL)
    assert definition, "what is counted is not seen without a click"
    assert "Deals that left a stage in the period" in definition[1]
    (foot,) = re.findall(r"<tfoot>.*</tfoot>", page, re.DOTALL)
    opened = dict(re.findall(r'href="[^"]*row=all&amp;column=(\w+)">([^<]+)</a>', foot))
    assert opened["left"] == "3"
    assert {"left", "median_minutes", "p90_minutes"} <= set(opened)
    rows = (await iryna.get("/reports/stage_time/rows?row=all&column=median_minutes")).text
    assert 'class="definition"' in rows
    assert len(re.findall(r'<td class="num" data-label="Median">', rows)) == 3
    assert "3 rows" in rows
