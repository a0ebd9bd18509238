"""Forms: the typed values, unchanged, and the errors, each at its field.

form = await read_form(request)
try:
    async with parts(request).db.write() as session:
        await actions.save_team(session, viewer(request), name=form["name"], …)
except Invalid as error:
    form.refuse(error)
    return render(request, "people/team.html", fragment="people/_team_form.html", status=422, form=form)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.errors import Incomplete, Invalid
from web.i18n import gettext as _
from web.i18n import here
from web.untrusted import known_charset, whole_number

MAX_FIELDS = 500
MAX_FILES = 20
MAX_FIELD_BYTES = 200_000


@dataclass(slots=True)
class Form:
    """``values`` has one text per field (the first, if the field came several times); ``lists`` has all of them."""

    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)  # field -> sentence, translated; "" for the whole form

    def __getitem__(self, name: str) -> str:
        """The text of a field without blanks around it; empty when it did not come."""
        return self.values.get(name, "").strip()

    def get(self, name: str, default: str = "") -> str:
        """The value of a field as it came, or ``default``."""
        return self.values.get(name, default)

    def all(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        return self.lists.get(name, [])

    def ticked(self, name: str) -> bool:
        """Whether a box was ticked."""
        return name in self.values

    def refuse(self, error: Invalid) -> None:
        """Store an error of the business at its field."""
        self.errors[error.field] = _(error.message).format(**error.params)
        if isinstance(error, Incomplete):
            self.errors |= {each.key: _(each.message).format(key=each.key) for each in error.missing}

    def gather(self, *checks: Callable[[], object]) -> bool:
        """Run all checks and store each Invalid at its field, so that a person sees all that is wrong; True if something is."""
        for check in checks:
            try:
                check()
            except Invalid as error:
                self.refuse(error)
        return bool(self.errors)

    def number(self, name: str) -> int | None:
        """A whole number or None when empty; raises Invalid."""
        text = self[name]
        if not text:
            return None
        found = whole_number(text.removeprefix("-"))
        if found is None:
            raise Invalid(name, "form.number", "Write a whole number.")
        return -found if text.startswith("-") else found

    def id(self, name: str) -> int | None:
        """The id of a row, or None when empty. Raises Invalid for a text that is no id. It does not check access to the row."""
        return _id(name, self[name]) if self[name] else None

    def ids(self, name: str) -> list[int]:
        """The ids of a field that comes several times; raises Invalid as ``id`` does."""
        return [_id(name, text.strip()) for text in self.all(name) if text.strip()]

    def utc_time(self, name: str) -> datetime | None:
        """A ``datetime-local`` field in the reader's time zone as aware UTC, or None when empty; raises Invalid."""
        if not self[name]:
            return None
        try:
            local = datetime.fromisoformat(self[name])
        except ValueError as error:
            raise Invalid(name, "form.moment", "Choose a date and a time.") from error
        if not 1970 <= local.year <= 2200:  # other years are typing errors, and some databases cannot store them
            raise Invalid(name, "form.moment", "Choose a date and a time.")
        return local.replace(tzinfo=local.tzinfo or here().timezone).astimezone(UTC)


def _id(name: str, text: str) -> int:
    found = whole_number(text, LARGEST_ID)
    if not found:
        raise Invalid(name, "form.id", "There is no such thing any more. Reload the page and choose again.")
    return found


async def read_form(request: Request) -> Form:
    """The fields of a form; files are read by whoever expects them (``request.form()`` is cached)."""
    data = await _parsed(request)
    form = Form()
    for name, value in data.multi_items():
        if isinstance(value, str):
            clean = value.replace("\x00", "")  # PostgreSQL cannot store it, and no person types it
            form.values.setdefault(name, clean)
            form.lists.setdefault(name, []).append(clean)
    request.state.typed = form  # ``web.problems`` shows the typed text again if the database is away
    return form


async def read_files(request: Request, name: str) -> list[UploadFile]:
    """The files of a field; an input where none was chosen sends one without name and content, which is none.

    Those of some size lie on the disk already, not in memory.
    """
    data = await _parsed(request)
    found = [value for value in data.getlist(name) if isinstance(value, UploadFile)]
    return [file for file in found if file.filename or file.size]


async def _parsed(request: Request) -> FormData:
    _check_charset(request)
    return await request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)


def _check_charset(request: Request) -> None:
    """Raises HTTPException (415) for a form in an unknown character set."""
    _kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    named = parameters.get(b"charset", b"utf-8")
    if not known_charset(named.decode("latin-1")):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


def local_text(moment: datetime | None) -> str:
    """A time as a ``datetime-local`` field shows it, in the reader's time zone; the reverse of ``Form.utc_time``."""
    return f"{moment.astimezone(here().timezone):%Y-%m-%dT%H:%M}" if moment is not None else ""


def filled(values: Mapping[str, object]) -> Form:
    """A form filled in from stored values. None is an empty field, True a ticked box, False an unticked one."""
    form = Form()
    for name, value in values.items():
        if value is False:
            continue
        if isinstance(value, list | tuple):
            form.lists[name] = [str(part) for part in value]
            form.values[name] = ", ".join(form.lists[name])
        else:
            form.values[name] = "" if value is None else "1" if value is True else str(value)
    return form


def as_stored(typed: str, stored: str) -> str:
    """A name from a form. A shipped name that nobody changed stays as it is stored, so that it remains translated for everybody.

    ``stored`` is empty for something new.
    """
    return stored if stored and typed.strip() == _(stored) else typed
