"""Log-in, log-out, the own profile, and the rail, which refreshes itself."""

import secrets
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pbxcrm.notices import actions as notices
from pbxcrm.people import actions, login_actions
from pbxcrm.shared.errors import Invalid, TooManyAttempts
from pbxcrm.upkeep.pbx_silence import load_silence
from web.answers import done_word, redirect
from web.auth import LOGIN, delete_cookie, device_of, give_cookie, local_path, remember_device, session_token
from web.forms import Form, read_form
from web.i18n import Language
from web.i18n import gettext as _
from web.middleware import LANGUAGE_COOKIE
from web.parts import now, parts, viewer
from web.profile_page import profile_page
from web.rendering import render
from web.shell import load_shell

YEAR_SECONDS = 365 * 24 * 3600


async def login_form(request: Request) -> Response:
    """``GET /login?next=``; a logged-in person is redirected to ``next``."""
    target = local_path(request.query_params.get("next"))
    if request.state.viewer is not None:
        return RedirectResponse(target, HTTPStatus.SEE_OTHER)
    return _login_page(request, Form(), target)


async def login(request: Request) -> Response:
    """``POST /login``: sets the session cookie. After too many attempts it says when to try again."""
    form = await read_form(request)
    target = local_path(form["next"])
    address = request.client.host if request.client else ""
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    token: str | None = None
    wait = 0
    device = device_of(request) or secrets.token_urlsafe(32)
    try:
        token, _user = await login_actions.log_in(
            parts(request).db,
            form["login"],
            form.get("password"),
            address,
            request.headers.get("user-agent", ""),
            now(request),
            device,
        )
        if token is None:
            form.errors[""] = _("The login or the password is wrong.")
    except TooManyAttempts as error:
        form.errors[""] = _(error.message).format(**error.params)
        status, wait = HTTPStatus.TOO_MANY_REQUESTS, error.retry_after
    if token is None:
        page = _login_page(request, form, target, status)
        if wait:
            page.headers["Retry-After"] = str(wait)
        return page
    response = redirect(request, target)
    give_cookie(request, response, token)
    remember_device(request, response, device)
    return response


def _login_page(request: Request, form: Form, target: str, status: int = 200) -> HTMLResponse:
    return render(request, "auth/login.html", status=status, form=form, target=target, done=done_word(request))


async def choose_language(request: Request) -> Response:
    """Set the language of the login page, before anybody is logged in."""
    form = await read_form(request)
    target = local_path(form["next"])
    response = redirect(request, LOGIN if target == "/" else f"{LOGIN}?next={target}")
    if Language.of(form["language"]) is not None:
        response.set_cookie(
            LANGUAGE_COOKIE, form["language"], max_age=YEAR_SECONDS, path="/", httponly=True, samesite="lax"
        )
    return response


async def logout(request: Request) -> Response:
    """``POST /logout``: ends this browser's session."""
    token = session_token(request)
    if token:
        async with parts(request).db.write() as session:
            await actions.log_out(session, token, now(request))
    response = redirect(request, LOGIN, done="logged_out")
    delete_cookie(request, response)
    return response


async def rail(request: Request) -> Response:
    """Only the rail, with current counters; ``?at=`` is the path of the page that shows it."""
    at = now(request)
    async with parts(request).db.read() as session:
        request.state.shell = await load_shell(
            request, viewer(request), session, at, path=local_path(request.query_params.get("at"))
        )
    return render(request, "shell/_rail.html")


async def pbx(request: Request) -> Response:
    """``GET /shell/pbx``: whether the PBX is connected, for the bar."""
    configured = [found.name for found in parts(request).settings.pbxs]
    async with parts(request).db.read() as session:
        silence = await load_silence(session, configured, now(request))
    return render(request, "shell/_pbx.html", silence=silence)


async def profile_form(request: Request) -> Response:
    """``GET /profile``: the profile page."""
    return await profile_page(request)


async def save_profile(request: Request) -> Response:
    """``POST /profile``: save name, language, theme and the settings of call cards."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            await actions.edit_profile(
                session,
                viewer(request),
                name=form["name"],
                language=form["language"],
                theme=form["theme"],
                popup=form["popup"],
                sound=form.ticked("sound"),
                notify=form.ticked("notify"),
                now=now(request),
            )
    except Invalid as error:
        form.refuse(error)
        return await profile_page(request, form=form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, "/profile", done="saved")


async def save_notices(request: Request) -> Response:
    """``POST /profile/notices``: address and time of the digest, and quiet hours."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            await notices.save_notices(
                session,
                viewer(request),
                email=form["email"],
                digest_at=form["digest_at"],
                quiet_desktop=form["quiet_desktop"],
                quiet_digest=form["quiet_digest"],
                now=now(request),
            )
    except Invalid as error:
        form.refuse(error)
        return await profile_page(request, notices=form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, "/profile", done="saved")


async def save_look(request: Request) -> Response:
    """Save theme or language from the menu of the bar, then go back to the same page."""
    who, form = viewer(request), await read_form(request)
    async with parts(request).db.write() as session:
        await actions.edit_profile(
            session,
            who,
            name=who.name,
            language=form["language"] or who.language,
            theme=form["theme"] or who.theme,
            popup=who.popup,
            sound=who.sound,
            notify=who.notify,
            now=now(request),
        )
    return redirect(request, _back(request))


def _back(request: Request) -> str:
    """The path of the page that sent the form, from ``Referer`` if it is one of ours; else the front page."""
    referrer = request.headers.get("referer", "")
    prefix = f"{request.url.scheme}://{request.headers.get('host', '')}"
    return local_path(referrer.removeprefix(prefix)) if referrer.startswith(prefix + "/") else "/"


async def change_password(request: Request) -> Response:
    """``POST /profile/password``: log out every other browser and end every token."""
    password = await read_form(request)
    who = viewer(request)
    try:
        _check_same(password)
        await login_actions.change_password(
            parts(request).db, who, old=password.get("old"), new=password.get("new"), now=now(request)
        )
    except Invalid as error:
        password.refuse(error)
        return await profile_page(request, password=password, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, "/profile", done="password")


def _check_same(password: Form) -> None:
    if password.get("new") != password.get("again"):
        raise Invalid("again", "people.password_again", "The two new passwords differ.")


async def end_session(request: Request) -> Response:
    """``POST /profile/sessions/{id}/end``: ends one of the viewer's own sessions."""
    async with parts(request).db.write() as session:
        await actions.revoke_session(session, viewer(request), request.path_params["session_id"], now(request))
    return redirect(request, "/profile", done="browser_logged_out")


async def end_other_sessions(request: Request) -> Response:
    """``POST /profile/sessions/end-others``: log out all other browsers of the viewer."""
    who = viewer(request)
    async with parts(request).db.write() as session:
        await actions.revoke_sessions(session, who.user_id, now(request), but=who.session_id)
    return redirect(request, "/profile", done="logged_out_everywhere")
