"""Names stand in the order in which a reader looks for them."""

import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.shared.alphabet import LONGEST, order_key

ORDERS = {
    "uk": "Ананко Вдовенко Гаврилюк Галаган Ґалаґан Дзюба Еней Єва Жук Зоря Ищенко Івасюк Їжак Йосип Калина Черненко Шевченко Щур Юрій Яремчук",
    "ru": "Абрамов Гусев Дьяков Ёлкина Ельцов Жуков Зимин Йодов Кузнецов Сушкин Съедов Сыров Сьянов Сэмов Ухов Эрин Юдин Яшин",
    "soft sign": "сіть тьху тюк тяж",
    "latin": "Adams Clara Clark Hanna Łukasz Müller Nowak Øst Pål Straße Ünal Veit Zoë",
    "mixed": "1С 7-Eleven Agro Zeta Αθήνα Агро Яблуко",
}


@pytest.mark.parametrize("names", [each.split() for each in ORDERS.values()], ids=list(ORDERS))
def test_the_order_of_the_alphabet(names: list[str]) -> None:
    shuffled = random.Random(7).sample(names, len(names))
    assert sorted(shuffled, key=order_key) == names
    assert sorted((name.upper() for name in shuffled), key=order_key) == [name.upper() for name in names]


@pytest.mark.parametrize(
    "names",
    [
        ["Ян Чуб", "Яна Чуб"],
        ["Елена", "Ёлена", "Елена Ю"],
        ["Anna", "Ánna", "Anna B", "Ánna C"],
        ["Агро", "«Агро»", "ТОВ «Агро-Тех»", "ТОВ Агро Ям"],
        ["Дем'янчук", "Дем’янюк", "Дем`янющенко"],
        ["🙂", "1", "a"],
        ["ООО Бриз", "ТОВ Айва"],
    ],
    ids=str,
)
def test_what_counts_between_equal_letters(names: list[str]) -> None:
    assert sorted(random.Random(3).sample(names, len(names)), key=order_key) == names


def test_spellings_of_one_letter_are_one() -> None:
    assert order_key("Йосип") == order_key("Йосип") == order_key("ЙОСИП")  # the first й in two parts
    assert order_key("  Олена\u00a0 Бойко ") == order_key("олена бойко")
    assert order_key("") == order_key(" \t ") == ""


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_key_is_short_and_says_nothing_of_case(text: str, other: str) -> None:
    key = order_key(text)
    assert len(key) <= 2 * LONGEST + 1
    assert bool(key) == bool(unicodedata.normalize("NFKC", text).split())
    assert (key < order_key(other)) == (key.encode() < order_key(other).encode())  # the databases compare bytes
