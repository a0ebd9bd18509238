"""One form open in two tabs: whoever saves second is told, keeps what they typed, and may save it over the other's.

A row with a ``version`` is compared by its action, which raises Conflict: ``keep_typed``. What has none is compared with what the form
was filled in with: ``drawn`` makes the form, ``check_unchanged`` compares it in the transaction that saves.
"""

from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus

from pbxcrm.shared.errors import Conflict, Invalid
from web.forms import Form, filled
from web.i18n import N_
from web.i18n import gettext as _

SAID = N_(
    "Somebody else has changed this meanwhile. What you typed stands below and is not saved: look at theirs in another tab, then save yours over it or leave."
)
SEEN = "seen"  # the hidden field


def keep_typed(form: Form, error: Conflict, version: int) -> HTTPStatus:
    """After a conflict of versions, keep the typed text; sending it again overwrites the other change. Re-raises other conflicts."""
    if not error.code.endswith(".stale"):
        raise error
    form.errors[""] = _(SAID)
    form.values["version"] = str(version)
    return HTTPStatus.CONFLICT


def drawn(values: Mapping[str, object]) -> Form:
    """A form filled in from stored values (``filled``) that knows what it was filled in with."""
    form = filled(values)
    form.values[SEEN] = sha256(repr((sorted(form.values.items()), sorted(form.lists.items()))).encode()).hexdigest()[
        :16
    ]
    return form


def check_unchanged(form: Form, stored: Form) -> None:
    """Raise Invalid for the whole form if ``stored`` (from ``drawn``) is not what it was filled in with. Sent again, it is saved."""
    if form[SEEN] and form[SEEN] != stored[SEEN]:
        form.values[SEEN] = stored[SEEN]
        raise Invalid("", "form.stale", SAID)
