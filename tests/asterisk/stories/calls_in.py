"""A client calls: hunting, forwarding, follow-me, voicemail, phones that behave oddly."""

from tests.asterisk.office import AsteriskOffice
from tests.asterisk.stories.story import OUTSIDE, inbound, story, without


@story(inbound("answered", rang=["101", "102"], answered_by="102", talked=["102"], did="301"), filtered=True)
async def hunting_second_answers(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("301")
    await office.ringing("101")
    (second,) = await office.ringing("102")
    second.answer()
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story(inbound("missed", missed_reason="timeout", rang=["101", "102", "103"], did="301"), filtered=True)
async def hunting_nobody(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("301")
    for number in ("101", "102", "103"):
        await office.ringing(number)
    await client.wait_ended()


@story(inbound("answered", rang=["103"], answered_by="103", talked=["103"], did="302"), filtered=True)
async def forward_302_answered(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("302")
    (await office.phones["101"].incoming()).redirect("103")
    (target,) = await office.ringing("103")
    target.answer()
    await client.wait_answered()
    await office.talk()
    await target.hang_up()


@story(inbound("missed", missed_reason="timeout", rang=["103"], did="302"))
async def forward_302_missed(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("302")
    (await office.phones["101"].incoming()).redirect("103")
    await office.ringing("103")
    await client.wait_ended()


@story(without(inbound("answered", answered_by="101", rang=["101"], did="302"), "talked"))
async def forward_302_outside_answered(office: AsteriskOffice) -> None:
    """101 answers for it, though the talk is with a mobile phone that the PBX does not know."""
    client = await office.trunk.call_in("302")
    phone = await office.phones["101"].incoming()
    phone.ring()
    await client.wait_ringing()
    phone.redirect(OUTSIDE)
    mobile = await office.trunk.incoming()
    mobile.ring()
    mobile.answer()
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story(inbound("missed", rang=["101"], did="303"), filtered=True)
async def followme_not_confirmed(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("303")
    (phone,) = await office.ringing("101")
    phone.answer()
    phone.speak()
    await office.connected("101")
    await office.talk(0.5)  # 101 listens to the question and does not press 1
    await phone.hang_up()
    await client.wait_ended(patience=30)


@story(inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="303"))
async def followme_confirmed(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("303")
    (phone,) = await office.ringing("101")
    phone.answer()
    phone.speak()
    await office.connected("101")
    await office.talk(2.5)  # 101 hears who calls, and the question
    await phone.dtmf("1")
    # Three bridges: the client's, the phone's, and at last the one between FollowMe and the phone.
    await office.boss.event("BridgeEnter", count=6)
    await office.talk()
    await client.hang_up()


@story(inbound("missed", rang=["101"], did="304"))
async def confirmation_by_dialplan_declined(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("304")
    (phone,) = await office.ringing("101")
    phone.answer()
    phone.speak()
    await office.talk(0.5)
    await phone.dtmf("2")
    await phone.wait_ended()
    await client.wait_ended()


# With chan_sip, Asterisk puts the phone that has just hung up into a bridge with the client for a fraction of a millisecond.
@story(inbound("missed", rang=["101"], did="304"), technologies=("PJSIP",))
async def confirmation_by_dialplan_not_given(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("304")
    (phone,) = await office.ringing("101")
    phone.answer()
    phone.speak()
    await office.talk(0.5)
    await phone.hang_up()
    await client.wait_ended(patience=20)


@story(inbound("voicemail", rang=["101"], did="306"), filtered=True)
async def voicemail_left(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("306")
    await office.ringing("101")
    await client.wait_answered()
    client.speak()
    await office.boss.event("Newexten", Application="VoiceMail")
    await office.talk(2.5)  # the beep, and then the message
    await client.dtmf("#")
    await office.boss.event("MessageWaiting", Mailbox="101@default")
    await client.hang_up()


@story(inbound("missed", rang=["101"], did="306"))
async def voicemail_not_left(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("306")
    await office.ringing("101")
    await client.wait_answered()
    await office.talk()  # the client hears the greeting
    await client.hang_up()


@story(inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="101"))
async def answered_without_ringing(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("101")
    phone = await office.phones["101"].incoming()
    phone.answer()
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story(inbound("missed", missed_reason="unreachable", did="105"), filtered=True)
async def phone_not_registered(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("105")
    await client.wait_ended()


@story(inbound("missed", rang=["101"], did="101"))
async def refused_by_the_phone(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("101")
    (phone,) = await office.ringing("101")
    phone.refuse(603)
    await client.wait_ended()
