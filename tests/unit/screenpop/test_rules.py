"""Which card stands on whose screen (B1, B4)."""

import pytest

from pbxcrm.screenpop.rules import CardState, card_state, phone_state


@pytest.mark.parametrize(
    ("direction", "outcome", "legs", "unfinished", "popup", "expected"),
    [
        ("inbound", "open", ["ringing"], False, "ringing", CardState.RINGING),
        ("inbound", "open", ["ringing"], False, "answered", None),
        ("inbound", "open", ["talking"], True, "answered", CardState.TALKING),
        ("inbound", "open", ["talking"], True, "off", None),
        ("inbound", "open", ["elsewhere"], False, "ringing", None),  # a colleague answered
        ("inbound", "open", ["no_answer", "ringing"], False, "ringing", CardState.RINGING),  # the queue rings again
        ("inbound", "open", [], True, "ringing", CardState.AFTER),  # transferred away, the call goes on
        ("inbound", "answered", ["talked"], True, "ringing", CardState.AFTER),
        ("inbound", "answered", ["talked"], False, "ringing", None),
        ("inbound", "missed", ["cancelled"], False, "ringing", None),
        (
            "inbound",
            "missed",
            ["ringing"],
            False,
            "ringing",
            None,
        ),  # an end that was heard wins over a leg that was not
        ("outbound", "open", ["dialled"], False, "ringing", CardState.RINGING),
        ("outbound", "open", ["dialled"], False, "answered", CardState.RINGING),  # one's own call shows in either mode
        ("inbound", "open", ["dialled"], False, "ringing", None),  # does not ring yet
        ("internal", "open", ["ringing"], False, "ringing", None),
    ],
)
def test_card_state(
    direction: str, outcome: str, legs: list[str], unfinished: bool, popup: str, expected: CardState | None
) -> None:
    assert (
        card_state(direction=direction, outcome=outcome, leg_results=legs, unfinished=unfinished, popup=popup)
        is expected
    )


@pytest.mark.parametrize(
    ("legs", "state"),
    [
        ([], "free"),
        ([("inbound", "dialled")], "free"),
        ([("inbound", "ringing")], "ringing"),
        ([("outbound", "dialled")], "calling"),
        ([("outbound", "ringing")], "calling"),
        ([("internal", "ringing"), ("inbound", "talking")], "talking"),
    ],
)
def test_phone_state(legs: list[tuple[str, str]], state: str) -> None:
    assert phone_state(legs) == state
