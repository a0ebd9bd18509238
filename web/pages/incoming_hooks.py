"""Incoming webhooks: secret addresses whose calls rules hear, the log of their calls, and the address itself."""

from datetime import timedelta
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pbxcrm.automation.hook_actions import create_hook, revoke_hook, take_call
from pbxcrm.automation.hook_queries import (
    access_hook,
    calls_of,
    count_calls,
    fields_of,
    list_hooks,
    load_hooks,
    secret_hash,
)
from pbxcrm.automation.hook_rules import MOST_BODY, HookField, HookValue
from pbxcrm.automation.models import HookCallState, IncomingHook
from pbxcrm.automation.run_queries import deals_named
from pbxcrm.shared.errors import Invalid, NotFound, PbxcrmError, TooManyAttempts
from web.answers import redirect
from web.forms import Form, filled, read_form
from web.pages.common import show
from web.parts import now, parts, viewer

PATH = "/automation/hooks"
USUAL_RATE = 60
TOO_LARGE = "hooks.large"
_NUMBER = "| number"  # after the path of a value that is a number


async def receive(request: Request) -> Response:
    """``POST /hooks/SECRET``: another program tells something. JSON in, JSON out; 404 for an address that nobody made."""
    secret = request.path_params["hook_secret"]
    try:
        async with parts(request).db.read() as session:  # a wrong address takes no turn among the writers
            if secret_hash(secret) not in await load_hooks(session):
                raise NotFound("hooks.not_found", "There is no such webhook.")
        body = await _body(request)
        key = request.headers.get("idempotency-key", "")
        async with parts(request).db.write() as session:
            state = await take_call(session, secret, body, key, now(request), parts(request).settings.region)
    except PbxcrmError as error:
        said = {"ok": False, "code": error.code, "message": error.message.format(**error.params)}
        headers = {"retry-after": str(error.retry_after)} if isinstance(error, TooManyAttempts) else {}
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if error.code == TOO_LARGE else error.status
        return JSONResponse(said, status, headers)
    status = HTTPStatus.OK if state is HookCallState.REPEATED else HTTPStatus.ACCEPTED
    return JSONResponse({"ok": True, "state": state.value}, status)


async def _body(request: Request) -> bytes:
    """The body, read no further than it may be long. Raises Invalid."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY:
            raise Invalid("", TOO_LARGE, "Send at most {most} kB.", most=MOST_BODY // 1024)
    return body


async def listed(request: Request) -> Response:
    """``GET /automation/hooks``: all of them, and the form of a new one."""
    return await _list(request, filled({"per_minute": USUAL_RATE}))


async def create(request: Request) -> Response:
    """``POST /automation/hooks``: a new one, whose address is shown once."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            hook, secret = await create_hook(
                session,
                viewer(request),
                name=form["name"],
                fields=_typed(form["fields"]),
                per_minute=form.number("per_minute") or 0,
                now=now(request),
            )
    except PbxcrmError as error:
        if isinstance(error, NotFound):
            raise
        form.refuse(error if isinstance(error, Invalid) else Invalid("", error.code, error.message, **error.params))
        return await _list(request, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    address = f"{request.url.scheme}://{request.url.netloc}/hooks/{secret}"
    return await _list(request, filled({"per_minute": USUAL_RATE}), made=hook, address=address)


async def one(request: Request) -> Response:
    """``GET /automation/hooks/12``: what it declares, and its latest calls."""
    hook_id = request.path_params["hook_id"]
    async with parts(request).db.read() as session:
        hook = await access_hook(session, viewer(request), hook_id)
        calls = await calls_of(session, viewer(request), hook_id)
        deals = await deals_named(session, {call.deal_id for call in calls if call.deal_id is not None})
    return show(request, "automation/hook.html", hook=hook, fields=fields_of(hook), calls=calls, deals=deals)


async def revoke(request: Request) -> Response:
    """``POST /automation/hooks/12/revoke``: its address takes nothing any more."""
    async with parts(request).db.write() as session:
        await revoke_hook(session, viewer(request), request.path_params["hook_id"], now(request))
    return redirect(request, PATH, done="saved")


async def _list(
    request: Request, form: Form, status: int = 200, *, made: IncomingHook | None = None, address: str = ""
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        hooks = await list_hooks(session, viewer(request))
        counts = await count_calls(session, viewer(request), now(request) - timedelta(days=30))
    return show(
        request,
        "automation/hooks.html",
        status=status,
        form=form,
        hooks=hooks,
        counts=counts,
        declared={hook.id: ", ".join(each.key for each in fields_of(hook)) for hook in hooks},
        made=made,
        made_address=address,
    )


def _typed(text: str) -> list[HookField]:
    """``name = path``, one per line; ``| number`` behind it for a number. Raises Invalid."""
    found: list[HookField] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        said = line.strip()
        kind = HookValue.NUMBER if said.endswith(_NUMBER) else HookValue.TEXT
        key, _equals, path = said.removesuffix(_NUMBER).partition("=")
        found.append(HookField(key.strip(), path.strip(), kind.value))
    return found
