"""Every act that is written into the audit log has its words."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pbxcrm
from pbxcrm.audit.actions import EXPORTED
from pbxcrm.callbacks.models import EpisodeStatus
from pbxcrm.phone.models import CommandKind
from tests.source import callers
from web.audit_words import ACTIONS, ENTITIES, FACTS, is_told

#: What stands for the changing part of an action, by its beginning or end.
CHANGING = {
    "callback.": [status.value for status in EpisodeStatus if status is not EpisodeStatus.OPEN],
    "phone.": [kind.value for kind in CommandKind],
    ".changed": ["pipeline", "stage"],
    "deal.": ["pause_approved", "pause_ended"],
}


def recorded() -> Iterator[tuple[str, str]]:
    """Action and kind of thing of each ``record(session, at, "…", "…", …)`` in the source."""
    for call in calls():
        texts = [arg.value if isinstance(arg, ast.Constant) else "" for arg in call.args[2:4]]
        yield str(texts[0]), str(texts[1])


def calls() -> Iterator[ast.Call]:
    for file in Path(pbxcrm.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "record":
                yield node


def test_acts_whose_name_is_put_together_have_their_words() -> None:
    found: set[str] = set()
    for call in calls():
        if len(call.args) > 2 and isinstance(call.args[2], ast.JoinedStr):
            kept = "".join(str(part.value) for part in call.args[2].values if isinstance(part, ast.Constant))
            assert kept in CHANGING, f"say in CHANGING what can stand in {ast.unparse(call.args[2])}"
            found |= {f"{kept}{each}" if kept.endswith(".") else f"{each}{kept}" for each in CHANGING[kept]}
    assert len(found) > 6
    assert not found - set(ACTIONS)


def test_every_detail_of_an_act_has_its_word_or_is_not_told() -> None:
    named = {word.arg for call in calls() for word in call.keywords if word.arg}
    beside = {"actor", "reason", "before", "after", "changed", "from_stage", "to_stage"}  # told by their own rules
    assert len(named) > 30
    assert not {name for name in named - beside if is_told(name) and name not in FACTS}


def test_reading_a_page_is_logged_only_where_personal_data_leave_the_product() -> None:
    """The contexts write the log with the change that it tells of. Three GETs write it too: a file of a list, whose link people keep
    with its filters in the address, and a recording, which a player asks for by its address.
    """
    by_web = {who for who in callers("record", "record_export", "log_listening") if who.startswith("web.")}
    assert by_web == {"web.pages.client_lists:_file", "web.pages.deal_list:_file", "web.recordings:listen"}


def test_every_act_has_its_words() -> None:
    found = set(recorded()) | {(action, entity) for entity, action in EXPORTED.items()}
    assert len(found) > 30
    assert not {action for action, _entity in found if action and action not in ACTIONS}
    assert not {entity for _action, entity in found if entity and entity not in ENTITIES}
