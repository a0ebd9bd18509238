"""What a list is asked for of people."""

from sqlalchemy import ColumnElement
from sqlmodel import col, select

from pbxcrm.people.models import User


def of_login(column: int | None, login: str) -> list[ColumnElement[bool]]:
    """Rows whose ``column`` is the id of the person with this login, in upper or lower case; without a login, all rows."""
    return [col(column).in_(select(User.id).where(User.login == login.lower()))] if login else []
