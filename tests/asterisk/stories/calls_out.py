"""We call: outside, a colleague, by a click."""

from tests.asterisk.office import AsteriskOffice
from tests.asterisk.stories.story import OUTSIDE, internal, outbound, story


def click(office: AsteriskOffice, name: str, channel: str | None = None) -> dict[str, str]:
    """The headers of an Originate as click-to-call sends it; ``name`` makes the call's id unique."""
    where = {"Channel_": channel or f"{office.technology}/101", "Context": "click-to-call", "Exten": OUTSIDE}
    how = {"Priority": "1", "Timeout": "5000", "CallerID": f"<{OUTSIDE}>", "Async": "true"}
    return where | how | {"ChannelId": f"crm-9b2f6c1e-0000-4000-8000-{office.play:011d}{name}"}


@story(outbound("busy", talked=[]))
async def outbound_busy(office: AsteriskOffice) -> None:
    seller = await office.phones["101"].call(OUTSIDE)
    (await office.trunk.incoming()).refuse(486)
    await seller.wait_ended()


@story(outbound("answered", talked=["101"]))
async def outbound_answered(office: AsteriskOffice) -> None:
    seller = await office.phones["101"].call(OUTSIDE)
    client = await office.trunk.incoming()
    client.ring()
    client.answer()
    await seller.wait_answered()
    await office.talk()
    await client.hang_up()


@story(outbound("no_answer"))
async def outbound_given_up(office: AsteriskOffice) -> None:
    seller = await office.phones["101"].call(OUTSIDE)
    (await office.trunk.incoming()).ring()
    await seller.wait_ringing()
    await seller.cancel()


@story(outbound("failed", click_to_call=True), filtered=True)
async def click_to_call_client_fails(office: AsteriskOffice) -> None:
    await office.boss.act("Originate", **click(office, "1"))
    (seller,) = await office.ringing("101")
    seller.answer()
    (await office.trunk.incoming()).refuse(503)
    await seller.wait_ended()


@story(outbound("answered", talked=["101"], click_to_call=True), filtered=True)
async def click_to_call_answered(office: AsteriskOffice) -> None:
    await office.boss.act("Originate", **click(office, "2"))
    (seller,) = await office.ringing("101")
    seller.answer()
    client = await office.trunk.incoming()
    client.ring()
    client.answer()
    await office.connected("trunk")
    await office.talk()
    await client.hang_up()


@story(outbound("not_dialled", click_to_call=True))
async def click_to_call_seller_refuses(office: AsteriskOffice) -> None:
    await office.boss.act("Originate", **click(office, "3"))
    (seller,) = await office.ringing("101")
    seller.refuse(486)


@story(internal("missed", rang=["102"]))
async def internal_unanswered(office: AsteriskOffice) -> None:
    seller = await office.phones["101"].call("102")
    await office.ringing("102")
    await seller.cancel()


@story(internal("answered", rang=["102"], answered_by="102", talked=["101", "102"]))
async def internal_answered(office: AsteriskOffice) -> None:
    seller = await office.phones["101"].call("102")
    (colleague,) = await office.ringing("102")
    colleague.answer()
    await seller.wait_answered()
    await office.talk()
    await seller.hang_up()
