"""Normalising texts in queries to the form that the database stores."""

from pbxcrm.contacts.rules import check_asked_number
from pbxcrm.shared.settings import Settings


def number_filter(number: str | None, settings: Settings) -> str:
    """The number in E.164; empty if the filter is not used. An unescaped ``+`` in a URL arrives as a blank and is accepted.

    Raises Invalid for what is no number, or more than one: an empty list would say that there are no rows.
    """
    return check_asked_number(number, settings.region) if number is not None else ""
