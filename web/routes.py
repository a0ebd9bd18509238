"""The one table of routes: what there is, and who may use it.

A page module keeps its handlers; its routes stand here, each with the permission it needs, so that one look (and one
test, ``tests/integration/web/test_access.py``) sees them all.
"""

from collections.abc import Sequence

from starlette.routing import Route

from pbxcrm.access import Permission
from web.live import live
from web.pages import dock, health, people, session, status
from web.parts import Parts
from web.routing import POST, page, public
from web.shell import Counter
from web.static_files import StaticTree

#: Counters of the rail, by the name a section gives them.
COUNTERS: dict[str, Counter] = {}


def all_routes(static: StaticTree) -> Sequence[Route]:
    return [
        public("/static/{version}/{name:path}", static.serve, name="static"),
        public("/healthz", health.healthz),
        public("/readyz", health.readyz),
        public("/metrics", health.metrics),
        page("/live", live, needs=None),
        page("/", session.front, needs=None),
        *_session(),
        *_people(),
        *_dock(),
        page("/status", status.status, needs=Permission.STATUS_READ),
    ]


def prepare(parts: Parts) -> None:
    """Whatever pages must set up once with the parts of the application, such as what is pushed to the live stream."""
    parts.hub.add_pusher("dock", "dock", dock.pusher(parts))


def _dock() -> list[Route]:
    use = Permission.PHONE_USE
    acts = {
        "note": dock.save_note,
        "contact": dock.choose_contact,
        "attach": dock.attach,
        "finish": dock.finish,
        "hide": dock.hide,
        "unhide": dock.unhide,
        "not-a-client": dock.not_a_client,
    }
    posts = [page(f"/dock/{{call_id:int}}/{word}", act, needs=use, methods=POST) for word, act in acts.items()]
    return [page("/dock", dock.dock, needs=None), *posts]


def _session() -> list[Route]:
    own = Permission.OWN_PROFILE
    return [
        public("/login", session.login_form, name="login"),
        public("/login", session.login, methods=POST, name="login_post"),
        public("/language", session.choose_language, methods=POST),
        page("/shell/rail", session.rail, needs=None),
        page("/logout", session.logout, needs=None, methods=POST),
        page("/profile", session.profile_form, needs=own, name="profile"),
        page("/profile", session.save_profile, needs=own, methods=POST),
        page("/profile/look", session.save_look, needs=own, methods=POST),
        page("/profile/password", session.change_password, needs=own, methods=POST),
        page("/profile/sessions/end-others", session.end_other_sessions, needs=own, methods=POST),
        page("/profile/sessions/{session_id:int}/end", session.end_session, needs=own, methods=POST),
    ]


def _people() -> list[Route]:
    read, edit = Permission.PEOPLE_READ, Permission.PEOPLE_EDIT
    return [
        page("/people", people.people, needs=read),
        page("/people/new", people.new_person, needs=edit),
        page("/people/new", people.add_person, needs=edit, methods=POST),
        page("/people/{user_id:int}", people.person, needs=edit),
        page("/people/{user_id:int}", people.save_person, needs=edit, methods=POST),
        page("/teams/new", people.new_team, needs=edit),
        page("/teams/new", people.add_team, needs=edit, methods=POST),
        page("/teams/{team_id:int}", people.team, needs=edit),
        page("/teams/{team_id:int}", people.save_team, needs=edit, methods=POST),
    ]
