"""What changes many deals or clients at once asks whether rules of automation shall hear it; a new one is found from the code."""

import ast

from pbxcrm.automation.mass_changes import HEARD
from pbxcrm.deals.bulk_jobs import Act
from tests.source import calls_of, modules

#: Functions that change one deal or client, and what they record is heard.
DOORS = (
    *("do_move_deal", "do_move_by_itself", "do_move_back", "move_deal", "do_lose_deal"),
    *("do_assign_deal", "give_back", "hand_out", "reassign", "undo_reassign"),
    *("do_edit_deal", "edit_deal", "do_set_client", "do_set_values", "edit_contact", "add_tag", "remove_tag"),
    *("recount", "changed"),
)
LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

#: Functions that do it to many rows in a loop, and how they ask.
ASKED = {
    "pbxcrm.deals.clearing_actions:begin_clearing": "a stage is removed: asked on its page, `unheard` in REST",
    "pbxcrm.deals.clearing_actions:clear_stage": "the rest of its deals, as answered",
    "pbxcrm.money.amount_actions:count_batch": "amounts become sums of lines: asked on the page of the pipeline, `unheard` in REST",
    "pbxcrm.fields.formula_jobs:compute_batch": "a formula changed: never heard, as the fields that it computes",
    "web.pages.escalations:reassign_chosen": "several escalations get another person: asked in the bar",
    "web.pages.escalations:undo_chosen": "its undo, as answered",
}
#: The few rows of one client, number, request or firing: heard as any change.
FEW = {
    "pbxcrm.automation.running:_take_steps",
    "pbxcrm.automation.steps.field_step:undo",
    "pbxcrm.deals.actions:adopt_deals",
    "pbxcrm.deals.actions:release_deals",
    "pbxcrm.deals.lost:reopen_deals",
    "pbxcrm.forms.actions:_fill_in",
    "pbxcrm.screenpop.card_actions:_name_deals",
}


def test_whatever_changes_many_rows_asks_whether_rules_hear_it() -> None:
    """Acts on chosen deals (``deals.bulk_jobs``) call their function from a table, so their question has a table, too."""
    assert set(HEARD) == set(Act)
    found = {
        f"{module}:{function.name}"
        for module, tree in modules()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for loop in ast.walk(function)
        if isinstance(loop, LOOPS) and next(calls_of(loop, *DOORS), None) is not None
    }
    assert found == ASKED.keys() | FEW, (
        "ask whether rules hear it (automation/mass_changes), or say why it is a few rows"
    )


def test_those_that_are_asked_pass_the_answer_on() -> None:
    silent = {
        f"{module}:{function.name}"
        for module, tree in modules()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and f"{module}:{function.name}" in ASKED
        if next(calls_of(function, "keep_unheard"), None) is None
    }
    assert not silent
