"""A web form as its template shows it: on the hosted page, on another site, and in the preview of the settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pbxcrm.fields.models import FieldDefinition, ValueKind
from pbxcrm.forms.models import WebForm
from pbxcrm.forms.rules import LABELS, LONGEST_MESSAGE, FormField, Target, is_askable
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import longest_of
from web.i18n import gettext as _

#: How a field is typed: (type of the input, autocomplete). Others are texts.
_INPUTS: Mapping[str, tuple[str, str]] = {
    Target.NAME: ("text", "name"),
    Target.PHONE: ("tel", "tel"),
    Target.EMAIL: ("email", "email"),
    Target.COMPANY: ("text", "organization"),
    Target.MESSAGE: ("area", ""),
    Target.FILE: ("file", ""),
}
_KINDS: Mapping[str, str] = {
    ValueKind.LONG_TEXT: "area",
    ValueKind.NUMBER: "decimal",
    ValueKind.MONEY: "decimal",
    ValueKind.DATE: "date",
    ValueKind.CHOICE: "choice",
    ValueKind.SEVERAL: "several",
    ValueKind.YES_NO: "yes_no",
    ValueKind.PHONE: "tel",
}


@dataclass(frozen=True, slots=True)
class PublicField:
    """A field as it is shown. ``kind``: the type of its input; ``options``: (value, text) of a choice; ``chosen``: what was typed."""

    name: str
    label: str
    kind: str
    required: bool
    hint: str
    autocomplete: str = ""
    maxlength: int | None = None
    options: Sequence[tuple[str, str]] = ()
    chosen: Sequence[str] = ()
    error: str = ""

    @property
    def value(self) -> str:
        """What was typed into a field of one value."""
        return self.chosen[0] if self.chosen else ""


@dataclass(frozen=True, slots=True)
class PublicForm:
    """A form ready to be shown. ``task``: the proof of work, empty for none; ``hidden``: what is sent besides the fields."""

    action: str
    title: str
    intro: str
    button: str
    fields: Sequence[PublicField]
    consent: str = ""
    agreed: bool = False
    task: str = ""
    hidden: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def takes_files(self) -> bool:
        """Whether it has a field for files."""
        return any(each.kind == "file" for each in self.fields)


def public_form(
    form: WebForm,
    definitions: Mapping[str, FieldDefinition],
    *,
    consent: str,
    action: str,
    typed: Mapping[str, Sequence[str]],
    errors: Mapping[str, Invalid],
    task: str = "",
    hidden: Mapping[str, str] | None = None,
) -> PublicForm:
    """The form in the current language, with what was typed and what is wrong. Fields whose definition was archived are left out."""
    said = {name: _(error.message).format(**error.params) for name, error in errors.items()}
    shown = [
        _field(each, definitions.get(each.key), typed.get(each.name, ()), said.get(each.name, ""))
        for each in map(FormField.load, form.fields)
        if not each.key or (each.key in definitions and is_askable(definitions[each.key]))
    ]
    return PublicForm(
        action=action,
        title=form.title,
        intro=form.intro,
        button=form.button or _("Send"),
        fields=shown,
        consent=consent,
        agreed=bool(typed.get("consent")),
        task=task,
        hidden=hidden or {},
        errors=said,
    )


def _field(each: FormField, definition: FieldDefinition | None, typed: Sequence[str], error: str) -> PublicField:
    kind, autocomplete = _INPUTS.get(each.target, ("text", ""))
    options: list[tuple[str, str]] = []
    if definition is not None:
        kind = _KINDS.get(definition.kind, "text")
        options = [(str(option["id"]), option["name"]) for option in definition.options if not option["retired"]]
    label = each.label or (definition.name if definition is not None else _(LABELS[each.target]))
    hint = each.hint or (definition.hint if definition is not None else "")
    longest = {Target.NAME: longest_of("contacts.name"), Target.MESSAGE: LONGEST_MESSAGE}.get(each.target)  # type: ignore[call-overload]
    return PublicField(each.name, label, kind, each.required, hint, autocomplete, longest, options, typed, error)
