"""What the outside lines carry: colleagues' mobiles that answer, and the prefixes of carriers before a client's number."""

from tests.asterisk.office import WEB_PHONE, AsteriskOffice
from tests.asterisk.stories.programs import taken
from tests.asterisk.stories.story import OUTSIDE, inbound, outbound, story

NATIONAL = "0" + OUTSIDE.removeprefix("+380")


@story(inbound("answered", rang=["101", "102"], did="310"), filtered=True)
async def mobile_in_the_ring_group_answers(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("310")
    await office.ringing("101", "102")
    await taken(office, "trunk")
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story(inbound("answered", rang=["101"], did="311"))
async def mobile_over_the_trunk_answers(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("311")
    await office.ringing("101")
    await taken(office, "trunk")
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story(inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="311"))
async def phone_answers_before_the_mobile(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("311")
    (phone,) = await office.ringing("101")
    (await office.trunk.incoming()).ring()
    phone.answer()
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story(inbound("missed", rang=["101"], did="311", missed_reason="abandoned_ringing"))
async def neither_phone_nor_mobile(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("311")
    await office.ringing("101")
    (await office.trunk.incoming()).ring()
    await office.talk()
    await client.cancel()


@story(inbound("answered", did="312", answered_by="102", talked=["102"]), filtered=True)
async def followed_to_the_mobile(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("312")
    mobile = await taken(office, "trunk")
    mobile.speak()
    await office.talk(2)
    await mobile.dtmf("1")
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story(inbound("answered", did="302", answered_by="101", talked=["101"]), filtered=True)
async def forwarded_to_a_mobile(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("302")
    (await office.phones["101"].incoming()).redirect("+380509990001")
    await taken(office, "trunk")
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


async def called(office: AsteriskOffice, number: str) -> None:
    """101 dials, and the client answers."""
    seller = await office.phones["101"].call(number)
    client = await taken(office, "trunk")
    await seller.wait_answered()
    await office.talk()
    await client.hang_up()


@story(outbound("answered", talked=["101"]), filtered=True)
async def carriers_prefix(office: AsteriskOffice) -> None:
    await called(office, NATIONAL)


@story(outbound("answered", talked=["101"]))
async def nine_for_an_outside_line(office: AsteriskOffice) -> None:
    await called(office, f"9{NATIONAL}")


@story(outbound("answered", talked=["101"]))
async def nine_and_carriers_prefix(office: AsteriskOffice) -> None:
    await called(office, f"99{NATIONAL}")


@story(outbound("answered", talked=["101"]))
async def without_ones_number(office: AsteriskOffice) -> None:
    await called(office, f"*31*{NATIONAL}")


@story(inbound("answered", rang=["101"], did="313"), filtered=True, technologies=("PJSIP",))
async def phone_of_another_name_answers(office: AsteriskOffice) -> None:
    """The settings do not say yet that 107-WS is a telephone, so nobody of ours talked."""
    client = await office.trunk.call_in("313")
    await office.ringing("101")
    await taken(office, WEB_PHONE)
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story(inbound("missed", rang=[], did="314", queue="web", missed_reason="abandoned_in_queue"), technologies=("PJSIP",))
async def phone_of_another_name_rings_in_a_queue(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("314")
    await office.ringing(WEB_PHONE)
    await client.hang_up()
