"""The PBX itself answers first: queues, IVR, conference."""

from tests.asterisk.office import AsteriskOffice
from tests.asterisk.stories.story import inbound, story


@story(inbound("missed", did="201"), filtered=True)
async def queue_nobody_can_serve(office: AsteriskOffice) -> None:
    """joinempty: the client is not let in, and no queue event says so. The call ends with neither ringing nor reason."""
    client = await office.trunk.call_in("201")
    await client.wait_ended()


@story(
    inbound("missed", missed_reason="abandoned_in_queue", queue="localq", rang=["101", "102"], did="210"), filtered=True
)
async def queue_local_members_abandoned(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("210")
    await office.ringing("101", "102")
    await client.hang_up()


@story(inbound("answered", queue="localq", rang=["101", "102"], answered_by="102", talked=["102"], did="210"))
async def queue_local_members_answered(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("210")
    _, second = await office.ringing("101", "102")
    second.answer()
    await office.boss.event("AgentConnect")
    await office.talk()
    await client.hang_up()


@story(
    inbound("answered", queue="sales", rang=["101", "102"], answered_by="101", talked=["101"], did="307"), filtered=True
)
async def ivr_then_queue_answered(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("307")
    await client.wait_answered()
    client.speak()
    await client.dtmf("1")
    first, _ = await office.ringing("101", "102")
    first.answer()
    await office.boss.event("AgentConnect")
    await office.talk()
    await client.hang_up()


@story(inbound("missed", missed_reason="abandoned_in_ivr", did="307"))
async def ivr_abandoned(office: AsteriskOffice) -> None:
    client = await office.trunk.call_in("307")
    await client.wait_answered()
    await office.talk()
    await client.hang_up()


@story(inbound("answered", queue="sales", rang=["101", "102"], answered_by="102", talked=["102"], did="200"))
async def queue_rings_again_then_answered(office: AsteriskOffice) -> None:
    """Nobody takes it in the first round of five seconds; the second round is answered."""
    client = await office.trunk.call_in("200")
    await office.ringing("101", "102")
    _, second = await office.ringing("101", "102")
    second.answer()
    await office.boss.event("AgentConnect")
    await office.talk()
    await client.hang_up()


@story(inbound("answered", rang=[], answered_by="101", talked=["101", "102"], did="305"))
async def conference(office: AsteriskOffice) -> None:
    """The client waits in the conference; 101 and then 102 dial into it."""
    client = await office.trunk.call_in("305")
    await office.boss.event("ConfbridgeJoin")
    first = await office.phones["101"].call("8000")
    await office.boss.event("ConfbridgeJoin", count=2)
    second = await office.phones["102"].call("8000")
    await office.boss.event("ConfbridgeJoin", count=3)
    await office.talk()
    await second.hang_up()
    await first.hang_up()
    await client.hang_up()
