"""What a stream sends of a region: each part once, and the outline only if it changed."""

from typing import Any

import pytest

from web.regions import RegionHtml, SentRegion

FIRST, SECOND = "<p><!--part call-1--></p>", "<p><!--part call-2--></p>"


def test_the_parts_are_put_where_their_markers_are() -> None:
    html = RegionHtml(FIRST + SECOND, {"call-1": "one", "call-2": "two"})
    assert html.whole() == "<p>one</p><p>two</p>"


def test_a_marker_within_a_part_is_not_followed() -> None:
    """Names are escaped, so none gets there; if one did, it would show no other card."""
    html = RegionHtml(FIRST, {"call-1": SECOND, "call-2": "secret"})
    assert html.whole() == f"<p>{SECOND}</p>"


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (RegionHtml(FIRST, {"call-1": "one"}), None),
        (RegionHtml(FIRST, {"call-1": "new"}), {"number": 2, "parts": {"call-1": "new"}}),
        (
            RegionHtml(SECOND + FIRST, {"call-1": "one", "call-2": "two"}),
            {"number": 2, "outline": SECOND + FIRST, "parts": {"call-2": "two"}},
        ),
        (RegionHtml(""), {"number": 2, "outline": "", "parts": {}}),
    ],
)
def test_only_what_changed_is_sent(now: RegionHtml, message: dict[str, Any] | None) -> None:
    sent = SentRegion()
    before = {"number": 1, "outline": FIRST, "parts": {"call-1": "one"}}
    assert sent.changes(RegionHtml(FIRST, {"call-1": "one"})) == before
    assert sent.changes(now) == message


def test_a_part_that_was_gone_is_sent_again() -> None:
    """The browser has forgotten it."""
    sent = SentRegion()
    sent.changes(RegionHtml(FIRST, {"call-1": "one"}))
    sent.changes(RegionHtml(""))
    assert sent.changes(RegionHtml(FIRST, {"call-1": "one"})) == {
        "number": 3,
        "outline": FIRST,
        "parts": {"call-1": "one"},
    }
