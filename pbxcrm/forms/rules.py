"""Pure rules of web forms: what a form asks for, what a form of the settings may contain, and what was sent."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.rules import check_emails, check_numbers
from pbxcrm.fields.models import FieldDefinition, LinkTarget, ValueKind
from pbxcrm.fields.rules import Checking, check_value
from pbxcrm.forms.models import FormRequest, WebForm
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, check_optional_text, cut, longest
from pbxcrm.shared.numbers import Written
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.texts import one_line


class Target(StrEnum):
    """What a field of a form fills in; besides these ``fields.KEY``, a custom field of the deal."""

    NAME = "name"
    PHONE = "phone"
    EMAIL = "email"
    COMPANY = "company"
    MESSAGE = "message"
    FILE = "file"


CUSTOM = "fields."
#: The label of a field that nobody gave another one.
LABELS: Mapping[str, str] = {
    Target.NAME: N_("Your name"),
    Target.PHONE: N_("Phone"),
    Target.EMAIL: N_("E-mail"),
    Target.COMPANY: N_("Company"),
    Target.MESSAGE: N_("Message"),
    Target.FILE: N_("File"),
}
#: Kinds of custom fields that a stranger may fill in: none that points to rows of ours.
ASKABLE = frozenset(
    {
        ValueKind.TEXT,
        ValueKind.LONG_TEXT,
        ValueKind.NUMBER,
        ValueKind.MONEY,
        ValueKind.DATE,
        ValueKind.CHOICE,
        ValueKind.SEVERAL,
        ValueKind.YES_NO,
        ValueKind.PHONE,
        ValueKind.ADDRESS,
        ValueKind.LINK,
    }
)
TRAP = "homepage"  # people do not see this field; robots fill it in
#: Names that mean something else in what is sent.
RESERVED = frozenset({TRAP, "key", "consent", "consent_version", "page", "referrer", "proof", "proof_answer"})
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
MOST_FIELDS = 30
MOST_EXTRAS = 30  # fields that the form does not know
LONGEST_LABEL, LONGEST_HINT, LONGEST_NAME, LONGEST_EXTRA = 100, 300, 60, 1000
LONGEST_MESSAGE = 10_000
MOST_ORIGINS = 50
LONGEST_ORIGIN = 300
_NAME = re.compile(r"[A-Za-z0-9_.\-\[\]]{1,60}")


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a form. ``name`` is what the sender calls it; ``label`` is what people read."""

    target: str
    name: str
    label: str
    required: bool = False
    hint: str = ""

    def stored(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """From the JSON object of ``stored``."""
        return cls(**stored)

    @property
    def key(self) -> str:
        """The key of its custom field; empty for another target."""
        return self.target.removeprefix(CUSTOM) if self.target.startswith(CUSTOM) else ""


def is_askable(definition: FieldDefinition) -> bool:
    """Whether a form may ask for this custom field of the deal."""
    if definition.kind == ValueKind.LINK and definition.target != LinkTarget.WEB:
        return False
    return definition.archived_at is None and definition.kind in ASKABLE


def check_fields(asked: Sequence[FormField], definitions: Mapping[str, FieldDefinition]) -> list[FormField]:
    """The fields of a form as they are stored. Raises Invalid at ``fields``."""
    if len(asked) > MOST_FIELDS:
        raise Invalid("fields", "forms.most_fields", "A form may have up to {most} fields.", most=MOST_FIELDS)
    found: list[FormField] = []
    for each in asked:
        known = each.target in set(Target) or (each.key in definitions and is_askable(definitions[each.key]))
        if not known:
            raise Invalid(
                "fields",
                "forms.field",
                "“{name}” is no field that a form can ask for.",
                name=each.target[:LONGEST_REPEATED],
            )
        name = each.name.strip() or each.key or each.target
        if not _NAME.fullmatch(name) or name in RESERVED or name.startswith("utm_"):
            raise Invalid(
                "fields",
                "forms.field_name",
                "“{name}” cannot be the name of a field. Use letters, digits, - and _, and no name that has a meaning of its own.",
                name=name[:LONGEST_REPEATED],
            )
        for text, most in ((each.label, LONGEST_LABEL), (each.hint, LONGEST_HINT)):
            if len(text) > most:
                raise Invalid("fields", "form.too_long", "Write at most {most} characters.", most=most)
        found.append(FormField(each.target, name, one_line(each.label), each.required, one_line(each.hint)))
    for what in ("target", "name"):
        values = [getattr(each, what) for each in found]
        double = next((value for value in values if values.count(value) > 1), None)
        if double is not None:
            raise Invalid("fields", "forms.twice", "“{name}” is there twice.", name=double)
    if not {Target.PHONE, Target.EMAIL} & {each.target for each in found}:
        raise Invalid(
            "fields", "forms.no_way", "Ask for a phone or an e-mail, or nobody can answer those who send the form."
        )
    return found


def check_origins(typed: str) -> list[str]:
    """The origins in a text, one per line, as browsers send them. Raises Invalid at ``origins``."""
    found: list[str] = []
    for line in typed.replace(",", "\n").split():
        origin = origin_of(line if "://" in line else f"https://{line}")
        if origin is None:
            raise Invalid(
                "origins",
                "forms.origin",
                "“{text}” is no address of a site. Write it as https://example.com.",
                text=line[:LONGEST_REPEATED],
            )
        found.append(origin)
    if len(found) > MOST_ORIGINS:
        raise Invalid("origins", "forms.most_origins", "At most {most} sites.", most=MOST_ORIGINS)
    return list(dict.fromkeys(found))


def origin_of(address: str) -> str | None:
    """The origin of an address (RFC 6454): scheme, host and a port that is not the usual one; None for what has none."""
    try:
        parts = urlsplit(address.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc or "*" in host or " " in host:
        return None
    try:
        host = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        return None
    host = f"[{host}]" if ":" in host else host.lower()
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in {None, usual} else "")


def check_thanks_url(typed: str) -> str:
    """The address of a page of thanks; empty for ours. Raises Invalid at ``thanks_url``."""
    address = check_optional_text(typed, WebForm.thanks_url, "thanks_url")
    if address and (origin_of(address) is None or one_line(address) != address or " " in address):
        raise Invalid(
            "thanks_url", "forms.address", "Write the address of a page, for example https://example.com/thanks."
        )
    return address


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, by the names of the sender. ``texts``: all values of each name; ``key``: the sender's own key, or empty."""

    texts: Mapping[str, Sequence[str]]
    key: str = ""
    page: str = ""
    referrer: str = ""
    files: Mapping[str, str] = field(default_factory=dict)  # name of the field -> the files in it, for what is required

    def first(self, name: str) -> str:
        """The first value of a name, stripped; empty where there is none."""
        values = self.texts.get(name, ())
        return values[0].strip() if values else ""


@dataclass(slots=True)
class Answers:
    """What was understood of what was sent. ``errors``: by the sender's name of the field; ``custom``: what to store, by key."""

    name: str = ""
    numbers: list[Written] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)
    company: str = ""
    message: str = ""
    custom: dict[str, Any] = field(default_factory=dict)
    told: list[list[str]] = field(
        default_factory=list
    )  # [label, text] as a person reads it; a shipped label in English
    errors: dict[str, Invalid] = field(default_factory=dict)


def read_answers(
    fields: Sequence[FormField],
    definitions: Mapping[str, FieldDefinition],
    sent: Sent,
    checking: Checking,
    *,
    consent: bool,
) -> Answers:
    """Check what was sent against the form. ``consent``: whether the form asks for it. Fields that the form does not know are kept in
    ``told``: nothing that a client wrote is lost.
    """
    found = Answers()
    for each in fields:
        try:
            _read(each, definitions.get(each.key), sent, checking, found)
        except Invalid as error:
            found.errors[each.name] = error
    if not found.errors and not found.numbers and not found.emails:
        places = [each.name for each in fields if each.target in {Target.PHONE, Target.EMAIL}]
        found.errors[places[0] if places else ""] = Invalid(
            places[0] if places else "", "forms.no_answer", "Write a phone or an e-mail, so that we can answer."
        )
    if consent and not sent.first("consent"):
        found.errors["consent"] = Invalid("consent", "forms.consent", "Tick this, so that we may answer you.")
    for label, text in extras(fields, sent):
        found.told.append([label, text])
    return found


def _read(each: FormField, definition: FieldDefinition | None, sent: Sent, checking: Checking, found: Answers) -> None:
    texts = [text for text in sent.texts.get(each.name, ()) if text.strip()]
    told = ", ".join(one_line(text) for text in texts)
    if each.required and not texts and each.name not in sent.files:
        raise Invalid(each.name, "forms.required", "Fill this in.")
    if not texts:
        return
    if each.target == Target.NAME:
        found.name = one_line(texts[0])
        if len(found.name) > longest(Contact.name):
            raise Invalid(each.name, "form.too_long", "Write at most {most} characters.", most=longest(Contact.name))
    elif each.target == Target.PHONE:
        found.numbers = check_numbers(texts, checking.region, each.name)
    elif each.target == Target.EMAIL:
        found.emails = check_emails(texts, each.name)
    elif each.target == Target.COMPANY:
        found.company = cut(one_line(texts[0]), Contact.name)
    elif each.target == Target.MESSAGE:
        found.message = "\n".join(_lines(text) for text in texts)
        if len(found.message) > LONGEST_MESSAGE:
            raise Invalid(each.name, "form.too_long", "Write at most {most} characters.", most=LONGEST_MESSAGE)
        return  # it stands by itself
    elif definition is not None and definition.archived_at is None:
        entered: Any = texts if definition.kind == ValueKind.SEVERAL else texts[0]
        try:
            check_value(definition, entered, None, checking)
        except Invalid as error:
            raise Invalid(each.name, error.code, error.message, **error.params) from error
        found.custom[each.key] = entered
        told = _as_read(definition, texts) or told
    label = each.label or (definition.name if definition is not None else LABELS.get(each.target, each.name))
    found.told.append([label, told[: 10 * LONGEST_EXTRA]])


def _as_read(definition: FieldDefinition, texts: Sequence[str]) -> str:
    names = {str(option["id"]): str(option["name"]) for option in definition.options}
    return ", ".join(names.get(text.strip(), text.strip()) for text in texts) if names else ""


def _lines(text: str) -> str:
    """Lines without characters that could turn the text around or hide something in it."""
    return "\n".join(one_line(line) for line in text.replace("\r\n", "\n").split("\n")).strip()


def extras(fields: Sequence[FormField], sent: Sent) -> list[tuple[str, str]]:
    """What was sent under names that the form does not know, cut to what can be kept."""
    known = {each.name for each in fields} | RESERVED
    found: list[tuple[str, str]] = []
    for name, texts in sent.texts.items():
        told = ", ".join(one_line(text) for text in texts if text.strip())
        if name not in known and not name.startswith("utm_") and told and len(found) < MOST_EXTRAS:
            found.append((one_line(name)[:LONGEST_NAME] or "?", told[:LONGEST_EXTRA]))
    return found


def content_hash(sent: Sent, files: Sequence[str] = ()) -> str:
    """The same for the same content, however it was sent. ``files``: hashes of the files."""
    left_out = {"key", "proof", "proof_answer", "page", "referrer"}
    kept = sorted(
        (name, [text.strip() for text in texts]) for name, texts in sent.texts.items() if name not in left_out
    )
    return hashlib.sha256(json.dumps([kept, sorted(files)], ensure_ascii=False).encode("utf-8", "replace")).hexdigest()


def utm_of(sent: Sent) -> dict[str, str]:
    """The UTM marks: as fields, or in the address of the page."""
    found = {name: cut(one_line(sent.first(name)), FormRequest.source) for name in UTM if sent.first(name)}
    return {**_utm_in(sent.page), **found}


def _utm_in(page: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(urlsplit(page).query, max_num_fields=200)
    except ValueError:
        return {}
    return {name: cut(one_line(value), FormRequest.source) for name, value in pairs if name in UTM and one_line(value)}


def source_of(utm: Mapping[str, str], page: str, referrer: str, default: str) -> str:
    """The source of the deal: ``google / cpc`` from the UTM marks, else the site that the client came from, else ``default``."""
    if utm.get("utm_source"):
        marks = [utm["utm_source"], utm.get("utm_medium", "")]
        return cut(" / ".join(mark for mark in marks if mark), FormRequest.source)
    came, here = _host(referrer), _host(page)
    if came and came != here:
        return cut(came, FormRequest.source)
    return cut(default, FormRequest.source)


def _host(address: str) -> str:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return ""
    return one_line(host).removeprefix("www.")
