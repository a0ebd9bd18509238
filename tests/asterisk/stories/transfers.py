"""A call goes from one colleague to another: transfers of every kind, parking, redirect, pickup."""

from tests.asterisk.office import AsteriskOffice
from tests.asterisk.stories.story import Call, inbound, moved, story, without


def handed_over(*talked: str, **more: object) -> Call:
    """101 answered the line 101; further colleagues may have talked after."""
    return inbound("answered", rang=["101"], answered_by="101", talked=["101", *talked], did="101") | more


@story(without(handed_over("102"), "transfers"), filtered=True)
async def park_and_retrieve(office: AsteriskOffice) -> None:
    client, phone = await office.answered("101", "101")
    await office.talk()
    await phone.transfer("700")
    parked = await office.boss.event("ParkedCall")
    other = await office.phones["102"].call(parked["ParkingSpace"])
    await other.wait_answered()  # by the PBX, which says a word before it lets them talk
    await office.boss.event("UnParkedCall")
    await office.boss.event("BridgeEnter", Channel=await office.channel("102"))
    await office.talk()
    await client.hang_up()


@story(handed_over())
async def park_comeback(office: AsteriskOffice) -> None:
    client, phone = await office.answered("101", "101")
    await office.talk()
    await phone.transfer("700")
    await office.boss.event("ParkedCall")
    again = await office.phones["101"].incoming()  # nobody fetched the client in two seconds
    again.ring()
    again.answer()
    await office.boss.event("Newstate", Channel=await office.channel("101"), ChannelStateDesc="Up")
    await office.talk()
    await client.hang_up()


@story(handed_over())
async def park_then_client_hangs_up(office: AsteriskOffice) -> None:
    client, phone = await office.answered("101", "101")
    await office.talk()
    await phone.transfer("700")
    await office.boss.event("ParkedCall")
    await client.hang_up()


@story(handed_over("103", rang=["101", "103"], transfers=moved("101", "103", "blind")), filtered=True)
async def redirect_by_manager(office: AsteriskOffice) -> None:
    client, _ = await office.answered("101", "101")
    await office.talk()
    await office.boss.act(
        "Redirect", Channel=await office.channel("trunk"), Context="internal", Exten="103", Priority="1"
    )
    (target,) = await office.ringing("103")
    target.answer()
    await office.connected("103")
    await office.talk()
    await client.hang_up()


@story(handed_over("103", rang=["101", "103"], transfers=moved("101", "103", "blind")))
async def blind_transfer_answered(office: AsteriskOffice) -> None:
    client, phone = await office.answered("101", "101")
    await office.talk()
    await phone.transfer("103")
    (target,) = await office.ringing("103")
    target.answer()
    await office.connected("103")
    await office.talk()
    await client.hang_up()


@story(handed_over(rang=["101", "103"]), filtered=True)
async def blind_transfer_nobody(office: AsteriskOffice) -> None:
    client, phone = await office.answered("101", "101")
    await office.talk()
    await phone.transfer("103")
    await office.ringing("103")
    await client.wait_ended()


@story(handed_over("103", rang=["101", "103"], transfers=moved("101", "103", "attended")))
async def blonde_transfer_answered(office: AsteriskOffice) -> None:
    client, phone = await office.answered("101", "101")
    await office.talk()
    consultation = await office.phones["101"].call("103")
    (target,) = await office.ringing("103")
    await consultation.wait_ringing()
    await phone.transfer_to(consultation)
    await office.boss.event("AttendedTransfer")
    target.answer()
    await office.connected("103")
    await office.talk()
    await client.hang_up()


@story(handed_over(rang=["101", "103"]))
async def blonde_transfer_nobody(office: AsteriskOffice) -> None:
    client, phone = await office.answered("101", "101")
    await office.talk()
    consultation = await office.phones["101"].call("103")
    await office.ringing("103")
    await consultation.wait_ringing()
    await phone.transfer_to(consultation)
    await office.boss.event("AttendedTransfer")
    await client.wait_ended()


@story(handed_over("103", rang=["101", "103"], transfers=moved("101", "103", "attended")))
async def attended_transfer_by_phone(office: AsteriskOffice) -> None:
    client, phone = await office.answered("101", "101")
    await office.talk()
    consultation = await office.phones["101"].call("103")
    (target,) = await office.ringing("103")
    target.answer()
    await consultation.wait_answered()
    await office.talk()
    await phone.transfer_to(consultation)
    await office.boss.event("AttendedTransfer")
    await office.talk()
    await client.hang_up()


@story(handed_over("103", rang=["101", "103"], transfers=moved("101", "103", "attended")))
async def attended_transfer_by_feature_code(office: AsteriskOffice) -> None:
    client, phone = await office.answered("101", "101")
    client.speak()
    phone.speak()
    await office.talk()
    await phone.dtmf("*2")
    await office.boss.event("MusicOnHoldStart")
    await phone.dtmf("103")
    (target,) = await office.ringing("103")
    target.answer()
    await office.connected("103")
    await office.talk()
    await phone.hang_up()
    await office.boss.event("AttendedTransfer")
    await office.talk()
    await client.hang_up()


@story(inbound("answered", rang=["101"], answered_by="104", talked=["104"], did="101"))
async def pickup_from_another_group(office: AsteriskOffice) -> None:
    """104 is in group 2 and may pick up group 1 as well."""
    client = await office.trunk.call_in("101")
    await office.ringing("101")
    picker = await office.phones["104"].call("*8")
    await picker.wait_answered()
    await client.wait_answered()
    await office.talk()
    await client.hang_up()
