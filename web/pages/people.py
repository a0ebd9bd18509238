"""People: their teams, extensions and roles."""

from collections.abc import Callable
from http import HTTPStatus

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Permission, Role, can, may
from pbxcrm.calls.queries import unmapped_extensions
from pbxcrm.checkpoints.hours_queries import look_at_team
from pbxcrm.checkpoints.preview_jobs import Look
from pbxcrm.people import actions
from pbxcrm.people.api_tokens import list_tokens
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import Team, User
from pbxcrm.people.passwords import hash_password
from pbxcrm.people.queries import access_user, extensions_of, list_teams, list_users, mobiles_of
from pbxcrm.people.rules import check_extensions, check_login, check_mobiles, check_name, check_password
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.upkeep.handover import MOST, handover_of
from web.answers import redirect
from web.forms import Form, filled, read_form
from web.i18n import N_
from web.i18n import gettext as _
from web.parts import now, parts, viewer
from web.rendering import render
from web.two_tabs import check_unchanged, drawn
from web.untrusted import local_path

ROLES: dict[str, str] = {
    Role.SELLER.value: N_("Seller"),
    Role.MANAGER.value: N_("Manager"),
    Role.QC.value: N_("Quality control"),
    Role.ADMIN.value: N_("Administrator"),
}


async def people(request: Request) -> Response:
    """``GET /people``: everybody one may see, by team; people who may edit also see extensions without an owner."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        users = await list_users(session, who)
        directory = await load_directory(session)
        strays = await unmapped_extensions(session) if can(who, Permission.PEOPLE_EDIT) else []
    return render(
        request,
        "people/list.html",
        users=users,
        teams=sorted(directory.teams.values(), key=lambda team: team.name.lower()),
        directory=directory,
        strays=strays,
        roles=ROLES,
    )


async def new_person(request: Request) -> Response:
    """``GET /people/new?extension=&back=``: the form of a new person. ``back``: where one goes on afterwards."""
    asked = request.query_params
    back = local_path(asked["back"]) if "back" in asked else ""
    form = filled({"role": Role.SELLER.value, "extensions": asked.get("extension", ""), "back": back})
    return await _person_page(request, form, None)


async def add_person(request: Request) -> Response:
    """``POST /people/new``: add a person."""
    form = await read_form(request)
    if form.gather(
        lambda: check_login(form["login"]), *_checks(request, form), lambda: check_password(form.get("password"))
    ):
        await _refuse_taken(request, form, None)
        return await _person_page(request, form, None, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        hashed = await hash_password(form.get("password"))
        async with parts(request).db.write() as session:
            await actions.add_user(
                session,
                viewer(request),
                login=form["login"],
                name=form["name"],
                role=form["role"],
                password_hash=hashed,
                extensions=_extensions(form),
                mobiles=_mobiles(request, form),
                team=form.id("team"),
                now=now(request),
            )
    except Invalid as error:
        form.refuse(error)
        return await _person_page(request, form, None, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, local_path(form["back"]) if form["back"] else "/people", done="added")


async def person(request: Request) -> Response:
    """``GET /people/{id}``: the form of a person with their API tokens."""
    async with parts(request).db.read() as session:
        user = await _user(session, request)
        form = await _person_form(session, user)
    return await _person_page(request, form, user)


async def _person_form(session: AsyncSession, user: User) -> Form:
    numbers = (await extensions_of(session, [user.id or 0]))[user.id or 0]
    mobiles = (await mobiles_of(session, [user.id or 0]))[user.id or 0]
    return drawn(
        {
            "name": user.name,
            "role": user.role,
            "team": user.team_id,
            "extensions": ", ".join(numbers),
            "mobiles": ", ".join(map(format_for_people, mobiles)),
            "is_active": user.is_active,
        }
    )


async def save_person(request: Request) -> Response:
    """``POST /people/{id}``; save a person. An empty password keeps the old one."""
    form = await read_form(request)
    async with parts(request).db.read() as session:
        user = await _user(session, request)
    fresh = (lambda: check_password(form.get("password")),) if form.get("password") else ()
    if form.gather(*_checks(request, form), *fresh):
        await _refuse_taken(request, form, user)
        return await _person_page(request, form, user, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        hashed = await hash_password(form.get("password")) if form.get("password") else ""
        if not form["begin"] and form.ticked("is_active"):
            async with parts(request).db.read() as session:
                look = await look_at_team(session, user.id or 0, form.id("team"), now(request))
            if look.would_light:
                form.errors["begin"] = _("Choose what happens to them, then save.")
                return await _person_page(request, form, user, HTTPStatus.UNPROCESSABLE_ENTITY, look)
        async with parts(request).db.write() as session:
            check_unchanged(form, await _person_form(session, await _user(session, request)))
            await actions.edit_user(
                session,
                viewer(request),
                user.id or 0,
                name=form["name"],
                role=form["role"],
                extensions=_extensions(form),
                mobiles=_mobiles(request, form),
                team=form.id("team"),
                is_active=form.ticked("is_active"),
                password_hash=hashed,
                now=now(request),
                begin_now=form["begin"] == "now",
            )
    except Invalid as error:
        form.refuse(error)
        return await _person_page(request, form, user, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, "/people", done="saved")


async def _user(session: AsyncSession, request: Request) -> User:
    return await access_user(session, viewer(request), request.path_params["user_id"])


def _extensions(form: Form) -> list[str]:
    return form["extensions"].replace(";", ",").replace(" ", ",").split(",")


def _checks(request: Request, form: Form) -> tuple[Callable[[], object], ...]:
    return (
        lambda: check_name(form["name"]),
        lambda: check_extensions(_extensions(form)),
        lambda: _mobiles(request, form),
    )


async def _refuse_taken(request: Request, form: Form, user: User | None) -> None:
    """Say at its field that an extension is somebody else's, beside what else is wrong."""
    if "extensions" in form.errors:
        return
    try:
        async with parts(request).db.read() as session:
            await actions.check_free(session, check_extensions(_extensions(form)), user.id if user else None)
    except Invalid as error:
        form.refuse(error)


def _mobiles(request: Request, form: Form) -> list[str]:
    return check_mobiles(form["mobiles"], parts(request).settings.region)


async def _person_page(
    request: Request, form: Form, user: User | None, status: int = 200, look: Look | None = None
) -> Response:
    async with parts(request).db.read() as session:
        teams = await list_teams(session)
        tokens = await list_tokens(session, user.id) if user is not None and user.id is not None else []
        held = await handover_of(session, user) if user is not None else None
    return render(
        request,
        "people/person.html",
        fragment="people/_person_form.html",
        status=status,
        form=form,
        user=user,
        teams=teams,
        roles=ROLES,
        tokens=tokens,
        look=look,
        held=held,
        MOST_HELD=MOST,
    )


async def new_team(request: Request) -> Response:
    """``GET /teams/new``: the form of a new team."""
    return await _team_page(request, Form(), None)


async def team(request: Request) -> Response:
    """``GET /teams/{id}``: the form of a team."""
    found = await _team(request)
    return await _team_page(request, _team_form(found), found)


def _team_form(found: Team) -> Form:
    return drawn({"name": found.name, "manager_id": found.manager_id})


async def _team(request: Request) -> Team:
    async with parts(request).db.read() as session:
        found = await session.get(Team, request.path_params["team_id"])
    if found is None:
        raise NotFound("people.no_team", "There is no such team.")
    return found


async def add_team(request: Request) -> Response:
    """``POST /teams/new``: add a team."""
    return await _save_team(request, None)


async def save_team(request: Request) -> Response:
    """``POST /teams/{id}``: save a team."""
    return await _save_team(request, await _team(request))


async def _save_team(request: Request, found: Team | None) -> Response:
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            if found is not None:
                check_unchanged(form, _team_form(await session.get_one(Team, found.id)))
            await actions.save_team(
                session,
                viewer(request),
                name=form["name"],
                manager_id=form.id("manager_id"),
                team_id=found.id if found else None,
                now=now(request),
            )
    except Invalid as error:
        form.refuse(error)
        return await _team_page(request, form, found, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, "/people", done="saved" if found else "added")


async def _team_page(request: Request, form: Form, found: Team | None, status: int = 200) -> Response:
    async with parts(request).db.read() as session:
        users = await list_users(session, viewer(request))
    leaders = [user for user in users if user.is_active and may(user.role, Permission.ESCALATIONS_WORK)]
    return render(
        request,
        "people/team.html",
        fragment="people/_team_form.html",
        status=status,
        form=form,
        team=found,
        leaders=leaders,
    )
