"""docs/glossary.md is kept: one word for one thing in the catalogues of both languages."""

import re
from functools import cache
from pathlib import Path

import pytest

from web.i18n import Language
from web.i18n.update import TRANSLATED, read

GLOSSARY = Path(__file__).parents[3] / "docs" / "glossary.md"
NEVER = {Language.UK: 3, Language.RU: 4}  # columns of the table
# Sentences that the review of the words found wrong as a whole (docs/glossary.md has the words).
WRONG = {
    Language.UK: (
        "останнім часом говорить",
        "зателефонував і поговорив",
        "поки дзвонили",
        "завершити: ще",
        "(-ла)",
        "(-а)",
    ),
    Language.RU: (
        "в последний раз говорит",
        "позвонил и поговорил",
        "пока звонили",
        "линия, что подходит",
        "(а) ",
        "(-ая)",
    ),
}
UNITS = {Language.UK: "с|хв|мс|год|КБ|МБ|ГБ|дн|роб", Language.RU: "с|мин|мс|ч|КБ|МБ|ГБ|дн|раб"}


def never(language: Language) -> list[str]:
    rows = [line.strip().strip("|").split("|") for line in GLOSSARY.read_text().splitlines() if line.startswith("| ")]
    assert len(rows) > 30
    return [word for row in rows[2:] for word in (part.strip() for part in row[NEVER[language]].split(",")) if word]


@cache
def strings(language: Language) -> list[tuple[str, str]]:
    """Each message with each of its translations."""
    found = []
    for message in read(language):
        if message.id:
            said = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
            found += [(str(message.id), str(text)) for text in said]
    return found


@pytest.mark.parametrize("language", TRANSLATED)
def test_words_that_the_glossary_has_done_with_do_not_come_back(language: Language) -> None:
    words = never(language)
    assert len(words) > 25
    banned = re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(word.lower()) for word in words)})(?!\w)")
    assert [(found[0], text) for _, text in strings(language) if (found := banned.search(text.lower()))] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_sentences_that_a_reader_found_wrong_do_not_come_back(language: Language) -> None:
    assert [text for _, text in strings(language) for wrong in WRONG[language] if wrong in text.lower()] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_signs_are_those_of_the_language(language: Language) -> None:
    texts = [text for _, text in strings(language)]
    assert [text for text in texts if re.search(r"[“”\"]|\w'\w", text)] == []
    assert [text for text in texts if re.search(rf"(?:\}}|\)s|\d) (?:{UNITS[language]})(?!\w)", text)] == []


def test_roles_are_translated() -> None:
    for language in TRANSLATED:
        catalogue = read(language)
        for role in ("Seller", "Manager", "Quality control", "Administrator"):
            assert str(catalogue.get(role).string) not in {"", role}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("message", "uk", "ru"),
    [
        ("%(name)s is working on it…", "Займається %(name)s…", "Занимается %(name)s…"),
        ("{who} called and reached the client.", "{who}: додзвонилися.", "{who}: дозвонились."),
        (
            "{who} talked to the client last.",
            "Остання розмова з клієнтом: {who}.",
            "Последний разговор с клиентом: {who}.",
        ),
        ("in 2 hours", "через 2 години", "через 2 часа"),
        ("Accept…", "Зняти з контролю…", "Снять с контроля…"),
        ("Accept", "Прийняти", "Принять"),  # an assignment
        ("accept", "прийняти", "принять"),
        ("hung up while it rang", "поклали слухавку, поки йшли гудки", "положили трубку, пока шли гудки"),
        ("of %(name)s", "відповідальний: %(name)s", "ответственный: %(name)s"),
        ("Lost", "Програно", "Проиграно"),
        ("A claim lasts, minutes", "Бронь діє, хвилин", "Бронь действует, минут"),
        ("Client lost", "Програно", "Проиграно"),
        ("tell the seller", "сказати продавцю", "сказать продавцу"),
        ("Manager said something to the seller", "Керівник написав продавцю", "Руководитель написал продавцу"),
        ("Number withheld", "Прихований номер", "Скрытый номер"),
        ("PBX", "АТС", "АТС"),
        ("People", "Співробітники", "Сотрудники"),
        ("Did not come", "Не прийшли", "Не пришли"),
        ("Live updates", "Оновлення в реальному часі", "Обновления в реальном времени"),
        (
            "{who} is away; {deputy} stands in.",
            "{who}: відсутність; заступник: {deputy}.",
            "{who}: отсутствие; заместитель: {deputy}.",
        ),
    ],
)
def test_terms_of_the_trade(message: str, uk: str, ru: str) -> None:
    said = [str(read(language).get(message).string) for language in TRANSLATED]  # type: ignore[union-attr]
    assert said == [uk, ru]


def test_to_accept_an_assignment_is_not_to_take_an_escalation_off_control() -> None:
    for language, said in (
        (Language.UK, "зняти з контролю"),
        (Language.RU, "снять с контроля"),
    ):
        catalogue = read(language)
        for message in ("Accept", "accept"):
            assert str(catalogue.get(message, "escalation").string).lower() == said  # type: ignore[union-attr]
            assert str(catalogue.get(message).string).lower() != said  # type: ignore[union-attr]
