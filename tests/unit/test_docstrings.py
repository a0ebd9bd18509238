"""Public names without a docstring do not become more: the number may only fall.

A handler of the API counts as documented by its ``summary=``, which stands in OpenAPI.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("pbxcrm", "ami", "web", "workers")
CEILING = 0

Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(tree: ast.Module) -> Iterator[tuple[str, Named]]:
    """Public functions and classes of a module, and the public methods of these classes, by their name in the module."""
    for node in tree.body:
        if isinstance(node, Named) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for each in node.body:
                    if isinstance(each, Named) and not each.name.startswith("_"):
                        yield f"{node.name}.{each.name}", each


def has_summary(node: Named) -> bool:
    calls = (each for each in node.decorator_list if isinstance(each, ast.Call))
    return any(each.arg == "summary" for call in calls for each in call.keywords)


def undocumented() -> tuple[list[str], int]:
    """``file:line name`` of each public name without a docstring, and how many public names there are."""
    found, total = [], 0
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*.py")):
            if "migrations/versions" in path.as_posix():  # each says in its own head what it does
                continue
            for name, node in public(ast.parse(path.read_text(encoding="utf-8"))):
                total += 1
                if ast.get_docstring(node) is None and not has_summary(node):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}")
    return found, total


def test_public_names_without_a_docstring_become_fewer() -> None:
    found, total = undocumented()
    assert total > 1500
    assert len(found) <= CEILING, "\n".join(found)
