"""Calls that another listener left open end when nothing is left of them, and never twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ami.inheriting import Inherited
from ami.snapshot import Snapshot
from pbxcrm.calls.facts import CallFact, CallState, FactKind, Leg, LegResult, Outcome
from tests.fakes.plain_tracker import make_state

BEGAN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOW = BEGAN + timedelta(minutes=5)
NOTHING = Snapshot(channels=())


def going_on(linkedid: str, *channels: str) -> CallState:
    return replace(make_state(linkedid, BEGAN, Outcome.OPEN), channel_ids=(linkedid, *channels))


def fact(kind: FactKind, call: CallState) -> CallFact:
    return CallFact(kind, "", 1, NOW, call)


def test_what_is_not_there_any_more_is_over_and_nobody_knows_how() -> None:
    rang = Leg("1.2", "101", BEGAN, BEGAN, None, None, LegResult.RINGING)
    refused = Leg("1.3", "102", BEGAN, BEGAN, None, BEGAN, LegResult.BUSY, 17)
    call = replace(going_on("1.1", "1.2", "1.3"), ringing=("101",), rang=("101",), legs=(rang, refused))
    inherited = Inherited([call, going_on("2.1")])
    (ended,) = inherited.end_missing(Snapshot(channels=({"Uniqueid": "2.1"},)), NOW)
    assert (ended.key, ended.at) == ("ended:#1", NOW)
    cancelled = replace(rang, result=LegResult.CANCELLED, ended_at=NOW)
    assert ended.call == replace(call, outcome=Outcome.UNKNOWN, ended_at=NOW, ringing=(), legs=(cancelled, refused))
    assert [fact.call.linkedid for fact in inherited.end_missing(NOTHING, NOW)] == ["2.1"]
    assert not inherited.end_missing(NOTHING, NOW)


def test_who_had_talked_was_answered() -> None:
    talks = Leg("1.2", "101", BEGAN, BEGAN, BEGAN, None, LegResult.TALKING)
    call = replace(going_on("1.1"), answered_at=BEGAN, talked=("101",), talking=("101",), legs=(talks,))
    (ended,) = Inherited([call]).end_missing(NOTHING, NOW)
    assert (ended.call.outcome, ended.call.talked, ended.call.talking) == (Outcome.ANSWERED, ("101",), ())
    assert ended.call.legs == (replace(talks, result=LegResult.TALKED, ended_at=NOW),)


def test_what_the_tracker_tells_of_is_left_to_it() -> None:
    inherited = Inherited([going_on("1.1")])
    assert inherited.hear([fact(FactKind.OPENED, going_on("1.1"))]) == []
    assert inherited.end_missing(NOTHING, NOW) == []


def test_what_lives_on_in_a_call_of_another_name_ends_with_it() -> None:
    """A transfer made one call of two while nobody listened: their channels have one Linkedid now."""
    inherited = Inherited([going_on("1.1", "1.2")])
    together = going_on("0.9", "1.2")
    assert inherited.hear([fact(FactKind.OPENED, together)]) == []
    assert inherited.end_missing(Snapshot(channels=({"Uniqueid": "1.2", "Linkedid": "0.9"},)), NOW) == []
    (ended,) = inherited.hear([fact(FactKind.ENDED, replace(together, outcome=Outcome.MISSED))])
    assert (ended.call.linkedid, ended.call.outcome) == ("1.1", Outcome.UNKNOWN)
