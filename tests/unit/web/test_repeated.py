"""Parts of cards that are rendered once: they are kept by what they show, and what people typed is escaped."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from web.i18n import Here, Language, speaking
from web.pages.dock import Colleague
from web.static_files import StaticTree
from web.templating import Templates


def test_a_repeated_part_is_that_of_its_context_and_escaped() -> None:
    templates = Templates(StaticTree())
    with speaking(Here(Language.UK, ZoneInfo("Europe/Kyiv"), datetime.now(UTC))):
        ivan, script = Colleague("Ivan", "101"), Colleague("<script>", "102")
        first = templates.repeated("dock/_colleagues.html", colleagues=(ivan,))
        both = templates.repeated("dock/_colleagues.html", colleagues=(ivan, script))
        again = templates.repeated("dock/_colleagues.html", colleagues=(ivan,))
    assert again is first
    assert ('value="101"' in first, 'value="102"' in first) == (True, False)
    assert ("&lt;script&gt;" in both, "<script>" in both) == (True, False)
    with speaking(Here(Language.EN, ZoneInfo("Europe/Kyiv"), datetime.now(UTC))):
        assert templates.repeated("dock/_colleagues.html", colleagues=(ivan,)) is not first
