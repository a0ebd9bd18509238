"""Filters of lists by person."""

from sqlalchemy import ColumnElement
from sqlmodel import col, select

from pbxcrm.people.models import User


def of_login(column: int | None, login: str) -> list[ColumnElement[bool]]:
    """Conditions that ``column`` is the id of the person with this login (case does not matter); none without a login."""
    return [col(column).in_(select(User.id).where(User.login == login.lower()))] if login else []
