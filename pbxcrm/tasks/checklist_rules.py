"""Pure functions for the checklists of tasks: parsing, checks and ticking."""

from collections.abc import Iterable, Mapping
from typing import Any

from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.texts import one_line

MOST_ITEMS = 100
LONGEST_ITEM = 300  # characters
REQUIRED_MARK = "!"  # at the start of a line: the item is required

Item = dict[str, Any]


def item(text: str, *, required: bool = False, done: bool = False) -> Item:
    """An item in the stored form."""
    return {"text": text, "required": required, "done": done}


def check_items(items: Iterable[Mapping[str, Any]], field: str = "checklist") -> list[Item]:
    """The items in the stored form. Raises Invalid at ``field`` for too many items and for too long or empty ones."""
    found = [
        item(one_line(str(each["text"])), required=bool(each.get("required")), done=bool(each.get("done")))
        for each in items
    ]
    if len(found) > MOST_ITEMS:
        raise Invalid(
            field,
            "tasks.checklist_long",
            "A checklist has at most {most} items, this one has {n}. Make several tasks of it.",
            most=MOST_ITEMS,
            n=len(found),
        )
    for number, each in enumerate(found, start=1):
        if not each["text"]:
            raise Invalid(field, "tasks.checklist_empty", "Item {n} of the checklist is empty.", n=number)
        if len(each["text"]) > LONGEST_ITEM:
            raise Invalid(
                field,
                "tasks.checklist_item",
                "Item {n} of the checklist is longer than {most} letters. Write it shorter.",
                n=number,
                most=LONGEST_ITEM,
            )
    return found


def parse_lines(text: str, before: Iterable[Item] = (), field: str = "checklist") -> list[Item]:
    """A checklist from typed text: one item per line, ``!`` before a required one. Items ticked in ``before`` stay ticked."""
    ticked = {each["text"] for each in before if each["done"]}
    lines = [line.strip() for line in text.splitlines()]
    items = [
        item(said, required=line.startswith(REQUIRED_MARK), done=said in ticked)
        for line in lines
        if (said := one_line(line.removeprefix(REQUIRED_MARK)))
    ]
    return check_items(items, field)


def as_lines(items: Iterable[Item]) -> str:
    """The items as text for ``parse_lines``, without ticks."""
    return "\n".join(f"{REQUIRED_MARK} {each['text']}" if each["required"] else str(each["text"]) for each in items)


def position_of(items: Iterable[Item], position: int | None, text: str | None) -> int:
    """The position of an item that was named by ``position`` (not checked here) or by ``text``. Raises Invalid at ``item``."""
    if position is not None:
        return position
    texts = [str(each["text"]) for each in items]
    if text is None or text not in texts:
        raise Invalid("item", "tasks.checklist_which", "Say which item: its place from 0, or its text.")
    return texts.index(text)


def ticked(items: Iterable[Item], position: int, *, done: bool) -> list[Item]:
    """A copy of the items with the one at ``position`` (from 0) ticked or unticked. Raises Invalid at ``item``."""
    found = [dict(each) for each in items]
    if not 0 <= position < len(found):
        raise Invalid("item", "tasks.checklist_item_gone", "The checklist has no such item. Look at the task again.")
    found[position]["done"] = done
    return found


def missing(items: Iterable[Item]) -> list[str]:
    """The texts of required items that are not ticked."""
    return [str(each["text"]) for each in items if each["required"] and not each["done"]]


def unticked(items: Iterable[Item]) -> list[Item]:
    """A copy of the items without ticks, for the next of a repeated task."""
    return [{**each, "done": False} for each in items]
