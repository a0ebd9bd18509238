"""Calls that another listener left open end when nothing is left of them, and never twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ami.inherited_calls import Inherited
from pbxcrm.calls.facts import CallFact, CallState, Direction, FactKind, Handover, Leg, LegResult, MissedReason, Outcome
from tests.fakes.plain_tracker import make_state

BEGAN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOW = BEGAN + timedelta(minutes=5)


def going_on(linkedid: str, *channels: str) -> CallState:
    return replace(make_state(linkedid, BEGAN, Outcome.OPEN), channel_ids=(linkedid, *channels))


def fact(kind: FactKind, call: CallState) -> CallFact:
    return CallFact(kind, "", 1, NOW, call)


def test_what_is_not_there_any_more_is_over_and_nobody_knows_how() -> None:
    rang = Leg("1.2", "101", BEGAN, BEGAN, None, None, LegResult.RINGING)
    refused = Leg("1.3", "102", BEGAN, BEGAN, None, BEGAN, LegResult.BUSY, 17)
    call = replace(going_on("1.1", "1.2", "1.3"), ringing=("101",), rang=("101",), legs=(rang, refused))
    inherited = Inherited(
        Handover(
            open_calls=(
                call,
                going_on("2.1"),
            )
        )
    )
    (ended,) = inherited.end_missing(["2.1"], NOW)
    assert (ended.key, ended.at) == ("ended:#1", NOW)
    cancelled = replace(rang, result=LegResult.CANCELLED, ended_at=NOW)
    assert ended.call == replace(call, outcome=Outcome.UNKNOWN, ended_at=NOW, ringing=(), legs=(cancelled, refused))
    assert [fact.call.linkedid for fact in inherited.end_missing((), NOW)] == ["2.1"]
    assert not inherited.end_missing((), NOW)


def test_who_had_talked_was_answered() -> None:
    talks = Leg("1.2", "101", BEGAN, BEGAN, BEGAN, None, LegResult.TALKING)
    call = replace(going_on("1.1"), answered_at=BEGAN, talked=("101",), talking=("101",), legs=(talks,))
    (ended,) = Inherited(Handover(open_calls=(call,))).end_missing((), NOW)
    assert (ended.call.outcome, ended.call.talked, ended.call.talking) == (Outcome.ANSWERED, ("101",), ())
    assert ended.call.legs == (replace(talks, result=LegResult.TALKED, ended_at=NOW),)


def test_what_the_tracker_tells_of_is_left_to_it() -> None:
    inherited = Inherited(Handover(open_calls=(going_on("1.1"),)))
    opened = fact(FactKind.OPENED, going_on("1.1"))
    assert inherited.hear([opened]) == [opened, replace(opened, kind=FactKind.UPDATED)]
    assert inherited.hear([opened]) == [opened]
    assert inherited.end_missing((), NOW) == []


def test_it_counts_on_from_what_was_told() -> None:
    """The database has two rings of 101 of the time before; one of them this tracker knows from its own journal."""
    told = {("1.1", "ringing", "101"): 2, ("1.1", "updated", ""): 3}
    call = going_on("1.1")
    inherited = Inherited(Handover(open_calls=(call,), told=told))
    ring = CallFact(FactKind.RINGING, "101", 1, NOW, call)
    assert inherited.hear([fact(FactKind.OPENED, call), ring], of_this_term=False)[1] == ring
    keys = [fact.key for fact in inherited.hear([replace(ring, ordinal=2), replace(ring, party="102")])]
    assert keys == ["ringing:101#3", "ringing:102#1"]
    strange = Inherited(Handover(open_calls=(call,), told=told))
    keys = [fact.key for fact in strange.hear([fact(FactKind.OPENED, call), ring])]
    assert keys == ["opened:#1", "ringing:101#3", "updated:#4"]
    assert strange.hear([fact(FactKind.UPDATED, call)])[0].key == "updated:#5"


def test_what_lives_on_in_a_call_of_another_name_ends_with_it() -> None:
    """A transfer made one call of two while nobody listened: their channels have one Linkedid now."""
    inherited = Inherited(Handover(open_calls=(going_on("1.1", "1.2"),)))
    together = going_on("0.9", "1.2")
    opened = fact(FactKind.OPENED, together)
    assert inherited.hear([opened]) == [opened]  # no call of the handover has that name
    assert inherited.end_missing(["1.2"], NOW) == []
    last = fact(FactKind.ENDED, replace(together, outcome=Outcome.MISSED))
    told, ended = inherited.hear([last])
    assert told == last
    assert (ended.call.linkedid, ended.call.outcome) == ("1.1", Outcome.UNKNOWN)


def test_what_goes_on_keeps_its_history() -> None:
    """101 and 103 rang, 101 talked and is gone again; this listener meets the client in a menu, then 102 rings."""
    talked = Leg("1.2", "101", BEGAN, BEGAN, BEGAN, BEGAN, LegResult.TALKED)
    rings = Leg("1.3", "103", BEGAN, BEGAN, None, None, LegResult.RINGING)
    before = replace(
        going_on("1.1", "1.2", "1.3"),
        rang=("101", "103"),
        talked=("101",),
        answered_by="101",
        answered_at=BEGAN,
        did="0441230001",
        legs=(talked, rings),
    )
    inherited = Inherited(Handover(open_calls=(before,)))
    met = replace(going_on("1.1"), started_at=NOW)
    opened, _ = inherited.hear([fact(FactKind.OPENED, met)])
    gone = replace(rings, result=LegResult.CANCELLED, ended_at=NOW)
    assert opened.call == replace(before, legs=(talked, gone))
    later = NOW + timedelta(minutes=1)
    another = Leg("1.4", "102", later, later, None, later, LegResult.CANCELLED)
    over = replace(met, outcome=Outcome.MISSED, missed_reason=MissedReason.ABANDONED_RINGING, ended_at=later)
    over = replace(over, rang=("102",), legs=(another,), channel_ids=("1.1", "1.4"))
    (ended,) = inherited.hear([CallFact(FactKind.ENDED, "", 1, later, over)])
    assert (ended.call.outcome, ended.call.missed_reason, ended.call.ended_at) == (Outcome.ANSWERED, None, later)
    assert (ended.call.rang, ended.call.answered_by) == (("101", "103", "102"), "101")
    assert ended.call.legs == (talked, gone, another)
    assert ended.call.channel_ids == ("1.1", "1.2", "1.3", "1.4")


def test_who_knows_a_call_from_its_beginning_is_not_corrected() -> None:
    """The same journal again: the database says how it stood at some moment, the tracker how it stands later."""
    leg = Leg("1.2", "101", BEGAN, BEGAN, None, None, LegResult.RINGING)
    before = replace(going_on("1.1", "1.2"), rang=("102", "101"), talked=("102",), answered_at=BEGAN, legs=(leg,))
    now = replace(
        before,
        direction=Direction.OUTBOUND,
        made_by="101",
        talked=("101", "102"),
        legs=(replace(leg, answered_at=NOW, result=LegResult.TALKING),),
    )
    said = [fact(FactKind.JOINED, now), fact(FactKind.ENDED, replace(now, outcome=Outcome.ANSWERED, ended_at=NOW))]
    assert Inherited(Handover(open_calls=(before,))).hear(said) == said


def test_an_outside_line_of_before_is_known_and_ends_with_the_call() -> None:
    """A colleague's mobile is an outside line; whose it is is found again from each fact, so it must not be forgotten."""
    mobile = Leg("1.9", "0501112233", BEGAN, BEGAN, BEGAN, None, LegResult.TALKING)
    call = replace(going_on("1.1", "1.9"), answered_at=BEGAN, outside=(mobile,))
    inherited = Inherited(Handover(open_calls=(call,)))
    met, _ = inherited.hear([fact(FactKind.OPENED, going_on("1.1"))])
    assert met.call.outside == (replace(mobile, result=LegResult.TALKED, ended_at=NOW),)
    (ended,) = Inherited(Handover(open_calls=(call,))).end_missing((), NOW)
    assert ended.call.outside == (replace(mobile, result=LegResult.TALKED, ended_at=NOW),)


def test_a_call_that_began_after_the_snapshot_is_not_missing_in_it() -> None:
    """The database was away when the snapshot was taken; another machine told of the call meanwhile."""
    later = replace(going_on("2.1"), started_at=BEGAN + timedelta(seconds=10))
    inherited = Inherited(Handover(open_calls=(going_on("1.1"), later)))
    gone = inherited.end_missing((), NOW, BEGAN + timedelta(seconds=5))
    assert [fact.call.linkedid for fact in gone] == ["1.1"]
    assert [fact.call.linkedid for fact in inherited.end_missing((), NOW)] == ["2.1"]


def test_who_heard_a_call_from_its_beginning_decides_its_direction() -> None:
    """Until the phones talked the database took it for a call to an outside number."""
    guessed = replace(
        going_on("1.1", "1.2"), direction=Direction.OUTBOUND, client_heard="0441230000", click_to_call=True
    )
    heard = replace(going_on("1.1", "1.2", "1.3"), direction=Direction.INTERNAL)
    (told, _) = Inherited(Handover(open_calls=(guessed,))).hear([fact(FactKind.JOINED, heard)])
    assert (told.call.direction, told.call.client_heard, told.call.click_to_call) == (Direction.INTERNAL, None, False)
    late = replace(heard, started_at=BEGAN + timedelta(milliseconds=1))  # seen in a snapshot, without its history
    (told, _) = Inherited(Handover(open_calls=(guessed,))).hear([fact(FactKind.JOINED, late)])
    assert (told.call.direction, told.call.client_heard) == (Direction.OUTBOUND, "0441230000")
