"""SQL conditions that the filters of all lists share."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import col


def equal(*asked: tuple[Any, Any]) -> list[ColumnElement[bool]]:
    """One condition per pair of column and value. Pairs whose value is None or empty are left out."""
    return [col(column) == value for column, value in asked if value is not None and value != ""]


def within(column: datetime | None, since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """Conditions for ``since <= column < until``; None leaves that side open."""
    found: list[ColumnElement[bool]] = []
    if since is not None:
        found.append(col(column) >= since)
    if until is not None:
        found.append(col(column) < until)
    return found
