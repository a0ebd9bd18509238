"""The routes of deals and of Unsorted."""

from starlette.routing import Route

from pbxcrm.access import Permission
from web.board_routes import board_routes
from web.pages import (
    deal_facts,
    deal_lines,
    deal_merges,
    deal_people,
    deal_tags,
    deals,
    files,
    new_deals,
    notes,
    owed_plans,
    pauses,
    rule_runs,
    unsorted,
)
from web.routing import POST, page


def deal_routes() -> list[Route]:
    """The board, the cards of deals, their merges and their files."""
    read, write = Permission.DEALS_READ, Permission.DEALS_EDIT
    return [
        *board_routes(),
        page("/deals/new", new_deals.new, needs=write, name="new_deal"),
        page("/deals/new", new_deals.create, needs=write, methods=POST, name="create_deal"),
        page("/deals/{deal_id:int}", deals.deal, needs=read),
        page("/deals/{deal_id:int}/timeline", deals.more, needs=read, name="deal_timeline"),
        page("/deals/{deal_id:int}/move", deals.move, needs=write, methods=POST, name="move_deal"),
        page("/deals/{deal_id:int}/assign", deals.assign, needs=write, methods=POST, name="assign_deal"),
        page("/deals/{deal_id:int}/merge", deal_merges.page, needs=write, name="merge_deal"),
        page("/deals/{deal_id:int}/merge", deal_merges.merge, needs=write, methods=POST, name="merge_deals"),
        page("/deal-merges/{deal_merge_id:int}", deal_merges.merged, needs=read, name="deal_merge"),
        page(
            "/deal-merges/{deal_merge_id:int}/undo", deal_merges.undo, needs=write, methods=POST, name="undo_deal_merge"
        ),
        page("/deals/{deal_id:int}/edit", deals.edit, needs=write, methods=POST, name="edit_deal"),
        page("/deals/{deal_id:int}/tags", deal_tags.add, needs=write, methods=POST, name="add_tag"),
        page(
            "/deals/{deal_id:int}/tags/{tag_id:int}/remove",
            deal_tags.remove,
            needs=write,
            methods=POST,
            name="remove_tag",
        ),
        page(
            "/deals/{deal_id:int}/tags/{tag_id:int}/restore",
            deal_tags.restore,
            needs=write,
            methods=POST,
            name="restore_tag",
        ),
        page("/deals/{deal_id:int}/pause", pauses.panel, needs=read, name="pause"),
        page("/deals/{deal_id:int}/pause/look", pauses.look, needs=write, name="look_at_pause"),
        page("/deals/{deal_id:int}/pause", pauses.create, needs=write, methods=POST, name="pause_deal"),
        page("/deals/{deal_id:int}/pause/end", pauses.end, needs=write, methods=POST, name="end_pause"),
        page(
            "/deals/{deal_id:int}/pause/approve",
            pauses.approve,
            needs=Permission.ESCALATIONS_WORK,
            methods=POST,
            name="approve_pause",
        ),
        page("/deals/{deal_id:int}/files", files.listed, needs=read, name="deal_files"),
        page("/deals/{deal_id:int}/files", files.add, needs=write, methods=POST, name="attach_to_deal"),
        page("/files/{file_id:int}", files.file, needs=Permission.TASKS_READ, name="file"),
        page(
            "/files/{file_id:int}/remove", files.remove, needs=Permission.TASKS_EDIT, methods=POST, name="remove_file"
        ),
        page(
            "/files/{file_id:int}/restore",
            files.restore,
            needs=Permission.TASKS_EDIT,
            methods=POST,
            name="restore_file",
        ),
        page("/owed-plans", owed_plans.owed, needs=write, name="owed_plans"),
        page("/deals/{deal_id:int}/plan", owed_plans.plan, needs=write, methods=POST, name="plan_owed"),
        *_people(),
        *_lines(),
        *_facts(),
        page("/deals/{deal_id:int}/note", deals.note, needs=Permission.NOTES_WRITE, methods=POST, name="deal_note"),
    ]


def _people() -> list[Route]:
    """Who has to do with a deal: people besides the client, watchers, whom a note names."""
    read, write, one = Permission.DEALS_READ, Permission.DEALS_EDIT, "/deals/{deal_id:int}/people/{person_id:int}"
    return [
        page("/deals/{deal_id:int}/people", deal_people.people, needs=read, name="people_of_deal"),
        page("/deals/{deal_id:int}/people", deal_people.add, needs=write, methods=POST, name="add_person_of_deal"),
        page(f"{one}/role", deal_people.role, needs=write, methods=POST, name="role_on_deal"),
        page(f"{one}/remove", deal_people.remove, needs=write, methods=POST, name="remove_person_of_deal"),
        page(f"{one}/restore", deal_people.restore, needs=write, methods=POST, name="restore_person_of_deal"),
        page("/deals/{deal_id:int}/watch", deal_people.start_watching, needs=read, methods=POST, name="watch_deal"),
        page("/deals/{deal_id:int}/unwatch", deal_people.stop_watching, needs=read, methods=POST, name="unwatch_deal"),
        page("/watching", deal_people.watching, needs=read),
        page("/news", deal_people.news, needs=read),
        page("/notes/{note_id:int}/pin", notes.pin, needs=write, methods=POST, name="pin_note"),
        page("/runs/{run_id:int}", rule_runs.one, needs=read, name="run"),
        page("/runs/{run_id:int}/undo", rule_runs.undo, needs=write, methods=POST, name="undo_run"),
        page("/notes/{note_id:int}/unpin", notes.unpin, needs=write, methods=POST, name="unpin_note"),
    ]


def _lines() -> list[Route]:
    """What is sold with a deal."""
    read, write, all_lines = Permission.DEALS_READ, Permission.DEALS_EDIT, "/deals/{deal_id:int}/lines"
    one = f"{all_lines}/{{deal_line_id:int}}"
    return [
        page(all_lines, deal_lines.panel, needs=read, name="lines_of_deal"),
        page(all_lines, deal_lines.add, needs=write, methods=POST, name="add_line_of_deal"),
        page(f"{all_lines}/find", deal_lines.find, needs=write, name="find_products"),
        page(f"{all_lines}/compute", deal_lines.compute, needs=write, name="compute_quantity"),
        page(f"{all_lines}/discount", deal_lines.discount, needs=write, methods=POST, name="discount_of_deal"),
        page(
            f"{all_lines}/decide",
            deal_lines.decide,
            needs=Permission.ESCALATIONS_WORK,
            methods=POST,
            name="decide_discount",
        ),
        page(f"{all_lines}/withdraw", deal_lines.withdraw, needs=write, methods=POST, name="withdraw_discount"),
        page(f"{all_lines}/template", deal_lines.template, needs=write, methods=POST, name="apply_line_template"),
        page(f"{all_lines}/undo", deal_lines.undo, needs=write, methods=POST, name="undo_lines_of_deal"),
        page(one, deal_lines.change, needs=write, methods=POST, name="change_line_of_deal"),
        page(f"{one}/remove", deal_lines.remove, needs=write, methods=POST, name="remove_line_of_deal"),
        page(f"{one}/move", deal_lines.move, needs=write, methods=POST, name="move_line_of_deal"),
    ]


def _facts() -> list[Route]:
    """One fact of a deal in its place."""
    one = "/deals/{deal_id:int}/facts/{fact:str}"
    return [
        page(one, deal_facts.fact, needs=Permission.DEALS_READ, name="deal_fact"),
        page(one, deal_facts.save, needs=Permission.DEALS_EDIT, methods=POST, name="save_deal_fact"),
        page(f"{one}/undo", deal_facts.undo, needs=Permission.DEALS_EDIT, methods=POST, name="undo_deal_fact"),
    ]


def unsorted_routes() -> list[Route]:
    """Every route below ``/unsorted``."""
    read, write = Permission.DEALS_READ, Permission.DEALS_EDIT
    acts = {
        "accept": unsorted.accept,
        "merge": unsorted.merge,
        "attach": unsorted.attach,
        "detach": unsorted.detach,
        "refuse": unsorted.refuse,
        "take-back": unsorted.take_back,
    }
    return [
        page("/unsorted", unsorted.page, needs=read),
        page("/unsorted/{deal_id:int}/ask", unsorted.ask, needs=write, name="ask_unsorted"),
        page(
            "/unsorted/merges/{deal_merge_id:int}/undo",
            unsorted.undo_merge,
            needs=write,
            methods=POST,
            name="undo_unsorted_merge",
        ),
        *(
            page(f"/unsorted/{{deal_id:int}}/{word}", act, needs=write, methods=POST, name=f"unsorted_{word}")
            for word, act in acts.items()
        ),
    ]
