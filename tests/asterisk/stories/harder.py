"""Rarer turns: two phones of one person, consultation without transfer, transfers out and by the manager, a dead PBX."""

from tests.asterisk.office import SOFTPHONE, AsteriskOffice
from tests.asterisk.stories.calls_out import click
from tests.asterisk.stories.story import CLIENT, OUTSIDE, inbound, internal, moved, outbound, story, without
from tests.asterisk.stories.transfers import handed_over

HOSTILE = "<script>alert(1)</script> \u202eOlena\u202c 😀 ${SHELL(id)}; DROP TABLE"


@story(
    inbound("answered", rang=["106"], answered_by="106", talked=["106"], did="106"),
    filtered=True,
    technologies=("PJSIP",),
)
async def two_phones_of_one_extension(office: AsteriskOffice) -> None:
    """The desk telephone and the softphone ring; the softphone answers. It is one person."""
    client = await office.trunk.call_in("106")
    desk = await office.phones["106"].incoming()
    desk.ring()
    soft = await office.phones[SOFTPHONE].incoming()
    soft.ring()
    await office.boss.event("Newstate", ChannelStateDesc="Ringing", count=2)
    soft.answer()
    await client.wait_answered()
    await desk.wait_ended()
    await office.talk()
    await client.hang_up()


@story(handed_over(), internal("answered", rang=["103"], answered_by="103", talked=["101", "103"]))
async def consultation_without_transfer(office: AsteriskOffice) -> None:
    """101 asks 103 on a second line, and goes on alone with the client."""
    client, _ = await office.answered("101", "101")
    await office.talk()
    consultation = await office.phones["101"].call("103")
    (colleague,) = await office.ringing("103")
    colleague.answer()
    await consultation.wait_answered()
    await office.talk()
    await consultation.hang_up()
    await office.talk()
    await client.hang_up()


@story(without(handed_over("102", rang=["101", "102"], queue="sales", transfers=moved("101", "102", "blind")), "rang"))
async def blind_transfer_into_a_queue(office: AsteriskOffice) -> None:
    client, phone = await office.answered("101", "101")
    await office.talk()
    await phone.transfer("200")
    second = await office.phones["102"].incoming()
    second.ring()
    second.answer()
    await office.boss.event("AgentConnect")
    await office.talk()
    await client.hang_up()


@story(handed_over())
async def blind_transfer_to_a_mobile(office: AsteriskOffice) -> None:
    """What happens outside is nobody's talk here."""
    client, phone = await office.answered("101", "101")
    await office.talk()
    await phone.transfer(OUTSIDE)
    mobile = await office.trunk.incoming()
    mobile.ring()
    mobile.answer()
    await office.boss.event("BridgeEnter", count=4)
    await office.talk()
    await client.hang_up()


@story(handed_over("103", rang=["101", "103"], transfers=moved("101", "103", "blind")), filtered=True)
async def blind_transfer_by_manager(office: AsteriskOffice) -> None:
    """Action BlindTransfer, as the button in the browser does it."""
    client, _ = await office.answered("101", "101")
    await office.talk()
    await office.boss.act("BlindTransfer", Channel=await office.channel("101"), Context="internal", Exten="103")
    (target,) = await office.ringing("103")
    target.answer()
    await office.connected("103")
    await office.talk()
    await client.hang_up()


@story(handed_over("103", rang=["101", "103"], transfers=moved("101", "103", "attended")), filtered=True)
async def attended_transfer_by_manager(office: AsteriskOffice) -> None:
    """Action Atxfer: asks first; 101 hangs up to complete it."""
    client, phone = await office.answered("101", "101")
    client.speak()
    phone.speak()
    await office.talk()
    await office.boss.act("Atxfer", Channel=await office.channel("101"), Context="internal", Exten="103")
    (target,) = await office.ringing("103")
    target.answer()
    await office.connected("103")
    await office.talk()
    await phone.hang_up()
    await office.boss.event("AttendedTransfer")
    await office.talk()
    await client.hang_up()


@story(outbound("answered", talked=["101", "103"], transfers=moved("101", "103", "blind")))
async def outbound_then_transferred(office: AsteriskOffice) -> None:
    seller = await office.phones["101"].call(OUTSIDE)
    client = await office.trunk.incoming()
    client.ring()
    client.answer()
    await seller.wait_answered()
    await office.talk()
    await seller.transfer("103")
    (target,) = await office.ringing("103")
    target.answer()
    await office.connected("103")
    await office.talk()
    await client.hang_up()


@story(
    inbound("answered", queue="optimised", rang=["101", "102"], answered_by="101", talked=["101"], did="211"),
    filtered=True,
)
async def queue_local_members_optimised(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("211")
    first, _ = await office.ringing("101", "102")
    first.answer()
    await office.boss.event("AgentConnect")
    await office.talk()
    await client.hang_up()


@story(inbound("answered", rang=["101", "102"], answered_by="102", talked=["102"], did="308"))
async def ring_group_over_local_channels(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("308")
    _, second = await office.ringing("101", "102")
    second.answer()
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story(inbound("voicemail", queue="sales", rang=["101", "102"], did="212"))
async def queue_then_voicemail(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("212")
    await client.wait_answered()
    client.speak()
    await office.ringing("101", "102")
    await office.boss.event("Newexten", Application="VoiceMail")
    await office.talk(1)
    await client.dtmf("#")  # enough of the greeting
    await office.talk(1.5)  # the message
    await client.dtmf("#")
    await office.boss.event("MessageWaiting", Mailbox="101@default")
    await client.hang_up()


@story(outbound("answered", talked=["101"], click_to_call=True), filtered=True)
async def click_to_call_through_local(office: AsteriskOffice) -> None:
    """Originate to Local/101@…, as FreePBX wants it."""
    await office.boss.act("Originate", **click(office, "4", "Local/101@ring-long"))
    (seller,) = await office.ringing("101")
    seller.answer()
    client = await office.trunk.incoming()
    client.ring()
    client.answer()
    await office.connected("trunk")
    await office.talk()
    await client.hang_up()


@story(inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="101", client_name=HOSTILE))
async def hostile_name(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("101", name=HOSTILE)
    (phone,) = await office.ringing("101")
    phone.answer()
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story(inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="101", client_number=None))
async def withheld_number(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("101", caller="anonymous", name="Anonymous")
    (phone,) = await office.ringing("101")
    phone.answer()
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story({"direction": "inbound", "outcome": "open", "client_number": CLIENT, "rang": ["101"]}, restarts=True)
async def pbx_killed(office: AsteriskOffice) -> None:
    """``kill -9`` while 101 rings: no goodbye, the stream just ends."""
    await office.trunk.call_in("101")
    await office.ringing("101")
    await office.talk()
    await office.server.kill()
    await office.server.start()
