"""News: hints that say at once, in every open page, what concerns a person: on a deal that they watch, or in a note that names them."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.events import emit

LONGEST_ID = 18  # digits: a database refuses larger numbers


class NewsKind(StrEnum):
    """What happened; with it goes the id of the row that tells it. ``static/js/news.js`` lets a mention stay until it is read."""

    MOVE = "move"  # of a stage move
    NOTE = "note"  # of a note
    MENTION = "mention"  # of the note that names the person
    WATCH = "watch"  # of the deal that a colleague asks the person to watch


def say_news(session: AsyncSession, kind: NewsKind, row_id: int, at: datetime, users: Iterable[int | None]) -> None:
    """Tell these people after the commit. The reference of the hint is ``kind-id``, as ``read_news`` reads it."""
    emit(session, "news", f"{kind.value}-{row_id}", at, users=users)


def read_news(ref: str) -> tuple[NewsKind, int] | None:
    """Kind and id in the reference of a hint; None for another text."""
    said, _dash, number = ref.partition("-")
    kind = next((each for each in NewsKind if each.value == said), None)
    if kind is None or not (number.isascii() and number.isdecimal()) or len(number) > LONGEST_ID:
        return None
    return kind, int(number)
