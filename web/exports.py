"""Tables as files: CSV that spreadsheets open, and XLSX in which a text is never read as a formula."""

import asyncio
import csv
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any

from starlette.responses import Response, StreamingResponse

from pbxcrm.reports.grouping import cell
from pbxcrm.shared.errors import Invalid

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


Batches = AsyncIterator[Sequence[Sequence[Any]]]
MOST_OF_XLSX = 100_000  # rows; a workbook of more takes minutes and hundreds of MB in the program that opens it


async def csv_stream(name: str, head: Sequence[str], batches: Batches) -> Response:
    """The same as ``csv_file`` for rows that are still being read."""

    async def lines() -> AsyncIterator[str]:
        yield "\ufeff" + _csv_lines([head])
        async for batch in batches:
            yield _csv_lines(batch)

    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=_named(name, "csv"))


def _csv_lines(rows: Sequence[Sequence[Any]]) -> str:
    buffer = StringIO()
    csv.writer(buffer).writerows([cell(value) for value in row] for row in rows)
    return buffer.getvalue()


async def xlsx_stream(name: str, head: Sequence[str], batches: Batches) -> Response:
    """The same as ``xlsx_file`` for rows that are still being read. It is written to disk beside the event loop and sent from there.

    Raises Invalid for more than ``MOST_OF_XLSX`` rows.
    """
    from openpyxl import Workbook  # noqa: PLC0415  # as below

    book = Workbook(write_only=True)
    sheet = book.create_sheet(name[:31])

    def add(rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            sheet.append([_cell(sheet, value) for value in row])

    written = tempfile.TemporaryFile()  # noqa: SIM115  # the response closes it
    count = 0
    await asyncio.to_thread(add, [head])
    try:
        async for batch in batches:
            count += len(batch)
            _check_length(count)
            await asyncio.to_thread(add, batch)
        await asyncio.to_thread(book.save, written)
    except BaseException:
        written.close()
        raise
    written.seek(0)

    async def pieces() -> AsyncIterator[bytes]:
        with written:
            while piece := await asyncio.to_thread(written.read, _PIECE):
                yield piece

    return StreamingResponse(pieces(), media_type=XLSX, headers=_named(name, "xlsx"))


_PIECE = 256 * 1024


def _check_length(count: int) -> None:
    if count > MOST_OF_XLSX:
        raise Invalid(
            "format", "exports.long", "A workbook holds at most {most} rows here. Take CSV.", most=MOST_OF_XLSX
        )


def _cell(sheet: Any, value: Any) -> Any:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415  # as above

    if isinstance(value, date):
        found = WriteOnlyCell(sheet, value=value)
        found.number_format = "yyyy-mm-dd hh:mm" if isinstance(value, datetime) else "yyyy-mm-dd"
        return found
    found = WriteOnlyCell(sheet, value="" if value is None else str(value))
    found.data_type = "s"  # openpyxl takes "=…" for a formula
    return found


def _named(name: str, ending: str) -> dict[str, str]:
    plain = "".join(letter for letter in name if letter.isalnum() or letter in "-_")
    return {"Content-Disposition": f'attachment; filename="{plain}.{ending}"', "X-Content-Type-Options": "nosniff"}
