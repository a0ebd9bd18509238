"""What people type as a checklist, and what must be ticked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.shared.errors import Invalid
from pbxcrm.tasks import checklist_rules

TEXTS = (
    st.text(min_size=1, max_size=40)
    .map(lambda text: " ".join(text.split()))
    .filter(lambda text: text and not text.startswith("!") and text.isprintable())
)
ITEMS = st.lists(st.builds(checklist_rules.item, TEXTS, required=st.booleans()), max_size=20)


@given(ITEMS)
def test_what_is_shown_as_lines_is_read_as_the_same_items(items: list[checklist_rules.Item]) -> None:
    assert checklist_rules.parse_lines(checklist_rules.as_lines(items)) == items


def test_a_line_with_a_mark_is_required_and_what_was_ticked_stays_ticked() -> None:
    before = [checklist_rules.item("Call", done=True), checklist_rules.item("Send", done=True)]
    found = checklist_rules.parse_lines("! Call\n\n  Write  the \t offer \n", before)
    assert found == [checklist_rules.item("Call", required=True, done=True), checklist_rules.item("Write the offer")]


def test_a_thousand_items_are_refused_with_the_number() -> None:
    with pytest.raises(Invalid, match="at most 100 items, this one has 1000") as refused:
        checklist_rules.parse_lines("\n".join(f"Item {n}" for n in range(1000)))
    assert refused.value.field == "checklist"


def test_an_item_too_long_is_named() -> None:
    with pytest.raises(Invalid, match=r"Item 2 .* longer than 300"):
        checklist_rules.parse_lines(f"Call\n{'x' * 301}")


def test_what_is_missing_is_what_is_required_and_not_ticked() -> None:
    items = [
        checklist_rules.item("Call", required=True),
        checklist_rules.item("Send", required=True, done=True),
        checklist_rules.item("Smile"),
    ]
    assert checklist_rules.missing(items) == ["Call"]
    assert checklist_rules.missing(checklist_rules.ticked(items, 0, done=True)) == []
    with pytest.raises(Invalid, match="no such item"):
        checklist_rules.ticked(items, 3, done=True)
