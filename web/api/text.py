"""Texts in queries, brought into the spelling of the database."""

from pbxcrm.shared.numbers import normalise
from pbxcrm.shared.settings import Settings

NOTHING = "\N{EM DASH}"  # a number that nobody has


def number_filter(number: str | None, settings: Settings) -> str:
    """A number in its one spelling; empty when none is asked for. In an address an unescaped ``+`` arrives as a blank."""
    if number is None:
        return ""
    return normalise(number, settings.region) or NOTHING
