"""Reports as programs see them: figures, the rows behind them, files, and whose they are."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from openpyxl import load_workbook

from pbxcrm.reports.grouping import cell
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import NOON, FactStory
from tests.integration.api.conftest import Programs, hear
from tests.integration.api.test_writing import TOMORROW, assert_problem

TODAY = "from=2026-11-18&until=2026-11-18"


@pytest.fixture
async def day(programs: Programs, database: Database, settings: Settings) -> Programs:
    """Ivan answers a client, and three are missed: one calls again and gets through, one is left, one is called back."""
    missed = [
        FactStory(f"17.{n}", f"+38067111000{n}", at=NOON - timedelta(minutes=40 - n)).ring("101").wait(20).end()
        for n in (1, 2)
    ]
    lucky = FactStory("17.9", "+380671110001", at=NOON - timedelta(minutes=10)).ring("101").answer("101").wait(60).end()
    await hear(database, settings, *missed, lucky)
    return programs


async def ask(client: Any, path: str) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/reports{path}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_missed_calls_are_callbacks_and_every_figure_opens_its_rows(day: Programs) -> None:
    async with await day.as_("admin") as client:
        report = await ask(client, f"/missed?{TODAY}")
        assert report["totals"]["missed"] == 2
        assert (report["totals"]["recovered"], report["totals"]["left"], report["totals"]["percent_returned"]) == (
            1,
            1,
            50,
        )
        for by in ("owner", "line", "hour", "day"):
            table = await ask(client, f"/missed?{TODAY}&by={by}")
            for column in (column["key"] for column in table["columns"] if column["kind"] == "count"):
                total = 0
                for row in table["rows"]:
                    behind = await ask(client, f"/missed/rows?{TODAY}&by={by}&row={row['key']}&column={column}")
                    assert len(behind["items"]) == row["values"][column], (by, column, row)
                    total += len(behind["items"])
                assert total == table["totals"][column]
        talked_to = await ask(client, f"/missed/rows?{TODAY}&row=all&column=percent_returned")
        assert sorted(row["value"] for row in talked_to["items"]) == [False, True]
        nothing = await ask(client, "/missed?from=2026-01-01&until=2026-01-31")
        assert (nothing["rows"], nothing["totals"]["missed"], nothing["totals"]["percent_returned"]) == ([], 0, None)


async def test_a_client_who_is_missed_again_counts_again_only_after_the_first_was_settled(
    day: Programs, database: Database, settings: Settings
) -> None:
    again = [
        FactStory(f"17.3{n}", f"+38067111000{n}", at=NOON - timedelta(minutes=5)).ring("101").wait(20).end()
        for n in (1, 2)
    ]
    await hear(database, settings, *again)  # the first was settled by the talk, the second is still open
    async with await day.as_("admin") as client:
        assert (await ask(client, f"/missed?{TODAY}"))["totals"]["missed"] == 3
        rows = await ask(client, f"/missed/rows?{TODAY}&row=all&column=missed")
        assert sorted(row["title"][-2:] for row in rows["items"]) == ["01", "01", "02"]


async def test_a_pipeline_is_refused_by_reports_that_have_no_use_for_it(day: Programs) -> None:
    async with await day.as_("admin") as client:
        [pipeline] = (await client.get("/api/v1/pipelines")).json()["items"]
        for report in (await client.get("/api/v1/reports")).json()["items"]:
            path = f"/api/v1/reports/{report['name']}?{TODAY}&pipeline="
            answer, unknown = await client.get(f"{path}{pipeline['id']}"), await client.get(f"{path}4711")
            assert answer.status_code in {200, 422}, answer.text
            code = "reports.no_pipeline" if answer.status_code == 200 else "reports.of_every_pipeline"
            assert_problem(unknown, 422, code, "pipeline")
        assert (await client.get(f"/api/v1/reports/lamps?{TODAY}&pipeline={pipeline['id']}")).status_code == 200
        assert (await client.get(f"/api/v1/reports/missed?{TODAY}&pipeline={pipeline['id']}")).status_code == 422


async def test_time_in_stage_is_working_time(day: Programs) -> None:
    async with await day.as_("ivan") as client:
        deal = (await client.get("/api/v1/deals?limit=1")).json()["items"][0]
    async with await day.as_("admin") as client:
        [pipeline] = (await client.get("/api/v1/pipelines")).json()["items"]
        held = next(stage["id"] for stage in pipeline["stages"] if stage["name"] == "Call held")
        moved = await client.patch(f"/api/v1/deals/{deal['id']}", json={"stage_id": held})
        assert moved.status_code == 200
        report = await ask(client, f"/stage_time?{TODAY}")
        [line] = [row for row in report["rows"] if row["name"] == deal["stage"]]
        assert line["values"]["left"] >= 1
        behind = await ask(client, f"/stage_time/rows?{TODAY}&row={line['key']}&column=left")
        assert ("deal", deal["id"]) in [(row["kind"], row["id"]) for row in behind["items"]]


async def test_efficiency_counts_tasks_and_what_is_late(day: Programs) -> None:
    async with await day.as_("ivan") as client:
        made = await client.post("/api/v1/tasks", json={"title": "Call", "due_at": TOMORROW})
        assert made.status_code == 201
    async with await day.as_("admin") as client:
        report = await ask(client, f"/efficiency?{TODAY}&login=ivan")
        [line] = report["rows"]
        tasks = (await client.get("/api/v1/tasks?assignee=ivan&status=open")).json()["items"]
        assert line["values"]["in_work"] == len(tasks) > 0
        assert line["values"]["new"] == line["values"]["in_work"] + line["values"]["done"]


async def test_a_seller_sees_their_own_figures_and_nobody_else_s(day: Programs) -> None:
    async with await day.as_("ivan") as client:
        listed = (await client.get("/api/v1/reports")).json()["items"]
        assert [report["name"] for report in listed] == ["own_kpi"]
        assert (await client.get(f"/api/v1/reports/missed?{TODAY}")).status_code == 403
        figures = {row["key"]: row["values"]["value"] for row in (await ask(client, f"/own_kpi?{TODAY}"))["rows"]}
        assert figures["talks"] == 1
        assert figures["deals"] >= 1
        behind = await ask(client, f"/own_kpi/rows?{TODAY}&row=talks&column=value")
        assert [row["kind"] for row in behind["items"]] == ["call"]
        other = await client.get(f"/api/v1/reports/own_kpi?{TODAY}&login=maria")
        assert_problem(other, 422, "reports.own", "login")
    async with await day.as_("maria") as client:
        foreign = await client.get(f"/api/v1/reports/own_kpi?{TODAY}&login=petro")
        assert foreign.status_code in {404, 422}  # another team's


async def test_what_is_asked_wrongly_is_said_at_its_place(day: Programs) -> None:
    async with await day.as_("admin") as client:
        for path, code, field in (
            ("/missed?from=2026-11-18&until=2026-11-17", "reports.backwards", "until"),
            ("/missed?from=2000-11-18&until=2026-11-17", "reports.too_long", "until"),
            (f"/missed?{TODAY}&by=shoe", "reports.by", "by"),
            (f"/missed?{TODAY}&login=nobody", "people.not_found", "login"),
            (f"/missed/rows?{TODAY}&row=1&column=norm", "reports.no_column", "column"),
            (f"/missed/rows?{TODAY}&row=77&column=missed", "reports.no_row", "row"),
        ):
            assert_problem(await client.get(f"/api/v1/reports{path}"), 422, code, field)
        assert_problem(await client.get("/api/v1/reports/wealth"), 404, "reports.not_found")


async def test_a_report_is_a_file_and_no_text_in_it_is_a_formula(day: Programs) -> None:
    async with await day.as_("admin") as client:
        text = await client.get(f"/api/v1/reports/missed?{TODAY}&format=csv")
        assert text.headers["content-type"].startswith("text/csv")
        lines = list(csv.reader(io.StringIO(text.text.removeprefix("\ufeff"))))
        assert lines[0][:2] == ["Missed calls", "Missed"]
        assert lines[-1][1] == "2"
        book = await client.get(f"/api/v1/reports/missed?{TODAY}&format=xlsx")
        sheet = load_workbook(io.BytesIO(book.content)).active
        assert sheet is not None
        assert [each.value for each in next(iter(sheet.rows))][:2] == ["Missed calls", "Missed"]


async def test_the_rows_behind_a_figure_are_a_file(day: Programs) -> None:
    path = f"/reports/missed/rows?{TODAY}&row=all&column=missed"
    async with await day.as_("admin") as client:
        rows = (await ask(client, path.removeprefix("/reports")))["items"]
        text = await client.get(f"/api/v1{path}&format=csv&limit=1")
        assert text.headers["content-type"].startswith("text/csv")
        assert 'filename="missed-all.csv"' in text.headers["content-disposition"]
        [head, *lines] = csv.reader(io.StringIO(text.text.removeprefix("\ufeff")))
        assert head == ["What", "When", "Missed", "Link"]
        assert [line[0].removeprefix("'") for line in lines] == [row["title"] for row in rows]
        assert [line[3] for line in lines] == [f"{client.base_url}/callbacks/{row['id']}" for row in rows]
        book = await client.get(f"/api/v1{path}&format=xlsx")
        sheet = load_workbook(io.BytesIO(book.content)).active
        assert sheet is not None
        assert [next(str(cell.value or "") for cell in row) for row in sheet.rows] == [
            "What",
            *(row["title"] for row in rows),
        ]
        assert_problem(await client.get(f"/api/v1{path}&format=pdf"), 422, "api.value", "format")
        described = (await client.get("/api/v1/openapi.json")).json()["paths"]["/reports/{report}/rows"]["get"]
        assert set(described["responses"]["200"]["content"]) == {
            "application/json",
            "text/csv",
            book.headers["content-type"],
        }


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_a_cell_that_would_be_a_formula_is_quoted(text: str) -> None:
    assert cell(text) == f"'{text}"


def test_other_cells_stay_as_they_are() -> None:
    assert [cell(value) for value in ("Fence", 12, None, -3)] == ["Fence", "12", "", "-3"]
