"""Calling, transferring and hanging up by pages, and phones that are nobody's."""

from pbxcrm.callbacks.models import Episode
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.phone.models import PhoneCommand
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch
from tests.integration.callbacks.conftest import CLIENT
from tests.integration.web.callback_site import HTMX, CallbackSite, desk, press, site

__all__ = ["desk", "site"]


async def test_calling_from_any_page_and_what_is_refused(site: CallbackSite) -> None:
    ivan, kira = await site.open("ivan"), await site.open("kira")
    answer = await press(ivan, "/phone/call", "/board", number="067 111 22 33", deal_id="", contact_id="")
    assert "Calling +380 67 111 22 33" in answer.text
    assert answer.headers["hx-retarget"] == "#toasts"
    assert ">calling<" in (await ivan.get("/phone/state", headers=HTMX)).text
    olena = await site.open("olena")
    answer = await press(olena, "/phone/call", number=CLIENT)
    assert (answer.status_code, "Ivan Kravets is calling this client right now." in answer.text) == (409, True)
    answer = await press(ivan, "/phone/call", number="1\r\nAction: Command")
    assert (answer.status_code, "not a number that can be called" in answer.text) == (422, True)
    assert (await press(kira, "/phone/call", number="067 111 22 34")).status_code == 403
    foreign = await ivan.post("/phone/call", data={"number": CLIENT}, headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403


async def test_the_pbx_is_away_in_a_clear_word(site: CallbackSite) -> None:
    async with site.desk.database.write() as session:
        status = await session.get(PbxStatus, "default")
        assert status
        status.state = "unreachable"
    episode = await site.desk.miss()
    answer = await press(await site.open("ivan"), f"/callbacks/{episode.id}/call")
    assert (answer.status_code, "nothing was dialled" in answer.text) == (503, True)
    assert (await site.desk.one(Episode)).claimed_by_id is None


async def test_transfer_and_hang_up_from_the_card(site: CallbackSite) -> None:
    await site.desk.intake.apply(batch(FactStory("17.1", at=site.now).ring("101").answer("101")))
    ivan = await site.open("ivan")
    answer = await press(ivan, "/phone/transfer", call_id=1, target="102", attended="1")
    assert "hang up to hand the client over" in answer.text
    assert "The client goes to 103." in (await press(ivan, "/phone/transfer", call_id=1, target="103")).text
    assert "Hanging up." in (await press(ivan, "/phone/hangup", call_id=1)).text
    assert [order.kind for order in await site.desk.rows(PhoneCommand)] == ["attended", "transfer", "hangup"]
    assert (await press(await site.open("petro"), "/phone/hangup", call_id=1)).status_code == 404


async def test_a_phone_that_is_nobodys_is_on_the_managers_page_until_dealt_with(site: CallbackSite) -> None:
    await site.desk.intake.apply(batch(FactStory("17.1", at=NOON).ring("107").answer("107").wait(9).end()))
    maria = await site.open("maria")
    assert "Who has extension 107?" in (await maria.get("/escalations")).text
    status = (await maria.get("/status")).text
    assert "belong to nobody: 107" in status
    assert "Everything is well" not in status
    task = await site.desk.one(Task)
    answer = await press(maria, f"/escalations/tasks/{task.id}/done", "/escalations", why="It is the warehouse")
    assert "Nothing has reached you" in answer.text
    assert (await site.desk.one(Task)).result == "It is the warehouse"
