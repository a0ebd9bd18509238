"""Decides when two names or addresses may belong to one person: a key that is equal for all spellings of one name.

The key is made from the search key, in which Latin and Cyrillic are already the same. Here spellings of one sound are unified,
Ukrainian and Russian forms of one first name are unified, the order of words is ignored, and the patronymic in a name of three
words and the legal form of a company are dropped. Male and female names stay different: ``Олександр`` is not ``Олександра``. The
key of a single word is empty, because one word is too little to call two clients alike.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from sqlalchemy import Connection, event
from sqlalchemy.orm import Mapper
from sqlmodel import SQLModel

from pbxcrm.shared.search_keys import search_key

KEY_MAX = 200
LONGEST_ADDRESS = 254  # characters (RFC 5321)
_SOUNDS = tuple(
    (re.compile(spelled), sound)
    for spelled, sound in (
        ("shch", "sch"),
        ("kh", "h"),
        ("ie", "e"),
        ("(?<=.)ia", "a"),  # Yana is not Anna
        ("(?<=.)iu", "u"),
        ("io", "e"),
        ("ei", "i"),
        ("ou", "u"),
        ("i+$", "i"),
    )
)
_PATRONYMIC = re.compile(r"(ovich|evich|ivna|ovna|evna)$")
_LETTERS = re.compile(r"[^a-z0-9]+")
# Forms of one first name in Ukrainian, Russian and English, one name per line. All are replaced by the first.
_SAME_NAMES = (
    "олександр александр oleksandr aleksandr alexander alexandr",
    "олександра александра oleksandra aleksandra alexandra",
    "олексій алексей oleksii aleksei alexey alexei",
    "андрій андрей andrii andrei andrey",
    "анастасія анастасия anastasiia anastasia",
    "артем артём artem",
    "богдан bohdan bogdan",
    "валентина valentyna valentina",
    "валерій валерий valerii valery",
    "василь василий vasyl vasily vasilii",
    "вікторія виктория viktoriia victoria viktoria",
    "віктор виктор viktor victor",
    "віталій виталий vitalii vitaly",
    "володимир владимир volodymyr vladimir",
    "галина halyna galina",
    "ганна анна hanna anna",
    "григорій григорий hryhorii grigory grigorii",
    "дар'я дарья daria dariia darya",
    "дмитро дмитрий dmytro dmitry dmitrii",
    "євген евгений yevhen evgeny evgenii eugene",
    "євгенія евгения yevheniia evgenia evgeniia",
    "ігор игорь ihor igor",
    "ірина ирина iryna irina",
    "іван иван ivan",
    "катерина екатерина kateryna ekaterina catherine",
    "костянтин константин kostiantyn konstantin",
    "кирило кирилл kyrylo kirill",
    "ксенія ксения kseniia ksenia",
    "лідія лидия lidiia lidia",
    "людмила liudmyla ludmila liudmila",
    "максим maksym maxim maksim",
    "марія мария mariia maria",
    "микола николай mykola nikolai nikolay nicholas",
    "михайло михаил mykhailo mikhail michael",
    "микита никита mykyta nikita",
    "надія надежда nadiia nadezhda",
    "наталія наталья наталя nataliia natalia natalya",
    "оксана oksana",
    "олена елена olena elena yelena helen",
    "олег oleh oleg",
    "ольга olha olga",
    "павло павел pavlo pavel paul",
    "петро петр пётр petro petr peter",
    "роман roman",
    "сергій сергей serhii sergei sergey",
    "світлана светлана svitlana svetlana",
    "софія софия sofiia sofia sophia",
    "станіслав станислав stanislav",
    "степан stepan",
    "тетяна татьяна tetiana tatiana tatyana",
    "філіп филипп filip philip phillip",
    "юлія юлия yuliia iuliia julia yulia",
    "юрій юрий yurii iurii yuri yuriy",
    "яна yana iana",
)
_SHORTEST_COMPANY = 3  # letters
#: Where everybody can have an e-mail address: under one domain, and under one name in many countries.
_EVERYBODYS = frozenset(
    [
        "ukr.net",
        "i.ua",
        "ua.fm",
        "meta.ua",
        "bigmir.net",
        "email.ua",
        "online.ua",
        "mail.ua",
        "ex.ua",
        "3g.ua",
        "a.ua",
        "mail.ru",
        "bk.ru",
        "list.ru",
        "inbox.ru",
        "internet.ru",
        "ya.ru",
        "rambler.ru",
        "live.com",
        "msn.com",
        "icloud.com",
        "me.com",
        "mac.com",
        "proton.me",
        "protonmail.com",
        "aol.com",
        "web.de",
        "mail.com",
        "fastmail.com",
        "tuta.com",
        "tutanota.com",
        "o2.pl",
        "wp.pl",
        "onet.pl",
        "interia.pl",
        "seznam.cz",
    ]
)
_EVERYBODYS_NAMES = frozenset(["gmail", "googlemail", "yandex", "outlook", "hotmail", "yahoo", "gmx", "zoho"])
_LEGAL_FORMS = "тов ооо фоп чп пп ип ип ао зао пао прат ат кп тзов llc ltd inc gmbh llp corp co company тоо"


def name_key(name: str) -> str:
    """The key of a name: at least two words, sorted; empty if the name has fewer."""
    words = [_sounds(word) for word in _LETTERS.split(search_key(name)) if word]
    words = [word for word in words if word and word not in _legal_forms()]
    if len(words) >= 3:
        words = [word for word in words if not _PATRONYMIC.search(word)] or words
    if len(words) < 2:
        return ""
    return " ".join(sorted(_same_names().get(word, word) for word in words))[:KEY_MAX]


def company_key(name: str) -> str:
    """The key of a company's name: its words without the legal form, written together, so that ``ТОВ «Агро-Тех»`` is ``Agrotech LLC``.

    Empty where fewer than three letters are left.
    """
    words = [_sounds(word) for word in _LETTERS.split(search_key(name)) if word]
    key = "".join(word for word in words if word not in _legal_forms())[:KEY_MAX]
    return key if len(key) >= _SHORTEST_COMPANY else ""


def domain_key(address: str) -> str:
    """The domain of an e-mail address, by which its company may be known; empty for one at which everybody can have an address."""
    domain = address_key(address).rpartition("@")[2]
    return "" if domain in _EVERYBODYS or domain.split(".")[0] in _EVERYBODYS_NAMES else domain


def address_key(address: str) -> str:
    """The key of an e-mail address: case is ignored."""
    return address.strip().casefold()[:LONGEST_ADDRESS]


def keep_key(table: type[SQLModel], source: str, target: str, key_of: Callable[[str], str]) -> None:
    """Keep column ``target`` equal to the key of column ``source`` when rows of ``table`` are inserted or updated."""

    def keep(_mapper: Mapper[SQLModel], _connection: Connection, row: SQLModel) -> None:
        wanted = key_of(getattr(row, source) or "")
        if getattr(row, target) != wanted:
            setattr(row, target, wanted)

    for event_name in ("before_insert", "before_update"):
        event.listen(table, event_name, keep)


def _sounds(word: str) -> str:
    """Unify the spellings of sounds in ``word``, one word of a search key."""
    for spelled, sound in _SOUNDS:
        word = spelled.sub(sound, word)
    return word


@lru_cache(maxsize=1)
def _same_names() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _SAME_NAMES:
        forms = [_sounds(search_key(form)) for form in line.split()]
        found.update(dict.fromkeys(forms, forms[0]))
    return found


@lru_cache(maxsize=1)
def _legal_forms() -> frozenset[str]:
    return frozenset(_sounds(search_key(form)) for form in _LEGAL_FORMS.split())
