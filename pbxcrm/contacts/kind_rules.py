"""Pure decisions about kinds of numbers and e-mail addresses: what the words beside a number say, and what may be chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pbxcrm.contacts.models import WayKind
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.numbers import Written, is_mobile
from pbxcrm.shared.search_keys import folded

PHONE_KINDS = tuple(WayKind)
EMAIL_KINDS = (WayKind.WORK, WayKind.HOME, WayKind.OTHER)
#: What people write beside a number, in the three languages. Other words stay as a label.
_WORDS = {
    WayKind.MOBILE: "mobile mob cell моб мобільний мобильный мобила сотовый сот",
    WayKind.WORK: "work office роб робочий раб рабочий офіс офис",
    WayKind.HOME: "home дом домашній домашний",
    WayKind.OTHER: "other інший другой прочий",
}
_KIND_OF_WORD = {folded(word): kind for kind, words in _WORDS.items() for word in words.split()}


@dataclass(frozen=True, slots=True)
class WayChoice:
    """What somebody chose for a number or an address; None: nothing. ``is_main`` False changes nothing."""

    kind: str | None = None
    is_main: bool = False


@dataclass(frozen=True, slots=True)
class ChosenKinds:
    """By number in normal form and by address as typed."""

    phones: Mapping[str, WayChoice] = field(default_factory=dict)
    emails: Mapping[str, WayChoice] = field(default_factory=dict)


NOTHING_CHOSEN = ChosenKinds()


def kind_of(written: Written) -> tuple[str, str]:
    """The kind and the label of a number as it was typed: ``mob.`` beside it is its kind, another text its label.

    Without such a word a number of a mobile network is a mobile.
    """
    said = _KIND_OF_WORD.get(folded(written.name).strip(" .,:;()"))
    if said is not None:
        return said.value, ""
    return (WayKind.MOBILE.value if is_mobile(written.number) else ""), written.name


def check_kind(kind: str, field: str, *, of_email: bool = False) -> str:
    """The kind, or empty. Raises Invalid at ``field``."""
    if kind and kind not in (EMAIL_KINDS if of_email else PHONE_KINDS):
        raise Invalid(field, "contacts.kind", "Choose one of the kinds.")
    return kind
