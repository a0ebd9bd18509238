from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from web.i18n import Here, Language, speaking

NOON = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)  # Wednesday, 12:00 in Kyiv


def place(language: Language) -> Here:
    return Here(language, ZoneInfo("Europe/Kyiv"), NOON)


@pytest.fixture
def english() -> Iterator[None]:
    with speaking(place(Language.EN)):
        yield
