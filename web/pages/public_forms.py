"""Web forms for strangers: the page of a form, its part for other sites, and what is sent.

Nobody is logged in here. The answer never says whether a client, a number or an address is known.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import TypeVar
from zoneinfo import ZoneInfo

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from pbxcrm.fields.models import FieldDefinition, FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import Checking
from pbxcrm.files.rules import MB
from pbxcrm.files.store import Kept, Store
from pbxcrm.forms.actions import Arrival, Surroundings, check_rate, known_request, receive
from pbxcrm.forms.models import FormKind, FormRequest, WebForm
from pbxcrm.forms.proof_rules import make_task, used_by
from pbxcrm.forms.queries import consent_of, load_forms, no_form
from pbxcrm.forms.rules import TRAP, Answers, FormField, Sent, Target, content_hash, read_answers, source_of, utm_of
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid, PbxcrmError, TooManyAttempts, Unavailable
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.reasons import reason
from web.i18n import Here, Language, speaking
from web.i18n import gettext as _
from web.parts import now, parts
from web.public_form import PublicForm, public_form
from web.sent_forms import cors_of, preflight_headers, read_sent, sender_of, sent_files, wants_json
from web.static_files import FOLDER

log = structlog.get_logger()

SOON = "public, max-age=300"  # the script and the style stand on pages of others, under one address for all versions
FAILED = HTTPStatus.UNPROCESSABLE_ENTITY
Errors = Mapping[str, Invalid]
Seen = TypeVar("Seen")


async def page(request: Request) -> Response:
    """``GET /f/KEY``: the form on a page of its own. UTM marks of the address go along with what is sent."""
    form = await _read_form(request)
    came = {
        "page": cut(str(request.url), FormRequest.page),
        "referrer": cut(request.headers.get("referer", ""), FormRequest.referrer),
        "key": secrets.token_urlsafe(12),
    }
    return await _page(request, form, came, Sent({}), {})


async def part(request: Request) -> Response:
    """``GET /f/KEY/part``: the form without a page, for the script on another site."""
    form = await _read_form(request)
    headers = cors_of(request, form)
    with speaking(_place(request, form)):
        html = parts(request).templates.text(
            "forms/_form.html", f=await _shown(request, form, Sent({}), {}, {}), inert=False, whole_page=False
        )
    return HTMLResponse(html, headers=headers)


async def thanks(request: Request) -> Response:
    """``GET /f/KEY/thanks``: what the form says when a request was sent."""
    form = await _read_form(request)
    with speaking(_place(request, form)):
        html = parts(request).templates.text(
            "forms/public.html", f=None, thanks=form.thanks, title=form.title or _("Write to us")
        )
    return HTMLResponse(html)


async def script(_request: Request) -> Response:
    """``GET /f/form.js``: the script that other sites load."""
    return _file("js/web-form.js", "text/javascript")


async def style(_request: Request) -> Response:
    """``GET /f/form.css``: the style of a form on another site."""
    return _file("css/web-form.css", "text/css")


async def preflight(request: Request) -> Response:
    """``OPTIONS /f/KEY``: what a page of a listed site may send."""
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=preflight_headers(request, await _read_form(request)))


async def send(request: Request) -> Response:
    """``POST /f/KEY``: a request, as JSON or as a form; the answer is JSON for scripts, else a page.

    The body is read first: then one short transaction says what the form asks, whether this was sent before, and whether too much comes
    from here. A form that is flooded costs not much more than that.
    """
    try:
        sent, wrong = await read_sent(request), None
    except (PbxcrmError, HTTPException) as error:
        sent, wrong = Sent({}), error

    async def look(session: AsyncSession, form: WebForm) -> _Looked:
        if wrong is not None:
            raise wrong
        checked = await _check(session, request, form, sent)
        if checked.errors:
            return _Looked(checked)
        arrival = _arrival(request, form, checked, [])
        return _Looked(checked, arrival, await _is_known(session, form, arrival, now(request)))

    async def answer(form: WebForm, looked: _Looked) -> Response:
        if looked.arrival is None:
            return await _refused(request, form, looked.checked.sent, looked.checked.errors)
        return await _taken(request, form, looked.arrival, is_known=looked.is_known)

    return await _answering(request, look, answer)


async def send_with_files(request: Request) -> Response:
    """``POST /f/KEY/files``: the same with files. Before the body is read it is asked whether the form takes any, and from here."""

    async def look(session: AsyncSession, form: WebForm) -> frozenset[str]:
        names = frozenset(each["name"] for each in form.fields if each["target"] == Target.FILE)
        if not names:
            raise Invalid("", "forms.no_files", "This form takes no files.")
        await check_rate(session, form, sender_of(request, form), now(request))
        return names

    async def answer(form: WebForm, names: frozenset[str]) -> Response:
        try:
            sent, files = await read_sent(request), await sent_files(request, names)
            async with parts(request).db.read() as session:
                checked = await _check(session, request, form, sent, files)
            if checked.errors:
                return await _refused(request, form, checked.sent, checked.errors)
            kept = [] if checked.trapped else await _keep(request, files)
            arrival = _arrival(request, form, checked, kept)
            async with parts(request).db.read() as session:
                is_known = await _is_known(session, form, arrival, now(request))
            return await _taken(request, form, arrival, is_known=is_known)
        finally:
            await request.close()  # deletes the temporary files of the parser

    return await _answering(request, look, answer)


async def _answering(
    request: Request,
    look: Callable[[AsyncSession, WebForm], Awaitable[Seen]],
    answer: Callable[[WebForm, Seen], Awaitable[Response]],
) -> Response:
    """The ``answer`` to what a ``look`` into the database saw; for a script also errors are JSON that its page may read."""
    error: PbxcrmError | HTTPException
    async with parts(request).db.read() as session:
        form = await _form(session, request)
        headers = cors_of(request, form)
        try:
            seen = await look(session, form)
        except (PbxcrmError, HTTPException) as found:
            seen, error = None, found
    with speaking(_place(request, form)):
        try:
            if seen is None:
                raise error
            response = await answer(form, seen)
        except (PbxcrmError, HTTPException) as found:
            if not wants_json(request):
                raise
            response = await _as_json(request, form, found)
    response.headers.update(headers)
    return response


async def _as_json(request: Request, form: WebForm, error: PbxcrmError | HTTPException) -> Response:
    if isinstance(error, HTTPException):
        said = {"": _("Send less at once.")} if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else {}
        return JSONResponse({"ok": False, "errors": said}, error.status_code)
    field = error.field if isinstance(error, Invalid) else ""
    body: dict[str, object] = {"ok": False, "code": error.code}
    body["errors"] = {field: _(error.message).format(**error.params)}
    if isinstance(error, Conflict) and form.asks_proof:
        body["task"] = _task(request, form)
    headers = {"retry-after": str(error.retry_after)} if isinstance(error, TooManyAttempts) else {}
    return JSONResponse(body, error.status, headers)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was sent, with what was understood of it. ``errors``: by the sender's name of the field; then nothing is taken."""

    sent: Sent
    answers: Answers
    errors: Errors
    proof: str = ""
    trapped: bool = False


@dataclass(frozen=True, slots=True)
class _Looked:
    """``arrival``: None if the form refuses it. ``is_known``: it is a repetition of a request that is stored."""

    checked: _Checked
    arrival: Arrival | None = None
    is_known: bool = False


async def _check(
    session: AsyncSession,
    request: Request,
    form: WebForm,
    sent: Sent,
    files: Mapping[str, Sequence[UploadFile]] = MappingProxyType({}),
) -> _Checked:
    names = {name: ", ".join(file.filename or "?" for file in some) for name, some in files.items()}
    sent = Sent(sent.texts, sent.key, sent.page or request.headers.get("referer", ""), sent.referrer, names)
    asked = [FormField.load(each) for each in form.fields]
    checking = Checking(parts(request).settings.region, await load_directory(session))
    consent = await consent_of(session, form)
    answers = read_answers(asked, await _definitions(session), sent, checking, consent=consent is not None)
    trapped = bool(sent.first(TRAP))
    if answers.errors and not trapped:
        return _Checked(sent, answers, answers.errors)
    proof = _proof(request, form, sent)
    if proof is None and not trapped:
        error = Invalid(
            "", "forms.proof", "The page was open for too long, or scripts are off. Reload it and send it again."
        )
        return _Checked(sent, answers, {"": error})
    return _Checked(sent, answers, {}, proof or "", trapped)


def _arrival(request: Request, form: WebForm, checked: _Checked, kept: Sequence[tuple[str, Kept]]) -> Arrival:
    sent, utm = checked.sent, utm_of(checked.sent)
    return Arrival(
        checked.answers,
        content_hash(sent, [each.sha256 for _name, each in kept]),
        key=sent.key,
        source=source_of(utm, sent.page, sent.referrer, form.source),
        page=sent.page,
        referrer=sent.referrer,
        utm=utm,
        address=sender_of(request, form),
        proof=checked.proof,
        consent_version=_agreed(form, sent),
        aside=reason("form.trap") if checked.trapped else None,
        files=kept,
    )


async def _is_known(session: AsyncSession, form: WebForm, arrival: Arrival, at: datetime) -> bool:
    """Whether it is a repetition. Most repetitions, and a flood (TooManyAttempts), need no turn among the writers."""
    if await known_request(session, form, arrival, at) is not None:
        return True
    await check_rate(session, form, arrival.address, at)
    return False


async def _taken(request: Request, form: WebForm, arrival: Arrival, *, is_known: bool) -> Response:
    at = parts(request)
    if not is_known:
        around = Surroundings(at.settings.region, at.settings.currency, at.settings.files_total_gb)
        async with at.db.write() as session:
            await receive(session, form, arrival, around, now(request))
    return _thanked(request, form)


def _agreed(form: WebForm, sent: Sent) -> int:
    """The version of the text that was shown: the text may have been changed while the page was open."""
    if not form.consent_version or not sent.first("consent"):
        return 0
    shown = sent.first("consent_version")
    version = int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 9 else form.consent_version
    return version if 1 <= version <= form.consent_version else form.consent_version


def _proof(request: Request, form: WebForm, sent: Sent) -> str | None:
    """The proof that is used up; empty where the form asks for none, None where it is missing or wrong."""
    if not form.asks_proof:
        return ""
    return used_by(form.secret, sent.first("proof"), sent.first("proof_answer"), now(request))


def _task(request: Request, form: WebForm) -> str:
    return make_task(form.secret, secrets.token_hex(8), now(request)) if form.asks_proof else ""


async def _keep(request: Request, files: Mapping[str, Sequence[UploadFile]]) -> list[tuple[str, Kept]]:
    at = parts(request)
    store, most = Store.of(at.settings), at.settings.files_max_mb * MB
    kept = []
    for name, some in files.items():
        for file in some:
            try:
                kept.append((file.filename or "", await run_in_threadpool(store.keep, file.file, most)))
            except Invalid as error:
                raise Invalid(name, error.code, error.message, **error.params) from error
            except Unavailable as error:  # strangers are not told what is wrong with the server
                log.warning("form.file_not_taken", form=request.path_params["form_key"], why=str(error))
                raise Unavailable(
                    "forms.no_files_now",
                    "The file cannot be taken in now. Send the form without it, or try again later.",
                ) from error
    return kept


def _thanked(request: Request, form: WebForm) -> Response:
    if wants_json(request):
        html = parts(request).templates.repeated("forms/_thanks.html", thanks=form.thanks, whole_page=False)
        return JSONResponse({"ok": True, "thanks": form.thanks, "url": form.thanks_url, "html": html})
    return RedirectResponse(form.thanks_url or f"/f/{form.key}/thanks", HTTPStatus.SEE_OTHER)


async def _refused(request: Request, form: WebForm, sent: Sent, errors: Errors) -> Response:
    if wants_json(request):
        said = {name: _(error.message).format(**error.params) for name, error in errors.items()}
        body: dict[str, object] = {"ok": False, "code": "forms.invalid", "errors": said}
        return JSONResponse(body, FAILED)
    hidden = {name: sent.first(name) for name in ("page", "referrer", "key")}
    return await _page(request, form, hidden, sent, errors, FAILED)


async def _page(
    request: Request, form: WebForm, hidden: Mapping[str, str], sent: Sent, errors: Errors, status: int = 200
) -> Response:
    with speaking(_place(request, form)):
        shown = await _shown(request, form, sent, errors, hidden)
        html = parts(request).templates.text("forms/public.html", f=shown, title=form.title or _("Write to us"))
    return HTMLResponse(html, status)


async def _shown(request: Request, form: WebForm, sent: Sent, errors: Errors, hidden: Mapping[str, str]) -> PublicForm:
    async with parts(request).db.read() as session:
        definitions, consent = await _definitions(session), await consent_of(session, form)
    version = {"consent_version": str(consent.version)} if consent is not None else {}
    return public_form(
        form,
        definitions,
        consent=consent.text if consent is not None else "",
        action=f"/f/{form.key}",
        typed=sent.texts,
        errors=errors,
        task=_task(request, form),
        hidden=dict(hidden) | version,
    )


async def _read_form(request: Request) -> WebForm:
    async with parts(request).db.read() as session:
        return await _form(session, request)


async def _form(session: AsyncSession, request: Request) -> WebForm:
    form = (await load_forms(session)).by_key.get(request.path_params["form_key"])
    if form is None or form.kind != FormKind.WEB:
        raise no_form()
    return form


async def _definitions(session: AsyncSession) -> Mapping[str, FieldDefinition]:
    return (await load_fields(session)).by_key(FieldEntity.DEAL, typed=True)


def _place(request: Request, form: WebForm) -> Here:
    settings = parts(request).settings
    language = Language.of(form.language) or Language(settings.language)
    return Here(language, ZoneInfo(settings.timezone), now(request), settings.currency)


def _file(name: str, kind: str) -> Response:
    content = (FOLDER / name).read_bytes()
    headers = {
        "cache-control": SOON,
        "cross-origin-resource-policy": "cross-origin",
        "access-control-allow-origin": "*",
    }
    return Response(content, media_type=kind, headers=headers)
