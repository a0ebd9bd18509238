"""Reasons for programs: in English, with moments in UTC."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from web import words
from web.formats import NBSP
from web.i18n import Here, Language, speaking


def in_english(stored: Mapping[str, Any], now: datetime) -> str:
    """The sentences of a stored reason; empty for none."""
    with speaking(Here(Language.EN, ZoneInfo("UTC"), now)):
        return " ".join(words.because(stored)).replace(NBSP, " ")
