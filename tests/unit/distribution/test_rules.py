"""Pure rules of distribution (D11): who of a rule could get a deal, who gets it, and what is said about the others."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.calendars.models import Leave
from pbxcrm.calendars.queries import Calendars
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.composition import compose
from pbxcrm.distribution.models import DistributionRule
from pbxcrm.distribution.rules import (
    Counts,
    Kind,
    Member,
    Method,
    Otherwise,
    Pick,
    people_of,
    pick,
    standings,
    who_acts,
)
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import Team, User
from pbxcrm.shared import reasons

compose()
KYIV = ZoneInfo("Europe/Kyiv")
DAY = WorkingTime(KYIV, (((9 * 60, 18 * 60),),) * 5 + ((), ()))
LATE = WorkingTime(KYIV, (((18 * 60, 23 * 60),),) * 7)
NOON = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)  # a Wednesday, 14:00 in Kyiv
ANNA, BORYS, CHRIS, DARIA, EMIL, MARIA = range(1, 7)


def person(user_id: int, name: str, role: str = "seller", team_id: int | None = 1, **more: Any) -> User:
    return User(
        id=user_id, login=name.lower(), name=name, role=role, password_hash="", team_id=team_id, created_at=NOON, **more
    )


PEOPLE = Directory(
    {
        ANNA: person(ANNA, "Anna"),
        BORYS: person(BORYS, "Borys"),
        CHRIS: person(CHRIS, "Chris"),
        DARIA: person(DARIA, "Daria", team_id=2, calendar_id=2),  # works late
        EMIL: person(EMIL, "Emil", role="qc", team_id=None),
        MARIA: person(MARIA, "Maria", role="manager"),
    },
    {1: Team(id=1, name="Sales"), 2: Team(id=2, name="Late")},
    {},
)
CALENDARS = Calendars({2: LATE}, DAY, PEOPLE)


def away(user_id: int, deputy_id: int | None = None) -> Calendars:
    leave = Leave(
        user_id=user_id, starts_at=NOON - timedelta(days=1), ends_at=NOON + timedelta(days=1), deputy_id=deputy_id
    )
    return replace(CALENDARS, leaves={user_id: (leave,)})


def rule(*members: Member | int, method: Method = Method.TURNS, **more: Any) -> DistributionRule:
    stored = [(each if isinstance(each, Member) else Member(Kind.USER, each)).stored() for each in members]
    return DistributionRule(
        id=1, name="New", method=method.value, members=stored, **{"otherwise": Otherwise.NOBODY.value, **more}
    )


NOTHING = Counts()


def ask(
    asked: DistributionRule,
    counts: Counts = NOTHING,
    *,
    calendars: Calendars = CALENDARS,
    at: datetime = NOON,
    amount: str | None = None,
) -> Pick:
    known = Decimal(amount) if amount is not None else None
    return pick(
        asked,
        standings(asked, who_acts(asked, PEOPLE, calendars, at), PEOPLE, calendars, at, counts, known),
        PEOPLE,
        counts,
    )


TEAM = Member(Kind.TEAM, 1)
BIG = (Member(Kind.USER, ANNA, Decimal(1000)), Member(Kind.USER, BORYS, Decimal(100)), Member(Kind.USER, CHRIS))


@pytest.mark.parametrize(
    ("asked", "counts", "gets", "said"),
    [
        # by turns: who has had none first, in the order of the rule; then whose turn is longest ago
        (rule(BORYS, ANNA), Counts(), BORYS, "whose turn it was"),
        (rule(BORYS, ANNA), Counts({BORYS: 1}), ANNA, "whose turn it was"),
        (rule(ANNA, BORYS, CHRIS), Counts({ANNA: 5, BORYS: 4, CHRIS: 6}), BORYS, ""),
        # a team: its sellers, not its manager; somebody named keeps their place
        (rule(TEAM), Counts({ANNA: 1, BORYS: 2}), CHRIS, ""),
        (rule(TEAM), Counts({ANNA: 1, BORYS: 2, CHRIS: 3}), ANNA, ""),
        (rule(TEAM, MARIA), Counts({ANNA: 1, BORYS: 2, CHRIS: 3}), MARIA, ""),
        # least busy; equal ones by turns
        (
            rule(ANNA, BORYS, method=Method.LEAST_DEALS),
            Counts(deals={ANNA: 3, BORYS: 2}),
            BORYS,
            "fewest open deals: 2",
        ),
        (rule(ANNA, BORYS, method=Method.LEAST_DEALS), Counts({ANNA: 7}, {ANNA: 2, BORYS: 2}), BORYS, ""),
        (rule(ANNA, BORYS, method=Method.LEAST_TASKS), Counts(tasks={ANNA: 1, BORYS: 4}), ANNA, "open tasks: 1"),
        # limits
        (rule(ANNA, BORYS, most_open=3), Counts(deals={ANNA: 3}), BORYS, "as the rule allows (3): Anna"),
        (rule(ANNA, BORYS, most_per_day=2), Counts(today={ANNA: 2}), BORYS, "Got as many today as the rule allows (2)"),
        (rule(ANNA, most_open=1), Counts(deals={ANNA: 1}), None, "Nobody of the rule “New” can get it"),
        # who may not, who is off shift
        (rule(EMIL, ANNA), Counts(), ANNA, "does not work on deals: Emil"),
        (rule(EMIL), Counts(), None, ""),
        (rule(DARIA, ANNA), Counts(), ANNA, "Off shift: Daria"),
        (rule(DARIA, ANNA, on_shift=False), Counts(), DARIA, ""),
        (rule(DARIA), Counts(), None, "Off shift: Daria"),
        (rule(), Counts(), None, "names nobody"),
        (rule(DARIA, otherwise="next"), Counts(), None, "so the next rule was asked"),
    ],
)
def test_who_gets_it(asked: DistributionRule, counts: Counts, gets: int | None, said: str) -> None:
    found = ask(asked, counts)
    assert found.user_id == gets
    assert said in reasons.text(found.why)


@pytest.mark.parametrize(
    ("amount", "turns", "gets"),
    [
        ("5000", {}, ANNA),  # the bigger to the experienced
        ("5000", {ANNA: 9}, ANNA),
        ("1000", {}, ANNA),
        ("999.99", {}, BORYS),
        ("99", {}, CHRIS),
        (None, {}, CHRIS),  # without an amount it counts as a small one
    ],
)
def test_by_value(amount: str | None, turns: dict[int, int], gets: int) -> None:
    assert ask(rule(*BIG, method=Method.VALUE), Counts(turns), amount=amount).user_id == gets


def test_a_big_deal_goes_down_to_those_who_are_there_and_a_small_one_never_up() -> None:
    big = rule(*BIG, method=Method.VALUE)
    assert ask(big, calendars=away(ANNA), amount="5000").user_id == BORYS
    nobody = ask(big, calendars=away(CHRIS), amount="5")
    assert nobody.user_id is None
    assert "Takes only larger deals: Anna, Borys" in reasons.text(nobody.why)
    assert "from 1000" in reasons.text(ask(big, amount="5000").why)


def test_a_deputy_takes_the_turn_of_who_is_away() -> None:
    found = ask(rule(ANNA, BORYS), calendars=away(ANNA, CHRIS))
    assert (found.user_id, found.turn_of) == (CHRIS, ANNA)
    assert "Chris stands in for Anna" in reasons.text(found.why)
    assert ask(rule(ANNA, BORYS, most_open=1), Counts(deals={CHRIS: 1}), calendars=away(ANNA, CHRIS)).user_id == BORYS


@pytest.mark.parametrize("deputy", [None, BORYS])
def test_away_without_a_deputy_or_with_one_who_has_a_turn_of_their_own(deputy: int | None) -> None:
    found = ask(rule(ANNA, BORYS), calendars=away(ANNA, deputy))
    assert found.user_id == BORYS
    assert "Away: Anna" in reasons.text(found.why)


def test_a_deputy_whose_role_works_on_no_deals_gets_none() -> None:
    assert ask(rule(ANNA), calendars=away(ANNA, EMIL)).user_id is None


def test_who_has_left_gets_none() -> None:
    gone = replace(PEOPLE, users={**PEOPLE.users, ANNA: person(ANNA, "Anna", is_active=False)})
    asked = rule(ANNA, BORYS)
    calendars = replace(CALENDARS, people=gone)
    standing = standings(asked, who_acts(asked, gone, calendars, NOON), gone, calendars, NOON, Counts(), None)
    found = pick(asked, standing, gone, Counts())
    assert found.user_id == BORYS
    assert "Has left: Anna" in reasons.text(found.why)


def test_fifty_who_are_off_shift_make_one_sentence() -> None:
    many = replace(PEOPLE, users={n: person(n, f"P{n}", calendar_id=2) for n in range(1, 51)})
    asked = rule(*many.users)
    calendars = replace(CALENDARS, people=many)
    standing = standings(asked, who_acts(asked, many, calendars, NOON), many, calendars, NOON, Counts(), None)
    found = pick(asked, standing, many, Counts())
    assert reasons.sentences(found.why)[1] == "Off shift: P1, P2, P3, P4, P5, P6, P7, P8 +42."


HOURS = st.lists(st.integers(0, 24 * 14), min_size=1, max_size=60)
SOMEBODY = st.sampled_from([ANNA, BORYS, CHRIS, DARIA, EMIL, MARIA])


@given(
    members=st.lists(SOMEBODY, min_size=1, max_size=6, unique=True),
    hours=HOURS,
    method=st.sampled_from(Method),
    most_open=st.none() | st.integers(1, 4),
    on_shift=st.booleans(),
    absent=st.none() | SOMEBODY,
    deputy=st.none() | SOMEBODY,
    amounts=st.lists(st.none() | st.integers(0, 5000), min_size=60, max_size=60),
)
def test_never_over_the_limit_nor_to_somebody_who_cannot_and_fair_within_one(
    members: list[int],
    hours: list[int],
    method: Method,
    most_open: int | None,
    on_shift: bool,
    absent: int | None,
    deputy: int | None,
    amounts: list[int | None],
) -> None:
    calendars = away(absent, deputy) if absent is not None and deputy != absent else CALENDARS
    asked = rule(*members, method=method, most_open=most_open, on_shift=on_shift)
    got: Counter[int] = Counter()
    turns: dict[int, int] = {}
    always = {each for each in members if each in {ANNA, BORYS, CHRIS} and each not in {absent, deputy}}
    for number, hour in enumerate(sorted(hours)):
        at = NOON - timedelta(days=7) + timedelta(hours=hour)
        counts = Counts(dict(turns), dict(got), dict(got))
        amount = amounts[number]
        found = ask(asked, counts, calendars=calendars, at=at, amount=None if amount is None else str(amount))
        if found.user_id is None:
            continue
        assert found.turn_of is not None
        assert PEOPLE.users[found.user_id].role != "qc"
        assert calendars.leave_of(found.user_id, at) is None
        assert not on_shift or calendars.on_shift(found.user_id, at)
        assert found.user_id in members or found.turn_of == absent
        got[found.user_id] += 1
        assert most_open is None or got[found.user_id] <= most_open
        turns[found.turn_of] = max(turns.values(), default=0) + 1
    shares = [got[each] for each in always]
    # Those who could get each of the deals got as many as each other, or one more.
    assert not shares or max(shares) - min(shares) <= 1


def test_people_of_a_rule_each_once_and_who_is_named_keeps_their_amount() -> None:
    asked = rule(Member(Kind.TEAM, 1, Decimal(10)), Member(Kind.USER, BORYS, Decimal(500)), Member(Kind.USER, 99))
    assert people_of(asked, PEOPLE) == {ANNA: Decimal(10), BORYS: Decimal(500), CHRIS: Decimal(10)}
