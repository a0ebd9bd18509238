"""Telephones that the settings take for lines are found, with the setting that makes them extensions."""

import re
from pathlib import Path

import pytest
from sqlmodel import select

from pbxcrm.calls.models import Call
from pbxcrm.calls.unmapped_phones import pattern_with, unmapped_endpoints
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import FactStory, batch
from tests.office import Office


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
