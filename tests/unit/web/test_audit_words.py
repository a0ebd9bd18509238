"""Every act that is written into the audit log has its words."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pbxcrm
from web.audit_words import ACTIONS, ENTITIES


def recorded() -> Iterator[tuple[str, str]]:
    """Action and kind of thing of each ``record(session, at, "…", "…", …)`` in the source."""
    for file in Path(pbxcrm.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "record":
                texts = [arg.value if isinstance(arg, ast.Constant) else "" for arg in node.args[2:4]]
                yield str(texts[0]), str(texts[1])


def test_every_act_has_its_words() -> None:
    found = set(recorded())
    assert len(found) > 30
    assert not {action for action, _entity in found if action and action not in ACTIONS}
    assert not {entity for _action, entity in found if entity and entity not in ENTITIES}
