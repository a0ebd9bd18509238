"""Normalising texts in queries to the form that the database stores."""

from pbxcrm.shared.numbers import normalise
from pbxcrm.shared.settings import Settings

NOTHING = "\N{EM DASH}"  # matches no stored number


def number_filter(number: str | None, settings: Settings) -> str:
    """The number in E.164; empty if the filter is not used. An unescaped ``+`` in a URL arrives as a blank and is accepted."""
    if number is None:
        return ""
    return normalise(number, settings.region) or NOTHING
