"""Amber, red and green mean one thing each: whatever else is coloured by them says that thing where it is not so."""

import re
from pathlib import Path

CSS = Path(__file__).parents[3] / "web" / "static" / "css"
#: What may be amber: the first lamp, with what counts towards it; and the health of the installation on its own page.
AMBER = {
    ".lamp.first", ".count.amber", ".mark.amber", ".wait.amber", ".dot.amber", ".colhead .over", ".norm .late", ".card.lit",
}  # fmt: skip
#: What may be green: a talk, and what is done or well.
GREEN = {
    ".good", ".mark.green", ".lamp.ok", ".dot.green", ".notice.green", ".step.done", ".tick.green", ".sign.green", ".track .talking",
    ".key.talking", ".callcard.talking", '[data-state="saved"]', '[data-state="talking"]',
}  # fmt: skip


def coloured_by(token: str) -> list[str]:
    """The selectors of the rules that use the colour."""
    found = []
    for path in sorted(CSS.glob("*.css")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        found += [
            f"{path.name}: {' '.join(rule.split())}"
            for rule, body in re.findall(r"([^{}]+)\{([^{}]*)\}", text)
            if f"var(--{token}" in body
        ]
    return found


def test_amber_is_the_first_lamp_and_green_a_talk_or_what_is_done() -> None:
    for token, allowed in (("amber", AMBER), ("green", GREEN)):
        rules = coloured_by(token)
        assert rules
        assert [rule for rule in rules if not any(one in rule for one in allowed)] == [], token


def test_a_finished_card_has_no_colour_of_a_lamp() -> None:
    assert [
        rule for token in ("amber", "red", "green") for rule in coloured_by(token) if "callcard.after" in rule
    ] == []
