"""The rows behind a figure of a report as CSV or XLSX, the same for the page and for REST."""

from collections.abc import Sequence

from starlette.responses import Response

from pbxcrm.reports.report import Behind, Column, Report
from web.exports import csv_file, xlsx_file
from web.formats import in_file
from web.i18n import gettext as _

FILES = {"csv": csv_file, "xlsx": xlsx_file}
PATHS = {"call": "/calls/{id}", "callback": "/callbacks/{id}", "deal": "/deals/{id}", "task": "/tasks/{id}"}
PATHS |= {"contact": "/contacts/{id}", "company": "/companies/{id}"}


def path_of_row(row: Behind) -> str:
    """The page of what a row counts."""
    return PATHS[row.kind].format(id=row.id)


def rows_file(kind: str, report: Report, line: str, column: Column, rows: Sequence[Behind], home: str) -> Response:
    """All ``rows`` behind a figure as a file of ``kind``, in the reader's language. ``line``: the key of the line; ``home``: the address
    of our pages.
    """
    head = [_("What"), _("When"), _(column.title), _("Link")]
    lines = [(_(row.title), in_file(row.at), row.value, home + path_of_row(row)) for row in rows]
    return FILES[kind](f"{report.name}-{line}", head, lines)
