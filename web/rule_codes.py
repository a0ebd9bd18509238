"""What conditions of rules saw and asked, where that is a code or a shipped name: ``In work`` for ``open``, in the reader's language."""

from collections.abc import Mapping
from functools import cache

from pbxcrm.automation.catalogue import terms_of
from pbxcrm.automation.triggers import DEAL
from pbxcrm.fields.queries import FieldSet
from pbxcrm.people.directory import Directory
from web.i18n import gettext as _

_SHIPPED = frozenset({"Stage", "Pipeline"})  # terms whose values are names that may be shipped ones


@cache
def _codes() -> Mapping[str, Mapping[str, str]]:
    """The words of the codes of each term, by its title, by which firings keep it."""
    own = terms_of(FieldSet((), ()), Directory({}, {}, {}), DEAL, {})
    return {term.title: term.choices for term in own if term.choices}


def code_said(title: str, value: str) -> str | None:
    """Values of the term with this title, with commas between them; None if it has no codes."""
    words = _codes().get(title)
    if words is None:
        return _(value) if title in _SHIPPED and value else None
    return ", ".join(_(words[code]) if code in words else code for code in value.split(", "))
