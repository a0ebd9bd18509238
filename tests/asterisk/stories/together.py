"""Several calls in one stream, and a PBX that goes away in the middle."""

from tests.asterisk.office import AsteriskOffice
from tests.asterisk.stories.story import inbound, story

OTHER = "+380441234567"


@story(
    inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="101"),
    inbound(
        "missed", missed_reason="abandoned_ringing", rang=["102"], did="102", client_number=OTHER, client_name="Тарас"
    ),
    filtered=True,
)
async def two_at_once(office: AsteriskOffice) -> None:
    first, _ = await office.answered("101", "101")
    second = await office.trunk.call_in("102", caller=OTHER, name="Тарас")
    await office.ringing("102")
    await office.talk()
    await second.cancel()
    await first.hang_up()


@story(
    inbound("missed", missed_reason="abandoned_ringing", rang=["101"], did="101"),
    inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="101"),
)
async def same_client_twice(office: AsteriskOffice) -> None:
    first = await office.trunk.call_in("101")
    (phone,) = await office.ringing("101")
    await first.cancel()
    await phone.wait_ended()
    second, _ = await office.answered("101", "101")
    await office.talk()
    await second.hang_up()


@story(
    inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="101"),
    inbound("answered", rang=["102"], answered_by="102", talked=["102"], did="102"),
)
async def same_client_on_two_lines(office: AsteriskOffice) -> None:
    first, _ = await office.answered("101", "101")
    second, _ = await office.answered("102", "102")
    await office.talk()
    await second.hang_up()
    await first.hang_up()


@story(
    inbound("answered", rang=["101"], answered_by="101", talked=["101"], did="101"),
    inbound("interrupted", rang=["102"], did="102", client_number=OTHER),
    restarts=True,
    filtered=True,
)
async def restart_of_the_pbx(office: AsteriskOffice) -> None:
    """One talks and one rings when ``core restart now`` comes."""
    await office.answered("101", "101")
    await office.trunk.call_in("102", caller=OTHER)
    await office.ringing("102")
    await office.talk()
    await office.server.restart()


@story(inbound("interrupted", rang=["101"], did="101"), restarts=True)
async def restart_while_ringing(office: AsteriskOffice) -> None:
    await office.trunk.call_in("101")
    await office.ringing("101")
    await office.server.restart()
