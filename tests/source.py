"""Our own source as syntax trees, for tests that find in the code who does something."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import ami
import pbxcrm
import web
import workers


@cache
def _modules() -> tuple[tuple[str, ast.Module], ...]:
    found = []
    for package in (pbxcrm, web, workers, ami):
        root = Path(package.__file__ or "").parent
        for path in sorted(root.rglob("*.py")):
            name = ".".join(path.relative_to(root.parent).with_suffix("").parts)
            found.append((name, ast.parse(path.read_text())))
    return tuple(found)


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of ours by its dotted name; migrations too."""
    yield from _modules()


def calls_of(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    """The calls of these functions or classes, by their last name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node.func) in names:
            yield node


def name_of(node: ast.AST) -> str:
    """The last name of ``name`` or ``a.b.name``; empty for anything else."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def callers(*called: str) -> set[str]:
    """Every function that calls one of these, as ``module:function``; not they themselves."""
    return {
        f"{module}:{function.name}"
        for module, tree in modules()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name not in called
        if next(calls_of(function, *called), None) is not None
    }


def builders(model: str) -> set[str]:
    """The modules that build a row of this model."""
    return {module for module, tree in modules() if next(calls_of(tree, model), None) is not None}
