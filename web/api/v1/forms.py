"""Forms that take requests, and the requests that came through them and by e-mail."""

from typing import Annotated, Any, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.forms.accept_actions import accept_request as take_request_in
from pbxcrm.forms.access import access_request
from pbxcrm.forms.actions import Surroundings
from pbxcrm.forms.form_actions import MOST_PER_MINUTE, FormDraft, archive_form, save_form
from pbxcrm.forms.models import FormConsent, FormKind, FormRequest, RequestState, WebForm
from pbxcrm.forms.queries import access_form, consent_of, list_requests, load_forms
from pbxcrm.forms.rules import LONGEST_HINT, LONGEST_LABEL, LONGEST_NAME, LONGEST_ORIGIN, MOST_FIELDS, FormField
from pbxcrm.people.queries import logins_of
from pbxcrm.shared import reasons
from web.api import checked_cursors
from web.api.fields import (
    NO_NUL,
    ONE_LINE,
    ApiAnswer,
    ApiRequest,
    Id,
    IdText,
    ListQuery,
    Login,
    Moment,
    ShortListQuery,
    Version,
    needed_text,
    optional_text,
)
from web.api.people import user_id_of
from web.api.resource import Ask, Page, Resource

forms = Resource("forms", "Forms that take requests from a site or by e-mail.")
requests = Resource("requests", "Requests that came through forms and by e-mail.")

Language = Literal["en", "uk", "ru"]


class FieldBody(ApiRequest):
    """A field of a form. `target`: `name`, `phone`, `email`, `company`, `message`, `file`, or `fields.KEY` of a deal."""

    target: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=NO_NUL)]
    name: Annotated[str, Field(max_length=LONGEST_NAME, pattern=NO_NUL)] = ""
    label: Annotated[str, Field(max_length=LONGEST_LABEL, pattern=NO_NUL)] = ""
    required: bool = False
    hint: Annotated[str, Field(max_length=LONGEST_HINT, pattern=NO_NUL)] = ""


Fields = Annotated[list[FieldBody], Field(max_length=MOST_FIELDS)]


def _usual_fields() -> list[FieldBody]:
    return [FieldBody(target="name"), FieldBody(target="phone", required=True), FieldBody(target="message")]


PerMinute = Annotated[int, Field(ge=1, le=MOST_PER_MINUTE)]
Origins = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=LONGEST_ORIGIN, pattern=ONE_LINE)]],
    Field(max_length=20),
]


class NewForm(ApiRequest):
    """A new form. One of the kind `mail` needs a `mailbox` of the settings and has no fields."""

    kind: FormKind = FormKind.WEB
    name: Annotated[str, needed_text(WebForm.name)]
    pipeline_id: Id
    language: Language = "en"
    fields: Fields = Field(default_factory=_usual_fields, description="Left out: name, phone and message.")
    mailbox: Annotated[str, optional_text(WebForm.mailbox)] = ""
    responsible: Login | None = Field(None, description="A login: who gets what nobody else has a claim to.")
    source: Annotated[str, optional_text(WebForm.source)] = ""
    title: Annotated[str, optional_text(WebForm.title)] = ""
    intro: Annotated[str, optional_text(WebForm.intro)] = ""
    button: Annotated[str, optional_text(WebForm.button)] = ""
    thanks: Annotated[str, optional_text(WebForm.thanks)] = ""
    thanks_url: Annotated[str, optional_text(WebForm.thanks_url)] = ""
    consent: Annotated[str, optional_text(FormConsent.text)] = Field(
        "", description="The text of consent; a changed one is a new version. Empty: none is asked."
    )
    origins: Origins = Field(
        default_factory=list,
        description="Sites that may show the form, with their scheme: `https` and the name of the host.",
    )
    asks_proof: bool = False
    per_minute: PerMinute = 10


class FormChange(ApiRequest):
    """Changes. A field that is left out stays unchanged; the kind cannot be changed."""

    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")
    name: Annotated[str, needed_text(WebForm.name)] | None = None
    pipeline_id: Id | None = None
    language: Language | None = None
    fields: Fields | None = None
    mailbox: Annotated[str, optional_text(WebForm.mailbox)] | None = None
    responsible: Login | None = None
    source: Annotated[str, optional_text(WebForm.source)] | None = None
    title: Annotated[str, optional_text(WebForm.title)] | None = None
    intro: Annotated[str, optional_text(WebForm.intro)] | None = None
    button: Annotated[str, optional_text(WebForm.button)] | None = None
    thanks: Annotated[str, optional_text(WebForm.thanks)] | None = None
    thanks_url: Annotated[str, optional_text(WebForm.thanks_url)] | None = None
    consent: Annotated[str, optional_text(FormConsent.text)] | None = None
    origins: Origins | None = None
    asks_proof: bool | None = None
    per_minute: PerMinute | None = None


class FormOut(ApiAnswer):
    """A form. Its page is `/f/{key}`; sites send requests there."""

    id: int
    kind: FormKind
    key: str
    name: str
    pipeline_id: int
    language: str
    fields: list[FieldBody]
    mailbox: str
    responsible: str | None = Field(description="A login.")
    source: str
    title: str
    intro: str
    button: str
    thanks: str
    thanks_url: str
    consent: str
    consent_version: int
    origins: list[str]
    asks_proof: bool
    per_minute: int
    archived_at: Moment | None
    version: int


class RequestOut(ApiAnswer):
    """A request as it came, and what became of it."""

    id: int
    form_id: int
    at: Moment
    state: RequestState = Field(description="`aside`: set aside until somebody accepts it.")
    reason: str = Field(description="Why it is in this state, in English.")
    name: str
    number: str | None
    email: str
    subject: str
    text: str
    answers: list[list[str]] = Field(description="Label and text of each answer.")
    source: str
    page: str
    referrer: str
    utm: dict[str, Any]
    consent_version: int
    deal_id: int | None
    contact_id: int | None
    bought_before: bool
    fault: str = Field(description="The step of the repeat sale that failed last, where the sender had bought before.")


class RequestQuery(ListQuery):
    """Which requests; all conditions must hold."""

    state: Literal["deal", "joined", "aside"] | None = None
    form_id: IdText | None = None
    bought_before: Literal["true"] | None = Field(None, description="Only of clients who had bought before.")


@forms.get("/forms", needs=Permission.SETTINGS_EDIT, summary="Every form by name, also those in the archive")
async def read_forms(ask: Ask, query: ShortListQuery) -> Page[FormOut]:
    return Page[FormOut].part_of([await _form(ask, form) for form in (await load_forms(ask.session)).all], query)


@forms.get("/forms/{form_id}", needs=Permission.SETTINGS_EDIT, summary="One form")
async def read_form(ask: Ask, form_id: int) -> FormOut:
    return await _form(ask, await access_form(ask.session, form_id))


@forms.post("/forms", needs=Permission.SETTINGS_EDIT, summary="Add a form", location=lambda form: f"/forms/{form.id}")
async def add_form(ask: Ask, body: NewForm) -> FormOut:
    return await _save(ask, None, body.model_dump(), None)


@forms.patch("/forms/{form_id}", needs=Permission.SETTINGS_EDIT, summary="Change a form")
async def change_form(ask: Ask, form_id: int, body: FormChange) -> FormOut:
    whole = body.model_dump()
    sent = {name: whole[name] for name in body.model_fields_set - {"version"}}
    known = await read_form(ask, form_id)
    kept = {name: getattr(known, name) for name in NewForm.model_fields}
    kept["fields"] = [each.model_dump() for each in known.fields]
    given = {name: value for name, value in sent.items() if value is not None or name == "responsible"}
    return await _save(ask, form_id, {**kept, **given}, body.version)


@forms.delete("/forms/{form_id}", needs=Permission.SETTINGS_EDIT, summary="Put a form into the archive")
async def delete_form(ask: Ask, form_id: int) -> None:
    """It takes no requests any more; those that came stay."""
    await archive_form(ask.session, ask.viewer, form_id, ask.now, back=False)


@forms.post(
    "/forms/{form_id}/restore", needs=Permission.SETTINGS_EDIT, summary="Take a form out of the archive", status=200
)
async def restore_form(ask: Ask, form_id: int) -> FormOut:
    return await _form(ask, await archive_form(ask.session, ask.viewer, form_id, ask.now, back=True))


@requests.get("/requests", needs=Permission.DEALS_READ, summary="Requests, newest first")
async def read_requests(ask: Ask, query: RequestQuery) -> Page[RequestOut]:
    """Those of deals that one sees; managers and administrators also those that were set aside."""
    rows = await list_requests(
        ask.session,
        ask.viewer,
        state=RequestState(query.state) if query.state is not None else None,
        form_id=query.form_id,
        existing=query.bought_before is not None,
        before=checked_cursors.read_id(query.cursor),
        limit=query.limit + 1,
    )
    told = [_request(each.request) for each in rows]
    return Page[RequestOut].of(told, query.limit, lambda row: checked_cursors.next_of_id(row.id))


@requests.get("/requests/{request_id}", needs=Permission.DEALS_READ, summary="One request")
async def read_request(ask: Ask, request_id: int) -> RequestOut:
    return _request(await access_request(ask.session, ask.viewer, request_id))


@requests.post(
    "/requests/{request_id}/accept",
    needs=Permission.REQUESTS_DECIDE,
    summary="Take in a request that was set aside",
    status=200,
    conflicts=True,
)
async def accept_request(ask: Ask, request_id: int) -> RequestOut:
    """It becomes a deal now, as it would have at once, with its files. 409 for one that has been taken in already."""
    around = Surroundings(ask.settings.region, ask.settings.currency, ask.settings.files_total_gb)
    return _request(await take_request_in(ask.session, ask.viewer, request_id, around, ask.now))


async def _save(ask: Ask, form_id: int | None, body: dict[str, Any], version: int | None) -> FormOut:
    responsible = await user_id_of(ask.session, body.pop("responsible"), "responsible")
    fields = [FormField(**each) for each in body.pop("fields")]
    draft = FormDraft(**{**body, "origins": "\n".join(body["origins"])}, fields=fields, responsible_id=responsible)
    mailboxes = [each.name for each in ask.settings.mailboxes]
    saved = await save_form(ask.session, ask.viewer, form_id, draft, ask.now, version=version, mailboxes=mailboxes)
    return await _form(ask, saved)


async def _form(ask: Ask, form: WebForm) -> FormOut:
    consent = await consent_of(ask.session, form)
    logins = await logins_of(ask.session, [form.responsible_id])
    return FormOut(
        id=form.id or 0,
        kind=FormKind(form.kind),
        key=form.key,
        name=form.name,
        pipeline_id=form.pipeline_id,
        language=form.language,
        fields=[FieldBody(**each) for each in form.fields],
        mailbox=form.mailbox,
        responsible=logins.get(form.responsible_id),
        source=form.source,
        title=form.title,
        intro=form.intro,
        button=form.button,
        thanks=form.thanks,
        thanks_url=form.thanks_url,
        consent=consent.text if consent is not None else "",
        consent_version=form.consent_version,
        origins=form.origins,
        asks_proof=form.asks_proof,
        per_minute=form.per_minute,
        archived_at=form.archived_at,
        version=form.version,
    )


def _request(row: FormRequest) -> RequestOut:
    return RequestOut(
        id=row.id or 0,
        form_id=row.form_id,
        at=row.at,
        state=RequestState(row.state),
        reason=reasons.text(row.reason),
        name=row.name,
        number=row.number,
        email=row.email,
        subject=row.subject,
        text=row.text,
        answers=row.answers,
        source=row.source,
        page=row.page,
        referrer=row.referrer,
        utm=row.utm,
        consent_version=row.consent_version,
        deal_id=row.deal_id,
        contact_id=row.contact_id,
        bought_before=row.is_existing,
        fault=reasons.text(row.fault) if row.fault else "",
    )
