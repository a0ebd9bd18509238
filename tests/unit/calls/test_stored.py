"""A listener that takes over knows each call as the one before it had written it down."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ami.tracker import Tracker
from pbxcrm.calls.facts import CallState, Leg
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.calls.rules import clean_caller_name
from pbxcrm.calls.stored_state import columns_of, columns_of_leg, stored_state_of
from tests.unit.tracker.streams import all_streams

START = datetime(2026, 11, 21, tzinfo=UTC)


def states(name: str) -> list[CallState]:
    """Everything the tracker says of the calls of a recorded stream while they go on."""
    tracker = Tracker()
    said = []
    for n, message in enumerate(all_streams()[name]):
        said += [fact.call for fact in tracker.feed(message, START + timedelta(milliseconds=n), position=n)]
    return [state for state in said if state.ended_at is None]


def row_of(leg: Leg) -> CallLeg:
    return CallLeg(call_id=1, channel_id=leg.channel_id, extension=leg.extension, **columns_of_leg(leg))


@pytest.mark.parametrize("name", sorted(all_streams()))
def test_what_was_written_of_a_call_reads_as_it_was_said(name: str) -> None:
    for state in states(name):
        columns: dict[str, Any] = columns_of(state, None)
        call = Call(pbx=state.pbx, linkedid=state.linkedid, **columns)
        said = replace(state, client_name=clean_caller_name(state.client_name))  # what a page cannot show is not kept
        assert stored_state_of(call, [row_of(leg) for leg in state.legs]) == said
