"""The table of all routes, each with the permission it needs.

The handlers stand in the page modules. The routes stand here, so that a reader (and the test
``tests/integration/test_access_walk.py``) sees all of them in one place.
"""

from collections.abc import Sequence

from starlette.routing import Route

from pbxcrm.access import Permission
from pbxcrm.callbacks.queries import open_count
from pbxcrm.checkpoints.queries import escalation_count
from pbxcrm.deals.unsorted_queries import count_unsorted
from pbxcrm.flags.queries import open_flags
from pbxcrm.tasks.queries import overdue_count
from web.api.table import api_routes
from web.automation_routes import automation_routes
from web.client_routes import client_routes
from web.deal_routes import deal_routes, unsorted_routes
from web.distribution_routes import distribution_routes
from web.form_routes import form_routes, public_form_routes
from web.message_routes import message_routes, unsubscribe_routes
from web.middleware import HEALTHZ
from web.pages import (
    audit,
    background,
    burning,
    calendars,
    callback_options,
    callbacks,
    calls,
    checkpoints,
    custom_values,
    dialplan,
    dock,
    due,
    escalations,
    feeds,
    fields,
    files,
    first_run,
    flags,
    health,
    home,
    lamps,
    leaves,
    lines,
    people,
    phone,
    pipelines,
    reports,
    session,
    stage_tasks,
    status,
    task_acts,
    task_views,
    tasks,
    tokens,
)
from web.parts import Parts
from web.product_routes import product_routes
from web.routing import POST, page, public
from web.shell import Counter
from web.static_files import StaticTree
from web.stream import live

#: Counters of the rail, by the ``counter`` of their section.
COUNTERS: dict[str, Counter] = {
    "unsorted": lambda session, viewer, _now: count_unsorted(session, viewer),
    "callbacks": lambda session, viewer, _now: open_count(session, viewer),
    "tasks": overdue_count,
    "escalations": escalation_count,
    "flags": open_flags,
}


def all_routes(static: StaticTree) -> Sequence[Route]:
    """Every route of pages, API and static files."""
    return [
        public("/static/{version}/{name:path}", static.serve, name="static"),
        public(HEALTHZ, health.healthz),
        public("/readyz", health.readyz),
        public("/metrics", health.metrics),
        *public_form_routes(),  # the router tries one after the other, and a form may be flooded
        page("/live", live, needs=None),
        page("/", home.home, needs=None),
        page("/search", home.find, needs=Permission.CONTACTS_READ),
        *_calls(),
        *deal_routes(),
        *unsorted_routes(),
        *_tasks(),
        *_callbacks(),
        *_escalations(),
        page("/burning", burning.page, needs=Permission.TASKS_READ, name="burning"),
        page("/burning/reactions", burning.reactions, needs=Permission.TASKS_READ, name="burning_reactions"),
        page("/burning/rows", burning.behind, needs=Permission.TASKS_READ, name="burning_rows"),
        page("/burning/parked", lamps.parked, needs=Permission.TASKS_READ, name="parked"),
        page("/burning/parked/retry", lamps.retry, needs=Permission.SETTINGS_EDIT, methods=POST),
        page("/burning/parked/{lamp_id:int}/retry", lamps.retry_one, needs=Permission.SETTINGS_EDIT, methods=POST),
        page("/deals/{deal_id:int}/lamps", lamps.of_deal, needs=Permission.DEALS_READ, name="lamps_of_deal"),
        page(
            "/callbacks/{episode_id:int}/lamps",
            lamps.of_callback,
            needs=Permission.CALLBACKS_READ,
            name="lamps_of_callback",
        ),
        page("/tasks/{task_id:int}/lamps", lamps.of_task, needs=Permission.TASKS_READ, name="lamps_of_task"),
        *_reports(),
        *automation_routes(),
        *_custom_values(),
        *_flags(),
        *_phone(),
        *client_routes(),
        *_settings(),
        *_session(),
        *_people(),
        *api_routes(),
        *form_routes(),
        *unsubscribe_routes(),
        public("/feeds/{token:str}.ics", feeds.feed, name="feed"),
        public("/dialplan/lookup", dialplan.lookup, name="dialplan_lookup"),
        *_dock(),
        page("/status", status.status, needs=Permission.STATUS_READ),
    ]


def prepare(parts: Parts) -> None:
    """Set up once what pages need besides routes: the pushers of the live stream."""
    parts.hub.add_pusher("dock", "dock", dock.pusher(parts))


def _dock() -> list[Route]:
    use = Permission.PHONE_USE
    acts = {
        "note": dock.save_note,
        "contact": dock.choose_contact,
        "link": dock.link,
        "client": dock.make_client,
        "attach": dock.attach,
        "finish": dock.finish,
        "hide": dock.hide,
        "unhide": dock.unhide,
        "not-a-client": dock.not_a_client,
    }
    posts = [page(f"/dock/{{call_id:int}}/{word}", act, needs=use, methods=POST) for word, act in acts.items()]
    return [
        page("/dock", dock.dock, needs=None),
        page("/dock/finish-together", dock.finish_together, needs=use, methods=POST, name="dock_finish_together"),
        page(
            "/dock/together/{token:str}/undo",
            dock.unfinish_together,
            needs=use,
            methods=POST,
            name="dock_together_undo",
        ),
        page("/dock/{call_id:int}/link", dock.ask_client, needs=use, name="dock_ask_client"),
        page("/dock/{call_id:int}/stopped", dock.why_stopped, needs=use, name="dock_why_stopped"),
        *posts,
    ]


def _session() -> list[Route]:
    own = Permission.OWN_PROFILE
    return [
        public("/login", session.login_form, name="login"),
        public("/login", session.login, methods=POST, name="login_post"),
        public("/language", session.choose_language, methods=POST),
        page("/jobs/{job_id:int}", background.progress, needs=None, name="job_progress"),
        page("/shell/rail", session.rail, needs=None),
        page("/shell/pbx", session.pbx, needs=None, name="shell_pbx"),
        page("/logout", session.logout, needs=None, methods=POST),
        page("/profile", session.profile_form, needs=own, name="profile"),
        page("/profile", session.save_profile, needs=own, methods=POST),
        page("/profile/notices", session.save_notices, needs=own, methods=POST),
        page("/profile/look", session.save_look, needs=own, methods=POST),
        page("/profile/password", session.change_password, needs=own, methods=POST),
        page("/profile/sessions/end-others", session.end_other_sessions, needs=own, methods=POST),
        page("/profile/feed", feeds.make, needs=own, methods=POST, name="make_feed"),
        page("/profile/feed/end", feeds.end, needs=own, methods=POST, name="end_feed"),
        page("/profile/tokens", tokens.create, needs=own, methods=POST, name="create_token"),
        page("/profile/tokens/{token_id:int}/end", tokens.revoke_own, needs=own, methods=POST, name="revoke_token"),
        page("/profile/sessions/{session_id:int}/end", session.end_session, needs=own, methods=POST),
    ]


def _people() -> list[Route]:
    read, edit = Permission.PEOPLE_READ, Permission.PEOPLE_EDIT
    return [
        page("/people", people.people, needs=read),
        page("/people/leaves", leaves.listed, needs=read, name="leaves"),
        page("/people/leaves/look", leaves.look, needs=Permission.LEAVES_EDIT, name="look_at_leave"),
        page("/people/leaves", leaves.create, needs=Permission.LEAVES_EDIT, methods=POST, name="add_leave"),
        page("/people/leaves/{leave_id:int}", leaves.one, needs=Permission.LEAVES_EDIT, name="leave"),
        page(
            "/people/leaves/{leave_id:int}", leaves.save, needs=Permission.LEAVES_EDIT, methods=POST, name="save_leave"
        ),
        page(
            "/people/leaves/{leave_id:int}/delete",
            leaves.delete,
            needs=Permission.LEAVES_EDIT,
            methods=POST,
            name="delete_leave",
        ),
        page("/people/new", people.new_person, needs=edit),
        page("/people/new", people.add_person, needs=edit, methods=POST),
        page("/people/{user_id:int}", people.person, needs=edit),
        page("/people/{user_id:int}", people.save_person, needs=edit, methods=POST),
        page(
            "/people/{user_id:int}/tokens/{token_id:int}/end",
            tokens.revoke_of,
            needs=edit,
            methods=POST,
            name="revoke_token_of",
        ),
        page("/teams/new", people.new_team, needs=edit),
        page("/teams/new", people.add_team, needs=edit, methods=POST),
        page("/teams/{team_id:int}", people.team, needs=edit),
        page("/teams/{team_id:int}", people.save_team, needs=edit, methods=POST),
    ]


def _calls() -> list[Route]:
    read = Permission.CALLS_READ
    return [
        page("/calls", calls.calls, needs=read),
        page("/calls/{call_id:int}", calls.call, needs=read),
        page("/calls/{call_id:int}/recording", calls.recording, needs=Permission.RECORDINGS_LISTEN),
        page(
            "/calls/{call_id:int}/client",
            calls.client,
            needs=Permission.CONTACTS_EDIT,
            methods=POST,
            name="call_client",
        ),
        page("/calls/{call_id:int}/note", calls.note, needs=Permission.NOTES_WRITE, methods=POST, name="call_note"),
    ]


def _custom_values() -> list[Route]:
    find = page("/fields/{field_id:int}/find", custom_values.find, needs=Permission.DEALS_READ, name="find_linked")
    return [find, *(route for keeper in custom_values.KEEPERS for route in custom_values.routes_of(keeper))]


def _flags() -> list[Route]:
    edit, word = Permission.FLAGS_EDIT, Permission.FLAGS_RESOLVE
    return [
        page("/flags", flags.listed, needs=Permission.FLAGS_READ, name="flags"),
        page("/deals/{deal_id:int}/flag", flags.on_deal, needs=edit, methods=POST, name="flag_deal"),
        page("/calls/{call_id:int}/flag", flags.on_call, needs=edit, methods=POST, name="flag_call"),
        page("/flags/{flag_id:int}/resolve", flags.resolve, needs=word, methods=POST, name="resolve_flag"),
    ]


def _tasks() -> list[Route]:
    read, write = Permission.TASKS_READ, Permission.TASKS_EDIT
    return [
        page("/tasks", tasks.tasks, needs=read),
        page("/due", due.understood, needs=read, name="due"),
        page("/tasks/new", tasks.new, needs=write, name="new_task"),
        page("/tasks/new", tasks.create, needs=write, methods=POST, name="create_task"),
        page("/tasks/{task_id:int}", tasks.task, needs=read),
        page("/tasks/{task_id:int}", tasks.save, needs=write, methods=POST, name="save_task"),
        page("/tasks/{task_id:int}/done", tasks.done, needs=write, methods=POST, name="finish_task"),
        page("/tasks/{task_id:int}/ask", task_acts.ask_snooze, needs=write, name="ask_snooze"),
        *(
            page(f"/tasks/{{task_id:int}}/{word}", act, needs=write, methods=POST, name=f"task_{word}")
            for word, act in {
                "check": task_acts.tick,
                "accept": task_acts.accept,
                "judge": task_acts.judge,
                "snooze": task_acts.snooze,
                "plan": task_acts.plan,
                "comment": task_acts.comment,
                "undo": task_acts.undo,
            }.items()
        ),
        page("/tasks/{task_id:int}/files", files.listed, needs=read, name="task_files"),
        page("/tasks/{task_id:int}/files", files.add, needs=write, methods=POST, name="attach_to_task"),
        page("/tasks/team", task_views.team, needs=read, name="tasks_team"),
        page("/tasks/week", task_views.week, needs=read, name="tasks_week"),
        page("/tasks/{task_id:int}/reopen", tasks.reopen, needs=write, methods=POST, name="reopen_task"),
    ]


def _settings() -> list[Route]:
    edit = Permission.SETTINGS_EDIT
    calendar = "/settings/calendars/{calendar_id:int}"
    pipeline, stage = "/settings/pipelines/{pipeline_id:int}", "/settings/stages/{stage_id:int}"
    return [
        page("/settings/pipelines", pipelines.listed, needs=edit, name="pipelines"),
        page("/settings/pipelines/new", pipelines.new, needs=edit, name="new_pipeline"),
        page("/settings/pipelines/new", pipelines.create, needs=edit, methods=POST, name="add_pipeline"),
        page(pipeline, pipelines.one, needs=edit, name="pipeline"),
        page(pipeline, pipelines.save, needs=edit, methods=POST, name="save_pipeline"),
        page(f"{pipeline}/archive", pipelines.archive, needs=edit, methods=POST, name="archive_pipeline"),
        page(f"{pipeline}/stages/new", pipelines.new_stage, needs=edit, name="new_stage"),
        page(f"{pipeline}/stages/new", pipelines.create_stage, needs=edit, methods=POST, name="add_stage"),
        page(stage, pipelines.stage, needs=edit, name="stage"),
        page(stage, pipelines.save_stage, needs=edit, methods=POST, name="save_stage"),
        page(f"{stage}/tasks", stage_tasks.page, needs=edit, name="stage_tasks"),
        page(f"{stage}/tasks", stage_tasks.save, needs=edit, methods=POST, name="save_stage_tasks"),
        page(f"{stage}/position", pipelines.move_stage, needs=edit, methods=POST, name="move_stage"),
        page(f"{stage}/split", pipelines.ask_split, needs=edit, name="ask_split_stage"),
        page(f"{stage}/split", pipelines.split, needs=edit, methods=POST, name="split_stage"),
        page(f"{stage}/remove", pipelines.ask_remove, needs=edit, name="ask_remove_stage"),
        page(f"{stage}/remove", pipelines.remove, needs=edit, methods=POST, name="remove_stage"),
        page(f"{stage}/restore", pipelines.restore, needs=edit, methods=POST, name="restore_stage"),
        page(f"{pipeline}/watch", checkpoints.watch, needs=edit, methods=POST, name="watch_pipeline"),
        page(f"{pipeline}/checkpoints/new", checkpoints.form, needs=edit, name="new_checkpoint_of_pipeline"),
        page(
            f"{pipeline}/checkpoints/new",
            checkpoints.save,
            needs=edit,
            methods=POST,
            name="add_checkpoint_of_pipeline",
        ),
        page(f"{stage}/checkpoints/new", checkpoints.form, needs=edit, name="new_checkpoint"),
        page(f"{stage}/checkpoints/new", checkpoints.save, needs=edit, methods=POST, name="add_checkpoint"),
        page("/settings/checkpoints/{checkpoint_id:int}", checkpoints.form, needs=edit, name="checkpoint"),
        page(
            "/settings/checkpoints/{checkpoint_id:int}",
            checkpoints.save,
            needs=edit,
            methods=POST,
            name="save_checkpoint",
        ),
        page(
            "/settings/checkpoints/{checkpoint_id:int}/remove",
            checkpoints.remove,
            needs=edit,
            methods=POST,
            name="remove_checkpoint",
        ),
        page("/settings/trials/{job_id:int}", checkpoints.trial, needs=edit, name="trial"),
        page("/settings/fields", fields.listed, needs=edit, name="fields"),
        page("/settings/fields/new", fields.new, needs=edit, name="new_field"),
        page("/settings/fields/new", fields.create, needs=edit, methods=POST, name="add_field"),
        page("/settings/fields/sections", fields.sections, needs=edit, methods=POST, name="field_sections"),
        page("/settings/fields/check", fields.check, needs=edit, name="check_formula"),
        page("/settings/fields/{field_id:int}", fields.one, needs=edit, name="field"),
        page("/settings/fields/{field_id:int}", fields.save, needs=edit, methods=POST, name="save_field"),
        page("/settings/fields/{field_id:int}/place", fields.move, needs=edit, methods=POST, name="move_field"),
        page("/settings/lines", lines.lines, needs=edit),
        page("/settings/lines/new", lines.new, needs=edit, name="new_line"),
        page("/settings/lines/new", lines.save, needs=edit, methods=POST, name="add_line"),
        page("/settings/lines/preview", lines.preview, needs=edit, methods=POST, name="preview_line"),
        page("/settings/lines/{line_id:int}", lines.line, needs=edit),
        page("/settings/lines/{line_id:int}", lines.save, needs=edit, methods=POST, name="save_line"),
        page("/settings/lines/{line_id:int}/move", lines.move, needs=edit, methods=POST, name="move_line"),
        page("/settings/lines/{line_id:int}/delete", lines.delete, needs=edit, methods=POST, name="delete_line"),
        *product_routes(),
        *message_routes(),
        *distribution_routes(),
        page("/settings", first_run.settings, needs=edit, name="settings"),
        page("/settings/start", first_run.steps, needs=edit, name="first_run"),
        page("/settings/start/keep", first_run.keep, needs=edit, methods=POST, name="first_run_keep"),
        page("/settings/start/away", first_run.away, needs=edit, methods=POST, name="first_run_away"),
        page("/settings/audit", audit.listed, needs=edit, name="audit"),
        page("/settings/tokens", tokens.listed, needs=Permission.PEOPLE_EDIT, name="all_tokens"),
        page(
            "/settings/tokens/{token_id:int}/end",
            tokens.revoke_any,
            needs=Permission.PEOPLE_EDIT,
            methods=POST,
            name="revoke_any_token",
        ),
        page("/settings/callbacks", callback_options.page, needs=edit, name="callback_options"),
        page("/settings/callbacks", callback_options.save, needs=edit, methods=POST, name="save_callback_options"),
        page("/settings/calendars", calendars.listed, needs=edit, name="calendars"),
        page("/settings/calendars/new", calendars.new, needs=edit, name="new_calendar"),
        page("/settings/calendars/new", calendars.create, needs=edit, methods=POST, name="add_calendar"),
        page(calendar, calendars.one, needs=edit, name="calendar"),
        page(calendar, calendars.save, needs=edit, methods=POST, name="save_calendar"),
        page(f"{calendar}/delete", calendars.delete, needs=edit, methods=POST, name="delete_calendar"),
        page(f"{calendar}/holidays", calendars.holidays, needs=edit, name="holidays"),
        page(f"{calendar}/holidays", calendars.enter_holidays, needs=edit, methods=POST, name="enter_holidays"),
    ]


def _callbacks() -> list[Route]:
    read, work = Permission.CALLBACKS_READ, Permission.CALLBACKS_WORK
    acts = {
        "claim": callbacks.claim,
        "release": callbacks.release,
        "call": callbacks.call,
        "result": callbacks.result,
        "dismiss": callbacks.dismiss,
        "next": callbacks.set_next,
    }
    return [
        page("/callbacks", callbacks.queue, needs=read, name="callbacks"),
        page("/callbacks/{episode_id:int}", callbacks.one, needs=read, name="callback"),
        page("/callbacks/{episode_id:int}/ask", callbacks.ask, needs=work, name="callback_ask"),
        *(
            page(f"/callbacks/{{episode_id:int}}/{word}", act, needs=work, methods=POST, name=f"callback_{word}")
            for word, act in acts.items()
        ),
        page("/callbacks/undo/{attempt_id:int}", callbacks.undo, needs=work, methods=POST, name="callback_undo"),
    ]


def _phone() -> list[Route]:
    use = Permission.PHONE_USE
    return [
        page("/phone/call", phone.call, needs=use, methods=POST, name="phone_call"),
        page("/phone/transfer", phone.transfer, needs=use, methods=POST, name="phone_transfer"),
        page("/phone/hangup", phone.hang_up, needs=use, methods=POST, name="phone_hangup"),
        page("/phone/state", phone.state, needs=use, name="phone_state"),
    ]


def _reports() -> list[Route]:
    anybody = Permission.OWN_PROFILE  # each report checks for itself who may read it
    return [
        page("/reports", reports.listed, needs=anybody, name="reports"),
        page("/reports/{report}", reports.one, needs=anybody, name="report"),
        page("/reports/{report}/rows", reports.rows, needs=anybody, name="report_rows"),
    ]


def _escalations() -> list[Route]:
    read, work = Permission.ESCALATIONS_READ, Permission.ESCALATIONS_WORK
    one, task = "/escalations/{escalation_id:int}", "/escalations/tasks/{task_id:int}"
    return [
        page("/escalations", escalations.page, needs=read, name="escalations"),
        page("/escalations/reassign", escalations.reassign_chosen, needs=work, methods=POST, name="reassign_chosen"),
        page("/escalations/undo", escalations.undo_chosen, needs=work, methods=POST, name="escalations_undo"),
        page(f"{one}/ask", escalations.ask, needs=work, name="escalation_ask"),
        page(f"{one}/reassign", escalations.reassign, needs=work, methods=POST, name="escalation_reassign"),
        page(f"{one}/accept", escalations.accept, needs=work, methods=POST, name="escalation_accept"),
        page(f"{one}/comment", escalations.comment, needs=work, methods=POST, name="escalation_comment"),
        page(f"{one}/joint", escalations.joint, needs=work, methods=POST, name="escalation_joint"),
        page(f"{task}/ask", escalations.ask_task, needs=work, name="control_ask"),
        page(f"{task}/done", escalations.close_task, needs=work, methods=POST, name="control_done"),
    ]
