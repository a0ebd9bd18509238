"""Compares every figure of a report with the rows that it opens."""

from collections.abc import Sequence
from decimal import Decimal

from pbxcrm.reports.grouping import middle, ninth_tenth, percent
from pbxcrm.reports.queries import ALL, rows_behind
from pbxcrm.reports.report import Behind, Column, ColumnKind, Report, Table

NO_FIGURE_OF_ROWS = {"norm_minutes"}  # a setting of the stage
OF_TWO_FIGURES = {"points"}  # the difference of two shares


def check(report: Report, table: Table) -> int:
    """Check all lines and the line of all rows. Returns how many figures were compared."""
    compared = 0
    for key, values in [*((line.key, line.values) for line in table.lines), (ALL, table.totals)]:
        for column in report.columns:
            assert column.opens != (column.key in NO_FIGURE_OF_ROWS), (report.name, column.key)
            value = values.get(column.key)
            if not column.opens or value is None:
                continue
            rows = rows_behind(table, key, column)
            assert rows or not value, (report.name, key, column.key, "a figure opens nothing")
            if column.key not in OF_TWO_FIGURES:
                assert _counted(column, rows) == value, (report.name, key, column.key)
            compared += 1
    return compared


def _counted(column: Column, rows: Sequence[Behind]) -> object:
    given = [row.value for row in rows]
    if any(isinstance(each, bool) for each in given):
        return percent(sum(each is True for each in given), len(given))
    if column.kind is ColumnKind.MONEY:
        return round(sum((each for each in given if isinstance(each, Decimal)), Decimal(0)), 2)
    numbers = [float(each) for each in given if each is not None]
    if column.kind is ColumnKind.PERCENT:
        return round(sum(numbers) / len(numbers))
    if column.kind is ColumnKind.MINUTES:
        return ninth_tenth(numbers) if column.key.startswith("p90") else middle(numbers)
    return sum((each for each in given if isinstance(each, Decimal)), Decimal(0)) if numbers else len(rows)
