"""How many statements a batch of facts costs: on PostgreSQL each is a round trip, and all calls wait for it."""

from datetime import timedelta

from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from tests.calls import NOON, FactStory, batch
from tests.office import Office
from tests.statements import statements

CALLS = 20


def story(number: int) -> FactStory:
    call = FactStory(f"17{number:07}.1", client=f"+38067{number:07}", at=NOON + timedelta(seconds=number))
    call.ring("101", "102")
    return call.wait(5).answer("101").wait(20).end() if number % 2 else call.wait(9).end()


async def test_a_batch_of_calls(database: Database, office: Office, intake: Intake) -> None:
    """Of each call its deal with its first move, of a missed one its callback, task and deadline; all else once for the batch."""
    await intake.apply(batch(story(1), story(2)))  # what is kept in memory is read
    with statements(database) as said:
        await intake.apply(batch(*(story(number) for number in range(10, 10 + CALLS))))
    assert len(said) / CALLS <= 4.9, "\n".join(said)


async def test_a_phone_that_rings(database: Database, office: Office, intake: Intake) -> None:
    """What a card waits for: the lease, the version of the settings, the call, its legs, its facts, the hints, the cursor."""
    await intake.apply(batch(story(1)))
    rings = FactStory("1799.1", client="+380679999999").ring("101", "102")
    with statements(database) as said:
        await intake.apply(batch(rings))
    assert len(said) <= 10, "\n".join(said)
