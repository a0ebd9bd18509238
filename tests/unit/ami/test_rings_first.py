"""A phone that rings does not wait for the deals of other calls; the facts of one call keep their order."""

from hypothesis import given
from hypothesis import strategies as st

from ami.messages import Framer, is_wanted, parse
from ami.rings_first import RINGING, rings_first
from ami.tracker import Tracker, TrackerSettings
from pbxcrm.calls.facts import CallFact, FactKind
from tests.calls import FactStory, batch
from tests.unit.tracker.streams import RECORDED

LINE = [
    FactStory("1.1").ring("101").answer("101").wait(20).end(),
    FactStory("2.1").ring("102", "103").wait(9).end(),
    FactStory("3.1").ring("104"),
]


def test_rings_come_before_ends() -> None:
    urgent, rest = rings_first(list(batch(*LINE).facts))
    assert {fact.call.linkedid for fact in urgent} == {"1.1", "2.1", "3.1"}
    assert FactKind.ENDED not in {fact.kind for fact in urgent}
    assert [fact.kind for fact in rest if fact.call.linkedid == "2.1"] == [FactKind.ENDED]


def test_what_follows_a_talk_waits_for_it() -> None:
    again = FactStory("1.1").ring("101").answer("101").ring("102")  # somebody else is asked to join
    urgent, rest = rings_first(list(batch(again).facts))
    assert [fact.kind for fact in urgent] == [FactKind.OPENED, FactKind.RINGING]
    assert [fact.kind for fact in rest][-1] == FactKind.RINGING


@given(st.lists(st.sampled_from(batch(*LINE).facts), max_size=30))
def test_nothing_is_lost_and_each_call_keeps_its_order(facts: list[CallFact]) -> None:
    urgent, rest = rings_first(facts)
    assert len(urgent) + len(rest) == len(facts)
    for linkedid in {fact.call.linkedid for fact in facts}:
        of_call = [fact for fact in facts if fact.call.linkedid == linkedid]
        assert [fact for fact in [*urgent, *rest] if fact.call.linkedid == linkedid] == of_call


def test_what_makes_a_phone_ring_is_told_from_other_messages_by_its_bytes() -> None:
    """But for who is rung after a transfer, of whom the PBX said earlier that the phone rings."""
    rang = 0
    for path in RECORDED.glob("**/*.ami"):
        tracker = Tracker(TrackerSettings())
        for raw in Framer().feed(path.read_bytes()):
            if is_wanted(raw) and any(fact.kind is FactKind.RINGING for fact in tracker.feed(parse(raw))):
                rang += 1
                assert RINGING in raw or b"Event: AttendedTransfer" in raw, path
    assert rang > 300
