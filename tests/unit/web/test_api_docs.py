"""Descriptions on the page of the API."""

import pytest

from web.api.docs import coded
from web.api.resource import Page
from web.api.table import RESOURCES


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


def test_every_list_takes_a_limit_and_a_cursor() -> None:
    lists = [
        endpoint
        for resource in RESOURCES
        for endpoint in resource.endpoints
        if endpoint.answer is not None and issubclass(endpoint.answer, Page)
    ]
    without = {
        each.path for each in lists if not {"limit", "cursor"} <= set(each.query.model_fields if each.query else ())
    }
    assert len(lists) > 15
    assert not without
