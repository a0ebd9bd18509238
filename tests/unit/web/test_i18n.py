from functools import cache

import pytest
from babel.messages.catalog import Catalog

from tests.unit.web.conftest import place
from web.i18n import Language, catalogue_path, gettext, ngettext, preferred, speaking
from web.i18n.update import TRANSLATED, as_file, collect, faults, merge, read


@cache
def collected() -> Catalog:
    """Reading all sources takes longer than all other tests of this module."""
    return collect()


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_of_the_sources_is_translated(language: Language) -> None:
    assert faults(collected(), read(language)) == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogues_are_as_the_update_writes_them(language: Language) -> None:
    old = read(language)
    assert as_file(merge(collected(), old, language)) == catalogue_path(language).read_bytes()


def test_faults_are_found() -> None:
    sources = Catalog()
    for message in ("Answers in {ms} ms.", "Save", "Cancel", "Add", ("%(num)d person", "%(num)d people")):
        sources.add(message)
    broken = merge(sources, read(Language.UK), Language.UK)
    assert faults(sources, broken) == []
    broken["Answers in {ms} ms."].string = "Відповідає"
    broken["Save"].string = ""
    broken["Cancel"].flags.add("fuzzy")
    broken["%(num)d person", "%(num)d people"].string = ("%(num)d людина", "%(num)d людини")
    broken.delete("Add")
    found = faults(sources, broken)
    assert len(found) == 5
    assert {fault.partition(":")[0] for fault in found} == {
        "other placeholders in form 0",
        "not translated",
        "fuzzy",
        "2 plural forms instead of 3",
        "missing",
    }


def test_speaking() -> None:
    with speaking(place(Language.UK)):
        assert gettext("Save") == "Зберегти"
        assert gettext("") == ""
        assert ngettext("%(num)d person", "%(num)d people", 5) == "%(num)d людей"
        with speaking(place(Language.RU)):
            assert gettext("Save") == "Сохранить"
        assert gettext("Save") == "Зберегти"
    with pytest.raises(LookupError):
        gettext("Save")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", Language.EN),
        ("uk", Language.UK),
        ("uk-UA,uk;q=0.9,en;q=0.8", Language.UK),
        ("de-DE,de;q=0.9,ru;q=0.5,en;q=0.4", Language.RU),
        ("en;q=0.1, ru;q=0.9", Language.RU),
        ("uk;q=0, ru;q=0.1", Language.RU),
        ("uk;q=nonsense", Language.EN),
        ("*", Language.EN),
        ("de", Language.EN),
    ],
)
def test_the_browsers_wish(header: str, language: Language) -> None:
    assert preferred(header, Language.EN) is language
