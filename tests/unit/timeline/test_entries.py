"""Each kind of entry of a timeline is read and shown."""

from pathlib import Path

import pytest

import web
from pbxcrm.composition import compose
from pbxcrm.timeline import queries
from pbxcrm.timeline.entries import Entry, EntryKind

TEMPLATES = Path(web.__file__).parent / "templates" / "timeline"


@pytest.mark.parametrize("kind", EntryKind)
def test_it_has_a_reader_and_a_partial(kind: EntryKind) -> None:
    compose()
    assert kind in queries._readers
    assert (TEMPLATES / f"_{kind}.html").is_file()


def test_a_second_reader_is_refused() -> None:
    compose()

    async def another(*_: object) -> list[Entry]:
        return []

    with pytest.raises(ValueError, match="two readers"):
        queries.register_sources({EntryKind.CALL: another})
