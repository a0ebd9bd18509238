"""Tables as files: CSV that spreadsheets open, and XLSX in which a text is never read as a formula."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any

from starlette.responses import Response, StreamingResponse

from pbxcrm.reports.grouping import cell

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def csv_file(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """A streamed CSV file in UTF-8, with the byte order mark that tells Excel the encoding."""

    def lines() -> Iterator[str]:
        buffer = StringIO()
        writer = csv.writer(buffer)
        yield "\ufeff"
        for row in (head, *rows):
            writer.writerow([cell(value) for value in row])
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()

    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=_named(name, "csv"))


def xlsx_file(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """A workbook with one sheet. Every text is stored as a string, so that no cell becomes a formula."""
    from openpyxl import Workbook  # noqa: PLC0415  # 5 MB of memory for a feature that is used about once a week

    book = Workbook(write_only=True)
    sheet = book.create_sheet(name[:31])
    for row in (head, *rows):
        sheet.append([_cell(sheet, value) for value in row])
    written = BytesIO()
    book.save(written)
    return Response(written.getvalue(), media_type=XLSX, headers=_named(name, "xlsx"))


def _cell(sheet: Any, value: Any) -> Any:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415  # as above

    found = WriteOnlyCell(sheet, value="" if value is None else str(value))
    found.data_type = "s"  # openpyxl takes "=…" for a formula
    return found


def _named(name: str, ending: str) -> dict[str, str]:
    plain = "".join(letter for letter in name if letter.isalnum() or letter in "-_")
    return {"Content-Disposition": f'attachment; filename="{plain}.{ending}"', "X-Content-Type-Options": "nosniff"}
