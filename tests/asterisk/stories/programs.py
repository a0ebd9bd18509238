"""Calls that programs make and join: dialers, conferences, click-to-dial of other makers; programs that speak themselves."""

from tests.asterisk.ari import APP, ari
from tests.asterisk.leg import PhoneLeg
from tests.asterisk.office import AsteriskOffice
from tests.asterisk.stories.story import CLIENT, OUTSIDE, inbound, internal, moved, outbound, story, without
from tests.asterisk.stories.transfers import handed_over

SECOND = "+380501234567"
MOBILE = "+380509990001"


def dialled(**more: object) -> dict[str, object]:
    """A program called 101 and the client."""
    return without(outbound("answered", talked=["101"]), "click_to_call") | more


async def originate(office: AsteriskOffice, channel: str, name: str, **how: str) -> None:
    """Originate; ``name`` makes the call's id unique."""
    name = f"{name}-{office.play}" if office.play else name
    headers = {"Channel_": channel, "Timeout": "8000", "Async": "true", "ChannelId": f"dialer-{name}"} | how
    await office.boss.act("Originate", **headers)


async def to_wait(office: AsteriskOffice, channel: str, name: str, **how: str) -> None:
    """The program calls somebody who shall wait until it joins them with another."""
    await originate(office, channel, name, Application="Wait", Data="20", **how)


async def join(office: AsteriskOffice, one: str, other: str) -> None:
    await office.boss.act("Bridge", Channel1=await office.channel(one), Channel2=await office.channel(other))


async def taken(office: AsteriskOffice, number: str) -> PhoneLeg:
    """The call that reaches this phone, or the trunk, rings and is answered."""
    leg = await (office.trunk if number == "trunk" else office.phones[number]).incoming()
    leg.ring()
    leg.answer()
    await office.boss.event("Newstate", ChannelStateDesc="Up", Channel=await office.channel(number))
    return leg


def outside(office: AsteriskOffice, number: str = OUTSIDE) -> str:
    return f"PJSIP/{number}@trunk" if office.technology == "PJSIP" else f"SIP/trunk/{number}"


@story(dialled(rang=["101"]), filtered=True)
async def dialer_bridges_agent_and_client(office: AsteriskOffice) -> None:
    await to_wait(office, f"{office.technology}/101", "1")
    await taken(office, "101")
    await to_wait(office, outside(office), "2")
    client = await taken(office, "trunk")
    await join(office, "101", "trunk")
    await office.talk()
    await client.hang_up()


@story(dialled(), filtered=True)
async def dialer_calls_the_client_first(office: AsteriskOffice) -> None:
    """A predictive dialer: it shows the client the company's number, and the agent the client's."""
    await to_wait(office, outside(office), "3", CallerID="<+380441230000>")
    client = await taken(office, "trunk")
    await to_wait(office, f"{office.technology}/101", "4", CallerID=f"<{OUTSIDE}>")
    await taken(office, "101")
    await join(office, "trunk", "101")
    await office.talk()
    await client.hang_up()


@story(dialled(), dialled(client_number=SECOND), filtered=True)
async def agent_at_rest_in_a_conference(office: AsteriskOffice) -> None:
    """101 stays in the conference; the dialer sends one client after the other into it."""
    agent = await office.phones["101"].call("8000")
    await office.boss.event("BridgeEnter", Channel=await office.channel("101"))
    for nth, number in enumerate((OUTSIDE, SECOND), start=1):
        await originate(office, outside(office, number), f"5{nth}", Application="ConfBridge", Data="8000")
        client = await taken(office, "trunk")
        await office.boss.event("BridgeEnter", Channel=await office.channel("trunk"))
        await office.talk()
        await client.hang_up()
        await office.boss.event("Hangup", Channel=await office.channel("trunk"))
    await agent.hang_up()


@story(without(outbound("answered", talked=[], made_by=None), "click_to_call", "client_number"), filtered=True)
async def two_outside_numbers_by_originate(office: AsteriskOffice) -> None:
    how = {"Context": "click-to-call", "Exten": SECOND, "Priority": "1"}
    await originate(office, outside(office), "6", **how)
    await taken(office, "trunk")
    second = await taken(office, "trunk")
    await office.boss.event("BridgeEnter", count=2)
    await office.talk()
    await second.hang_up()


@story(without(outbound("answered", talked=[], made_by=None), "click_to_call", "client_number"))
async def two_outside_numbers_bridged(office: AsteriskOffice) -> None:
    await to_wait(office, outside(office), "7")
    await taken(office, "trunk")
    first = await office.channel("trunk")
    await to_wait(office, outside(office, SECOND), "8")
    second = await taken(office, "trunk")
    await office.boss.act("Bridge", Channel1=first, Channel2=await office.channel("trunk"))
    await office.talk()
    await second.hang_up()


@story(without(outbound("answered", talked=[], made_by=None), "click_to_call"), filtered=True)
async def two_outside_numbers_through_local(office: AsteriskOffice) -> None:
    """As programs should: the dialplan calls the first number, so that the PBX's own record holds it."""
    how = {"Context": "click-to-call", "Exten": SECOND, "Priority": "1"}
    await originate(office, f"Local/{OUTSIDE}@click-to-call/n", "15", **how)
    await taken(office, "trunk")
    second = await taken(office, "trunk")
    await office.boss.event("BridgeEnter", Channel=await office.channel("trunk"))
    await office.talk()
    await second.hang_up()


@story(dialled(), filtered=True)
async def dialer_through_local_joins_in_a_conference(office: AsteriskOffice) -> None:
    agent = await office.phones["101"].call("8000")
    await office.boss.event("BridgeEnter", Channel=await office.channel("101"))
    await originate(office, f"Local/{OUTSIDE}@click-to-call", "16", Application="ConfBridge", Data="8000")
    client = await taken(office, "trunk")
    await office.connected("trunk")
    await office.talk(1)
    await client.hang_up()
    await office.boss.event("Hangup", Channel=await office.channel("trunk"))
    await agent.hang_up()


@story(internal("answered", rang=["101", "102"], answered_by="102", talked=["101", "102"]), filtered=True)
async def click_to_dial_a_colleague_through_local(office: AsteriskOffice) -> None:
    await originate(office, "Local/101@ring-long", "9", Context="ring-long", Exten="102", Priority="1")
    await taken(office, "101")
    colleague = await taken(office, "102")
    await office.boss.event("BridgeEnter", Channel=await office.channel("102"))
    await office.talk()
    await colleague.hang_up()


@story(internal("answered", rang=["101", "102"], answered_by="102", talked=["101", "102"]))
async def click_to_dial_a_colleague_with_the_companys_number(office: AsteriskOffice) -> None:
    how = {"Context": "ring-long", "Exten": "102", "Priority": "1", "CallerID": "Office <+380441230000>"}
    await originate(office, "Local/101@ring-long/n", "10", **how)
    await taken(office, "101")
    colleague = await taken(office, "102")
    await office.boss.event("BridgeEnter", Channel=await office.channel("102"))
    await office.talk()
    await colleague.hang_up()


@story(inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="322"), filtered=True)
async def program_fetches_a_colleague_for_the_caller(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("322")
    await client.wait_answered()
    waiting = await office.channel("trunk")
    await to_wait(office, f"{office.technology}/101", "11", CallerID=f"<{CLIENT}>")
    await taken(office, "101")
    await office.boss.act("Bridge", Channel1=waiting, Channel2=await office.channel("101"))
    await office.talk()
    await client.hang_up()


@story(inbound("answered", did="322"))
async def program_fetches_a_mobile_for_the_caller(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("322")
    await client.wait_answered()
    waiting = await office.channel("trunk")
    await to_wait(office, outside(office, MOBILE), "12", CallerID=f"<{CLIENT}>")
    await taken(office, "trunk")
    await office.boss.act("Bridge", Channel1=waiting, Channel2=await office.channel("trunk"))
    await office.talk()
    await client.hang_up()


@story(inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="305"), filtered=True)
async def colleague_is_called_into_the_conference(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("305")
    await office.boss.event("BridgeEnter", Channel=await office.channel("trunk"))
    await originate(office, f"{office.technology}/101", "13", Application="ConfBridge", Data="8000")
    phone = await taken(office, "101")
    await office.boss.event("BridgeEnter", Channel=await office.channel("101"))
    await office.talk()
    await client.hang_up()
    await office.boss.event("Hangup", Channel=await office.channel("trunk"))
    await phone.hang_up()


@story(
    inbound("missed", did="305", missed_reason="abandoned_in_ivr"),
    {"direction": "outbound", "outcome": "not_dialled", "made_by": "101", "talked": []},
)
async def nobody_comes_into_the_conference(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("305")
    await office.boss.event("BridgeEnter", Channel=await office.channel("trunk"))
    await originate(office, f"{office.technology}/101", "14", Application="ConfBridge", Data="8000")
    (await office.phones["101"].incoming()).refuse(486)
    await office.boss.event("Hangup", Channel=await office.channel("101"))
    await client.hang_up()


@story(handed_over("103", transfers=moved("101", "103", "attended")), filtered=True)
async def attended_transfer_into_a_conference(office: AsteriskOffice) -> None:
    """103 is in the conference; 101 asks there on a second line and sends the client in."""
    client, phone = await office.answered("101", "101")
    await office.talk()
    await office.phones["103"].call("8000")
    await office.boss.event("BridgeEnter", Channel=await office.channel("103"))
    consultation = await office.phones["101"].call("8000")
    await office.boss.event("BridgeEnter", Channel=await office.channel("101"))
    await office.talk()
    await phone.transfer_to(consultation)
    await office.boss.event("AttendedTransfer")
    await office.talk(1)
    await client.hang_up()
    await office.boss.event("Hangup", Channel=await office.channel("trunk"))
    for leg in list(office.phones["103"].legs.values()):
        await leg.hang_up()


@story(handed_over("103", rang=["101", "103"], transfers=moved("101", "103", "blind")), filtered=True)
async def redirect_of_both(office: AsteriskOffice) -> None:
    """The client goes to 103, and 101 to the conference."""
    client, phone = await office.answered("101", "101")
    await office.talk()
    extra = {"ExtraChannel": await office.channel("101"), "ExtraContext": "internal", "ExtraExten": "8000"}
    how = {"Context": "internal", "Exten": "103", "Priority": "1", "ExtraPriority": "1"}
    await office.boss.act("Redirect", Channel=await office.channel("trunk"), **how, **extra)
    target = await taken(office, "103")
    await office.connected("103")
    await office.talk()
    await client.hang_up()
    await target.wait_ended()
    await phone.hang_up()


@story(outbound("answered", talked=["101", "103"], transfers=moved("101", "103", "blind")), filtered=True)
async def redirect_of_the_client_we_called(office: AsteriskOffice) -> None:
    seller = await office.phones["101"].call(OUTSIDE)
    client = await taken(office, "trunk")
    await seller.wait_answered()
    await office.talk()
    line = await office.channel("trunk")
    await office.boss.act("Redirect", Channel=line, Context="internal", Exten="103", Priority="1")
    await taken(office, "103")
    await office.connected("103")
    await office.talk()
    await client.hang_up()


@story(handed_over("103", rang=["101", "103"], transfers=moved("101", "103", "blind")))
async def redirect_to_a_phone_that_answers_at_once(office: AsteriskOffice) -> None:
    client, _ = await office.answered("101", "101")
    await office.talk()
    how = {"Context": "internal", "Exten": "103", "Priority": "1"}
    await office.boss.act("Redirect", Channel=await office.channel("trunk"), **how)
    (await office.phones["103"].incoming()).answer()
    await office.connected("103")
    await office.talk()
    await client.hang_up()


@story(handed_over(rang=["101", "103"]))
async def redirect_to_a_phone_that_does_not_answer(office: AsteriskOffice) -> None:
    client, _ = await office.answered("101", "101")
    await office.talk()
    how = {"Context": "internal", "Exten": "103", "Priority": "1"}
    await office.boss.act("Redirect", Channel=await office.channel("trunk"), **how)
    await office.ringing("103")
    await client.wait_ended()


@story(without(inbound("missed", did="320"), "missed_reason"), filtered=True)
async def only_a_program_speaks(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("320")
    await client.wait_answered()
    await client.wait_ended()


@story(inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="321"), filtered=True)
async def program_speaks_then_a_colleague(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("321")
    await client.wait_answered()
    await taken(office, "101")
    await office.connected("101")
    await office.talk()
    await client.hang_up()


@story(inbound("missed", rang=["101"], did="321", missed_reason="abandoned_ringing"))
async def program_speaks_then_nobody_answers(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("321")
    await client.wait_answered()
    await office.ringing("101")
    await client.hang_up()


@story(
    inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="101"),
    internal("answered", made_by="103", rang=["103"], talked=["103"]),
    filtered=True,
)
async def supervisor_listens_through_a_panel(office: AsteriskOffice) -> None:
    """A panel has 103 called and lets them hear the talk: no call to anybody outside."""
    client, _ = await office.answered("101", "101")
    await office.connected("101")
    talk = (await office.boss.event("Newchannel", Channel=await office.channel("101")))["Uniqueid"]
    async with ari(office.server.ari_port) as panel:
        spy = await panel.post(f"channels/{talk}/snoop", app=APP, spy="both")
        phone = await panel.post("channels", endpoint=f"{office.technology}/103", app=APP)
        supervisor = await taken(office, "103")
        await panel.started(phone["id"])
        bridge = await panel.post("bridges", type="mixing")
        await panel.post(f"bridges/{bridge['id']}/addChannel", channel=f"{spy['id']},{phone['id']}")
        await office.boss.event("BridgeEnter", Channel=await office.channel("103"))
        await office.talk()
        await client.hang_up()
        await office.boss.event("Hangup", Channel=await office.channel("trunk"))
        await supervisor.hang_up()
