"""Checklists of tasks, pure: what people write in them, and what must be ticked before the task is done."""

from collections.abc import Iterable, Mapping
from typing import Any

from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.texts import one_line

MOST_ITEMS = 100
LONGEST_ITEM = 300  # letters
REQUIRED_MARK = "!"  # how a line of text says that its item is required

Item = dict[str, Any]


def item(text: str, *, required: bool = False, done: bool = False) -> Item:
    """One item as it is stored."""
    return {"text": text, "required": required, "done": done}


def check_items(items: Iterable[Mapping[str, Any]], field: str = "checklist") -> list[Item]:
    """Items as they may be stored. Raises Invalid at ``field`` for too many, too long, and empty ones."""
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
    """A checklist as people type it: one item a line, ``!`` in front of a required one. What was ticked ``before`` stays ticked."""
    ticked = {each["text"] for each in before if each["done"]}
    lines = [line.strip() for line in text.splitlines()]
    items = [
        item(said, required=line.startswith(REQUIRED_MARK), done=said in ticked)
        for line in lines
        if (said := one_line(line.removeprefix(REQUIRED_MARK)))
    ]
    return check_items(items, field)


def as_lines(items: Iterable[Item]) -> str:
    """The text that ``parse_lines`` reads as these items."""
    return "\n".join(f"{REQUIRED_MARK} {each['text']}" if each["required"] else str(each["text"]) for each in items)


def position_of(items: Iterable[Item], position: int | None, text: str | None) -> int:
    """Where the item stands that was named by its place or by its text. Raises Invalid where neither names one."""
    if position is not None:
        return position
    texts = [str(each["text"]) for each in items]
    if text is None or text not in texts:
        raise Invalid("item", "tasks.checklist_which", "Say which item: its place from 0, or its text.")
    return texts.index(text)


def ticked(items: Iterable[Item], position: int, *, done: bool) -> list[Item]:
    """The items with the one at ``position`` (from 0) ticked or not. Raises Invalid where there is none."""
    found = [dict(each) for each in items]
    if not 0 <= position < len(found):
        raise Invalid("item", "tasks.checklist_item_gone", "The checklist has no such item. Look at the task again.")
    found[position]["done"] = done
    return found


def missing(items: Iterable[Item]) -> list[str]:
    """Texts of the required items that are not ticked."""
    return [str(each["text"]) for each in items if each["required"] and not each["done"]]


def unticked(items: Iterable[Item]) -> list[Item]:
    """The same checklist for a task that begins anew."""
    return [{**each, "done": False} for each in items]
