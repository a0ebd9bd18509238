"""Ranges of own and spam numbers: calls from them make no deals, whoever may say so, and what a range may not be."""

from datetime import timedelta

import pytest
from sqlmodel import select

from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.models import NumberKind, SpecialRange
from pbxcrm.contacts.range_actions import add_range, remove_range
from pbxcrm.deals.models import Deal
from pbxcrm.forms.models import RequestState
from pbxcrm.phone.actions import call_client
from pbxcrm.reactions.call_context import load_call_context
from pbxcrm.reactions.caller_lookup import NOBODY, look_up
from pbxcrm.shared.errors import Invalid, NotAllowed
from pbxcrm.shared.settings import Settings
from tests.calls import NOON, FactStory, batch
from tests.forms import ROBERTS_NUMBER, make_form, send
from tests.integration.callbacks.conftest import CallbackDesk
from tests.integration.callbacks.conftest import desk as desk  # noqa: PLC0414 - a fixture of theirs

FIRST, LAST = "044 555 00 10", "044 555 00 19"
INSIDE, AT_THE_ENDS, OUTSIDE = "+380445550015", ("+380445550010", "+380445550019"), ("+380445550009", "+380445550020")


async def put(desk: CallbackDesk, kind: NumberKind, first: str = FIRST, last: str = LAST, who: str = "admin") -> int:
    viewer = await desk.viewer(who)
    async with desk.database.write() as session:
        added = await add_range(session, viewer, first, last, kind, region="UA", now=NOON)
        return added.id or 0


async def miss(desk: CallbackDesk, number: str) -> None:
    desk.count += 1
    await desk.intake.apply(batch(FactStory(f"9.{desk.count}", number).ring("101").wait(9).end()))


async def test_calls_from_a_range_make_neither_deals_nor_callbacks(desk: CallbackDesk) -> None:
    range_id = await put(desk, NumberKind.SPAM)
    for number in (INSIDE, *AT_THE_ENDS):
        await miss(desk, number)
    assert not await desk.rows(Deal)
    assert not await desk.rows(Episode)
    assert {call.reason["code"] for call in await desk.rows(Call)} == {"call.spam"}
    for number in (*OUTSIDE, "+4930445550015"):  # longer, though it sorts between them
        await miss(desk, number)
    assert len(await desk.rows(Deal)) == 3
    async with desk.database.write() as session:
        await remove_range(session, await desk.viewer("admin"), range_id, now=NOON)
    await miss(desk, INSIDE)
    assert len(await desk.rows(Deal)) == 4


async def test_a_client_who_has_a_number_of_a_range_stays_a_client(desk: CallbackDesk) -> None:
    await put(desk, NumberKind.OWN)
    async with desk.database.write() as session:
        ivan = await desk.viewer("ivan")
        await create_contact(session, ivan, name="Client", phones=[INSIDE], now=NOON, region="UA")
    await miss(desk, INSIDE)
    assert len(await desk.rows(Deal)) == 1


async def test_the_dialplan_knows_nobody_of_a_range_and_our_own_numbers_are_not_called(
    desk: CallbackDesk, settings: Settings
) -> None:
    await put(desk, NumberKind.OWN)
    async with desk.database.write() as session:
        context = await load_call_context(session, settings)
        assert await look_up(session, context, INSIDE, "100", NOON) == NOBODY
        with pytest.raises(Invalid) as refused:
            await call_client(session, await desk.viewer("ivan"), settings, number=INSIDE, now=NOON)
    assert refused.value.code == "phone.own"


@pytest.mark.parametrize(
    ("first", "last", "field", "code"),
    [
        ("044 555 00 00", "044 555 00 10", "first", "numbers.overlap"),
        ("044 555 00 19", "044 555 00 30", "first", "numbers.overlap"),
        ("044 555 00 00", "044 555 00 99", "first", "numbers.overlap"),
        ("044 555 00 12", "044 555 00 13", "first", "numbers.overlap"),
        ("044 666 00 12", "044 666 00 11", "last", "numbers.backwards"),
        ("044 666 00 12", "+49 30 44666001234", "last", "numbers.lengths"),
        ("044 100 00 00", "044 199 99 99", "last", "numbers.too_many"),
        ("", "044 666 00 11", "first", "contacts.number"),
        ("044 666 00 11", "=cmd|' /C calc'!A0", "last", "contacts.number"),
    ],
)
async def test_what_a_range_may_not_be(desk: CallbackDesk, first: str, last: str, field: str, code: str) -> None:
    await put(desk, NumberKind.OWN)
    with pytest.raises(Invalid) as refused:
        await put(desk, NumberKind.SPAM, first, last)
    assert (refused.value.field, refused.value.code) == (field, code)
    assert len(await desk.rows(SpecialRange)) == 1


@pytest.mark.parametrize("who", ["ivan", "maria", "kira"])
async def test_only_administrators_change_ranges(desk: CallbackDesk, who: str) -> None:
    range_id = await put(desk, NumberKind.OWN)
    with pytest.raises(NotAllowed):
        await put(desk, NumberKind.SPAM, "044 666 00 00", "044 666 00 09", who)
    viewer = await desk.viewer(who)
    async with desk.database.write() as session:
        with pytest.raises(NotAllowed):
            await remove_range(session, viewer, range_id, now=NOON)
    async with desk.database.read() as session:
        assert (await session.exec(select(SpecialRange.id))).all() == [range_id]


async def test_a_request_with_a_number_of_a_range_is_set_aside_unless_a_client_has_it(desk: CallbackDesk) -> None:
    """``send`` sends the number 067 111 22 33."""
    await put(desk, NumberKind.SPAM, "067 111 22 00", "067 111 22 99")
    form = await make_form(desk.database, await desk.viewer("admin"), NOON)
    assert (await send(desk.database, form, NOON)).state == RequestState.ASIDE
    async with desk.database.write() as session:
        ivan = await desk.viewer("ivan")
        await create_contact(session, ivan, name="Client", phones=[ROBERTS_NUMBER], now=NOON, region="UA")
    assert (await send(desk.database, form, NOON + timedelta(hours=1))).state == RequestState.DEAL
