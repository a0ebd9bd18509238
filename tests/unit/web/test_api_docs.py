"""Descriptions on the page of the API."""

import pytest

from web.api.docs import coded


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("as `cursor` for", "as <code>cursor</code> for"),
        ("``null`` ends it, `next` does not", "<code>null</code> ends it, <code>next</code> does not"),
        ("```three```", "<code>three</code>"),
        ("one ` alone", "one  alone"),
        ("``open only", "open only"),
        ("`<b>` & co", "<code>&lt;b&gt;</code> &amp; co"),
    ],
)
def test_code_is_marked_and_no_backtick_is_shown(written: str, shown: str) -> None:
    assert coded(written) == shown
