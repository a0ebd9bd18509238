"""Telephones that the settings take for lines are found, with the setting that makes them extensions."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import select

from ami.replay import facts_in
from ami.tracker import TrackerSettings
from pbxcrm.calls.facts import Batch
from pbxcrm.calls.models import Call
from pbxcrm.calls.unmapped_phones import pattern_with, unmapped_endpoints
from pbxcrm.pbx.state import JournalPosition
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Pbx, Settings
from pbxcrm.upkeep.doctor.data import check_endpoints
from tests.calls import FactStory, batch
from tests.office import Office

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def heard(stream: str, *, pattern: str = r"\d{2,5}") -> Batch:
    """What a listener makes of a recorded stream."""
    data = (SCENARIOS / f"{stream}.ami").read_bytes()
    facts = tuple(facts_in([data], TrackerSettings(extension_pattern=pattern)))
    return Batch("default", facts, JournalPosition(0, 0))


def pattern_of(setting: str) -> str:
    return setting.partition("'")[2].removesuffix("'")


@pytest.mark.parametrize(
    ("endpoint", "number", "extension"),
    [("101-WS", "101", "101"), ("phone-101", "101", "101"), ("olena", "104", "olena"), ("olena.k", "104", "olena.k")],
)
def test_the_setting_makes_the_endpoint_an_extension(endpoint: str, number: str, extension: str) -> None:
    setting = pattern_with(r"\d{2,5}", [(endpoint, number)])
    assert setting.startswith("PBXCRM_EXTENSION_PATTERN='")
    pattern = re.compile(setting.partition("'")[2].removesuffix("'"))
    for name, read in ((endpoint, extension), ("102", "102")):
        match = pattern.fullmatch(name)
        assert match is not None
        assert next((group for group in match.groups() if group), name) == read
    assert pattern.fullmatch("trunk") is None


async def test_a_phone_taken_for_a_line_is_found(
    database: Database, office: Office, intake: Intake, tmp_path: Path
) -> None:
    del office  # its lines and people are there
    settings = Settings(data_dir=tmp_path)
    async with database.read() as session:
        assert not await unmapped_endpoints(session, settings)
    await intake.apply(
        batch(
            FactStory("17.1", client="101", trunk="101-WS").ring("102").wait(9).end(),
            FactStory("17.2", client="0671112233", trunk="provider").ring("102").wait(9).end(),
        )
    )
    async with database.read() as session:
        (found,) = await unmapped_endpoints(session, settings)
    assert (found.endpoint, found.number, found.calls) == ("101-WS", "101", 1)
    assert found.setting == r"PBXCRM_EXTENSION_PATTERN='(\d{2,5})(?:-WS)?'"


async def test_one_setting_holds_all_phones_that_are_found(
    database: Database, office: Office, intake: Intake, tmp_path: Path
) -> None:
    """An endpoint without a caller id is shown by Asterisk as its own name."""
    del office
    await intake.apply(
        batch(
            FactStory("17.1", client="101", trunk="101-WS").ring("102").wait(9).end(),
            FactStory("17.2", client="reception", trunk="reception").ring("102").wait(9).end(),
            FactStory("17.3", client="anonymous", trunk="provider").ring("102").wait(9).end(),
        )
    )
    async with database.read() as session:
        found = await unmapped_endpoints(session, Settings(data_dir=tmp_path))
    assert [(each.endpoint, each.number) for each in found] == [("101-WS", "101"), ("reception", "reception")]
    assert {each.setting for each in found} == {r"PBXCRM_EXTENSION_PATTERN='(\d{2,5})(?:-WS)?|reception'"}
    pattern = re.compile(found[0].setting.partition("'")[2].removesuffix("'"))
    assert [bool(pattern.fullmatch(name)) for name in ("103", "101-WS", "reception", "provider")] == [
        True,
        True,
        True,
        False,
    ]
    own = pattern_with(r"1\d\d", [("101-WS", "101"), ("reception", "reception")])
    assert own == r"PBXCRM_EXTENSION_PATTERN='1\d\d|(\d{2,5})(?:-WS)?|reception'"


async def test_two_talks_of_phones_that_are_nobodys_are_one_batch(
    database: Database, office: Office, intake: Intake
) -> None:
    """The second one was taken for the first of the batch, and the batch was refused: five tries, then fact by fact."""
    del office
    await intake.apply(
        batch(
            FactStory("17.1", client="0671112233", trunk="provider").ring("999").wait(1).answer("999").wait(5).end(),
            FactStory("17.2", client="0671112244", trunk="provider").ring("998").wait(1).answer("998").wait(5).end(),
        )
    )
    async with database.read() as session:
        calls = (await session.exec(select(Call))).all()
    assert {call.outcome for call in calls} == {"answered"}
    assert len(calls) == 2


@pytest.mark.parametrize("version", ["asterisk-22", "asterisk-16"])
@pytest.mark.parametrize("story", ["phone_of_another_name_answers", "phone_of_another_name_rings_in_a_queue"])
async def test_a_phone_that_only_takes_calls_is_found(
    database: Database, office: Office, intake: Intake, tmp_path: Path, version: str, story: str
) -> None:
    """A real PBX called 107-WS, in a ring group and in a queue. It never calls, so no caller id tells of it."""
    del office
    await intake.apply(heard(f"{version}/{story}"))
    settings = Settings(data_dir=tmp_path)
    async with database.read() as session:
        (found,) = await unmapped_endpoints(session, settings)
    assert (found.endpoint, found.number, found.calls) == ("107-WS", None, 1)
    (said,) = map(str, await check_endpoints(database, settings))
    assert "107-WS takes calls and is treated as an outside line (1 call)" in said
    assert found.setting in said

    pattern = pattern_of(found.setting)
    assert {"107"} <= {
        number for fact in heard(f"{version}/{story}", pattern=pattern).facts for number in fact.call.rang
    }
    async with database.read() as session:
        assert not await unmapped_endpoints(session, Settings(data_dir=tmp_path, extension_pattern=pattern))


async def test_mobiles_and_trunks_are_not_taken_for_phones(
    database: Database, office: Office, intake: Intake, tmp_path: Path
) -> None:
    del office
    for stream in ("mobile_in_the_ring_group_answers", "outbound_answered", "followed_to_the_mobile"):
        await intake.apply(heard(f"asterisk-22/{stream}"))
    async with database.read() as session:
        assert not await unmapped_endpoints(session, Settings(data_dir=tmp_path))
    await intake.apply(heard("asterisk-22/phone_of_another_name_answers"))
    trunk = Pbx(name="default", ami_url="ami://crm:secret@127.0.0.1:1", trunks=("107*",))
    async with database.read() as session:
        assert await unmapped_endpoints(session, Settings(data_dir=tmp_path))
        assert not await unmapped_endpoints(session, Settings(data_dir=tmp_path, pbxs=(trunk,)))


async def test_a_phone_that_calls_and_is_called_is_told_once(
    database: Database, office: Office, intake: Intake, tmp_path: Path
) -> None:
    del office
    await intake.apply(batch(FactStory("17.1", client="107", trunk="107-WS").ring("102").wait(9).end()))
    await intake.apply(heard("asterisk-22/phone_of_another_name_answers"))
    async with database.read() as session:
        (found,) = await unmapped_endpoints(session, Settings(data_dir=tmp_path))
    assert (found.endpoint, found.number) == ("107-WS", "107")


@pytest.mark.parametrize(
    ("endpoint", "number"),
    [("101-WS", "101"), ("phone_101", "101"), ("olena", "olena"), ("DAHDI/33", "DAHDI/33"), ("phone-1", "phone-1")],
)
async def test_the_setting_for_a_name(
    database: Database, office: Office, intake: Intake, tmp_path: Path, endpoint: str, number: str
) -> None:
    del office
    told = heard("asterisk-22/phone_of_another_name_answers")
    facts = tuple(
        replace(
            fact,
            call=replace(fact.call, outside=tuple(replace(leg, dialled_name=endpoint) for leg in fact.call.outside)),
        )
        for fact in told.facts
    )
    await intake.apply(replace(told, facts=facts))
    async with database.read() as session:
        (found,) = await unmapped_endpoints(session, Settings(data_dir=tmp_path))
    match = re.fullmatch(pattern_of(found.setting), endpoint)
    assert match is not None
    assert next((group for group in match.groups() if group), endpoint) == number
