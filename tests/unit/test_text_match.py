"""How names are folded and what of a text is looked for in numbers."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pbxcrm.shared.search_keys import KEY_MAX, WAYS, folded, may_be_ch, readings, search_key, word_readings, words_of
from pbxcrm.shared.text_match import digits_of


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Олена Григоренко", "ОЛЕНА  григоренко"),
        ("Виробництво «Об\u2019єднання»", "об'єднання"),
        ("Дар\u02bcя", "дар`я"),
        ("Королёв", "королев"),
        ("Андрій Коваль", "Андрей Коваль"),
        ("Андрей Коваль", "Андрій Коваль"),
        ("Андрій Коваль", "Коваль Андре"),
        ("Андрій Коваль", "Andrey"),
        ("Андрей Коваль", "Andrii Koval"),
        ("Андрій", "Fylhtq"),
        ("Сергій", "Сергей"),
        ("Алексей", "Алексій"),
        ("Виктория", "Вікторія"),
        ("Євген", "Евген"),
        ("Евген", "Євген"),
        ("Едуард Ґонта", "Эдуард Гонта"),
        ("Кирилл", "Кирил"),
        ("Straße 5", "STRASSE"),
        ("Cafe\u0301", "café"),
        ("\uff21\uff22\uff23 Ltd", "abc ltd"),
        ("Бойко Вікторія", "вікторія бойко"),
        ("Бойко", "Boiko"),
        ("Бойко", ",jqrj"),
        ("Бойко Вікторія", ",jqrj dsrnj"),
        ("Готель Hotel", "Рщеуд"),
        ("Вікторія", "Виктория"),
        ("Виктория", "Victoriia"),
        ("Вікторія", "dsrnjhsz"),
        ("Григоренко", "Hryhorenko"),
        ("Григоренко", "Grigorenko"),
        ("Хмельницький", "Khmelnytskyi"),
        ("Їжакевич", "];frtdbx"),
        ("Анна", "анн"),
        ("Bach, Bach, Bach & Bach", "bac bac bac bac"),
    ],
)
def test_what_people_type_is_a_part_of_what_is_written(written: str, asked: str) -> None:
    assert fits(written, asked)


@pytest.mark.parametrize(
    ("written", "asked"), [("Бойко", "Бойчук"), ("Бойко Іван", "Бойко Петро"), ("Anna", "'"), ("x", "")]
)
def test_what_does_not_fit(written: str, asked: str) -> None:
    assert not fits(written, asked)


@given(st.text("абвгґдеєжзиіїйклмнопрстуфхцчшщьюяыъэё' abdefghiklmnoprstuvwxyz", max_size=30), st.data())
def test_a_part_of_a_name_has_a_part_of_its_key(name: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(name)))
    part = name[start : data.draw(st.integers(start, len(name)))]
    assert search_key(part) in search_key(name)


def test_words_of_a_note_are_bare() -> None:
    assert words_of("Хоче «дуб», 20.; п'ять — до 12.05!") == {
        search_key("хоче"),
        search_key("дуб"),
        search_key("п'ять"),
    }


def fits(written: str, asked: str) -> bool:
    return any(all(word in search_key(written) for word in words) for words in readings(asked))


def test_a_folded_name_fits_an_index_whatever_it_is() -> None:
    assert len(search_key("\ufdfa" * 200)) <= KEY_MAX
    assert search_key(" \t\n") == ""


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("+38 (067) 111-22-33", "380671112233"),
        ("067 111 22 33", "671112233"),
        ("0038067 111 22 33", "380671112233"),
        ("067", "067"),
        ("0777", "0777"),
        ("12", ""),
        ("000000000", ""),
        ("Taxi 777", ""),
        ("100%", ""),
        ("\u202a+380\u00a067 111\u201022\u201033\u202c", "380671112233"),
        ("٠٦٧١", "0671"),
        ("", ""),
    ],
)
def test_digits_of_a_number_as_it_is_kept(text: str, digits: str) -> None:
    assert digits_of(text) == digits


WORDS = st.text("abcehkglswxyzABCHабгийєїюяьщшчцхСЩЬ'’ё", min_size=3, max_size=12)


@pytest.mark.parametrize("typed", ["AAAAAC", "AAAAACЬ", "AAAAACЬH", "AAAAAC'"])
def test_a_soft_sign_between_the_letters_of_ch_has_no_sound(typed: str) -> None:
    assert fits("AAAAACЬH", typed)


@given(st.lists(WORDS, min_size=1, max_size=4), st.data())
def test_each_beginning_of_each_word_of_a_name_finds_it(words: list[str], data: st.DataObject) -> None:
    """From the third letter on, in any letters and any order: also where the letter that is typed next changes the sound."""
    name = " ".join(words)
    asked = [word[: data.draw(st.integers(3, len(word)))] for word in words]
    typed = " ".join(data.draw(st.permutations(asked)))
    assume(2 ** len({word for word in folded(typed).split() if may_be_ch(word)}) <= WAYS)
    if search_key(typed):
        assert fits(name, typed), (name, typed)
        assert not word_readings(typed) or any(
            all(any(key.startswith(part) for key in words_of(name)) for part in way) for way in word_readings(typed)
        ), (name, typed)


@pytest.mark.parametrize(
    "typed", ["Sea", "Sear", "Searc", "Search", "searc alp", "alp searc", "eric searc", "Маф", "Еріc"]
)
def test_what_is_not_typed_to_its_end_yet_is_found(typed: str) -> None:
    assert fits("Search Alpha, Eric Mach, Мафія, Ерік", typed)
