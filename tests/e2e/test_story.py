"""The whole story once: real telephones, a real Asterisk with the example dialplan, the whole product, seen through REST."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.asterisk.examples import ExampleOffice, example_office
from tests.e2e.crm import Crm, crm
from tests.waiting import until

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(900)]
GROUP, QUEUE, MENU = "0441230001", "0441230002", "0441230003"
LOGINS = {"101": "ivan", "102": "olena", "103": "petro"}
CLIENT, OTHER, THIRD = "+380671112233", "+380501112244", "+380931112255"


@asynccontextmanager
async def open_house(folder: Path, version: str = "22") -> AsyncIterator[tuple[ExampleOffice, Crm]]:
    async with (
        example_office(version) as office,
        crm(folder, PBXCRM_AMI_URL=f"ami://pbxcrm:change-me-manager@127.0.0.1:{office.server.ami_port}") as house,
    ):
        yield office, house


async def rung(house: Crm, client: str, *extensions: str) -> None:
    """A phone that rings for a millisecond before a colleague answers may be gone before Asterisk has said that it rang."""

    async def said() -> bool:
        return any(set(call["rang"]) == set(extensions) for call in await house.items("calls", client_number=client))

    await until(said, 30)


@pytest.mark.parametrize("version", ["22", "16"])
async def test_from_the_first_ring_to_the_closed_callback(tmp_path: Path, version: str) -> None:
    async with open_house(tmp_path, version) as (office, house):
        # Answered: a deal in Unsorted of whoever answered.
        client = await office.trunk.call_in(GROUP, caller=CLIENT, name="Олена Шевченко")
        first, second, _ = await office.ring("101", "102", "103")
        await rung(house, CLIENT, "101", "102", "103")
        second.answer()
        await client.wait_answered()
        (deal,) = await house.when("deals", client_number=CLIENT)
        assert (deal["stage"], deal["stage_kind"], deal["responsible"], deal["title"]) == (
            "Unsorted",
            "unsorted",
            "olena",
            "Олена Шевченко",
        )
        assert "Olena Hryhorenko answered" in deal["reason"]
        await first.wait_ended()
        await client.hang_up()
        await office.over()
        (call,) = await house.when("calls", client_number=CLIENT, outcome="answered")
        assert (call["answered_by"], call["talked"], call["deal_id"]) == ("102", ["102"], deal["id"])
        assert set(call["rang"]) == {"101", "102", "103"}
        assert not await house.items("callbacks")

        # Nobody answers: didn't reach, a task with owner and reason; once more: one episode, count 2.
        for count in (1, 2):
            client = await office.trunk.call_in(GROUP, caller=OTHER)
            await office.ring("101", "102", "103")
            await client.cancel()
            await office.over()
            calls = await house.when("calls", count=count, client_number=OTHER, outcome="missed")
            (episode,) = await house.when("callbacks", client_number=OTHER)
            rang_last = LOGINS[calls[-1]["rang"][-1]]  # in the first of them; calls come newest first
            assert (episode["status"], episode["missed_count"], episode["owner"]) == ("open", count, rang_last)
        (missed,) = await house.when("deals", client_number=OTHER)
        assert (missed["stage_kind"], missed["responsible"]) == ("didnt_reach", rang_last)
        (task,) = await house.when("tasks", kind="callback", status="open")
        assert task["id"] == episode["task_id"] == missed["next_task_id"]
        assert calls[-1]["rang"] == ["101", "102", "103"]
        assert "hung up while Ivan Kravets (101), Olena Hryhorenko (102), Petro Lys (103) rang" in task["reason"]
        assert "'s phone rang last" in task["reason"]

        # The client gets through: the episode closes itself, the task says who.
        client = await office.trunk.call_in(GROUP, caller=OTHER)
        (phone, *_rest) = await office.ring("101", "102", "103")
        phone.answer()
        await client.wait_answered()
        (closed,) = await house.when("callbacks", client_number=OTHER, status="recovered")
        assert closed["closed_reason"] == "The client called and talked to Ivan Kravets."
        (done,) = await house.when("tasks", kind="callback", status="done")
        assert done["result"] == closed["closed_reason"]
        await client.hang_up()
        await office.over()

        # We get through: the same from our side.
        client = await office.trunk.call_in(GROUP, caller=THIRD)
        await office.ring("101", "102", "103")
        await client.cancel()
        await office.over()
        await house.when("callbacks", client_number=THIRD, status="open")
        ours = await office.phones["103"].call(THIRD)
        outside = await office.trunk.incoming()
        outside.ring()
        outside.answer()
        await ours.wait_answered()
        (reached,) = await house.when("callbacks", client_number=THIRD, status="reached")
        assert reached["closed_reason"] == "Petro Lys called and reached the client."
        await ours.hang_up()
        await office.over()


async def test_queue_and_menu(tmp_path: Path) -> None:
    async with open_house(tmp_path) as (office, house):
        client = await office.trunk.call_in(QUEUE, caller=CLIENT)
        phones = await office.ring("102", "103")
        phones[1].answer()
        await client.wait_answered()
        (deal,) = await house.when("deals", client_number=CLIENT)
        assert deal["responsible"] == "petro"
        await client.hang_up()
        await office.over()
        (call,) = await house.when("calls", client_number=CLIENT, outcome="answered")
        assert (call["queue"], call["answered_by"]) == ("sales", "103")

        client = await office.trunk.call_in(QUEUE, caller=OTHER)
        await office.ring("102", "103")
        await client.hang_up()
        await office.over()
        (call,) = await house.when("calls", client_number=OTHER, outcome="missed")
        assert (call["missed_reason"], call["queue"]) == ("abandoned_in_queue", "sales")

        client = await office.trunk.call_in(MENU, caller=THIRD)
        await client.wait_answered()  # by the menu, which is nobody
        await client.hang_up()
        await office.over()
        (call,) = await house.when("calls", client_number=THIRD, outcome="missed")
        assert (call["missed_reason"], call["rang"]) == ("abandoned_in_ivr", [])
        assert [e["missed_count"] for e in await house.when("callbacks", count=2)] == [1, 1]
