"""Each kind of row is written by one module or context; the writers are found from the code.

``pbxcrm.shared.relinking`` is the exception of every rule here: it gives rows of one client or deal to another by their foreign keys
when these are merged, records what moved with the merge, and knows no model.
"""

import ast
from collections.abc import Iterator

from sqlalchemy import inspect

from pbxcrm.tasks.models import Task
from tests.source import builders, calls_of, modules, name_of

#: The sample company is put into the database in bulk before anybody uses it.
BULK = "pbxcrm.demo.history"
COLUMNS = frozenset(inspect(Task).columns.keys()) - {"id"}


def test_notes_are_written_in_one_module() -> None:
    assert builders("Note") == {"pbxcrm.notes.actions", BULK}


def test_tasks_are_built_in_their_context() -> None:
    found = {module for module in builders("Task") if not module.startswith("pbxcrm.tasks.")}
    assert found <= {BULK}


def test_only_tasks_change_tasks() -> None:
    """Neither by an attribute nor in bulk."""
    public = {name for _module, tree in modules() for name in _answering_tasks(tree) if not name.startswith("_")}
    found = [
        f"{module}:{node.lineno}"
        for module, tree in modules()
        if not module.startswith(("pbxcrm.tasks.", "pbxcrm.migrations.", BULK))
        for node in [*_attributes_set(tree, frozenset({*public, *_answering_tasks(tree)})), *_in_bulk(tree)]
    ]
    assert found == [], "tasks.actions changes tasks, records it and says it"


def test_a_change_of_a_task_would_be_found() -> None:
    """Whatever the variable is called: by its annotation, or by what the function that found it answers."""
    tree = ast.parse(
        "def change(row: Task | None) -> None:\n"
        "    row.reason = {}\n"
        "async def look(session) -> None:\n"
        "    it = await open_task_about(session, 'x')\n"
        "    it.about = 'y'\n"
        "    other, it.note = 1, ''\n"
        "    deal = await get_deal(session)\n"
        "    deal.reason = {}\n"
    )
    assert [node.lineno for node in _attributes_set(tree, frozenset({"open_task_about"}))] == [2, 5, 6]


def _answering_tasks(tree: ast.AST) -> Iterator[str]:
    """The functions of a module whose annotation says that they return a task or several."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _says_task(node.returns):
            yield node.name


def _says_task(annotation: ast.AST | None) -> bool:
    return annotation is not None and any(name_of(node) == "Task" for node in ast.walk(annotation))


def _attributes_set(tree: ast.AST, answering: frozenset[str]) -> Iterator[ast.Attribute]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        tasks = set(_tasks_in(function, answering))
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in COLUMNS:
                base = node.value
                if name_of(base) in tasks or (isinstance(base, ast.Attribute) and base.attr == "task"):
                    yield node


def _tasks_in(function: ast.FunctionDef | ast.AsyncFunctionDef, answering: frozenset[str]) -> Iterator[str]:
    """The names that hold a task there."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    yield from (each.arg for each in arguments if each.arg == "task" or _says_task(each.annotation))
    for node in ast.walk(function):
        if isinstance(node, ast.AnnAssign) and _says_task(node.annotation):
            yield name_of(node.target)
        elif isinstance(node, ast.Assign | ast.For | ast.AsyncFor | ast.NamedExpr | ast.comprehension):
            value = node.value if isinstance(node, ast.Assign | ast.NamedExpr) else node.iter
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name_of(each) for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
            if any(_finds_task(each, answering) for each in ast.walk(value)):
                yield from names
            yield from (name for name in names if name == "task" or name.endswith("_task"))


def _finds_task(node: ast.AST, answering: frozenset[str]) -> bool:
    """A call of a function that answers tasks, or ``session.get(Task, …)``, ``lock_row(session, Task, …)``, ``select(Task)``."""
    if not isinstance(node, ast.Call):
        return False
    takes = any(isinstance(each, ast.Name) and each.id == "Task" for each in node.args)
    return name_of(node.func) in answering or (takes and name_of(node.func) in {"get", "get_one", "lock_row", "select"})


def _in_bulk(tree: ast.AST) -> Iterator[ast.Call]:
    for call in calls_of(tree, "update", "insert", "delete", "execute"):
        if any(isinstance(each, ast.Name) and each.id == "Task" for each in call.args):
            yield call
