"""Each kind of row is written by one module or context; the writers are found from the code.

``pbxcrm.shared.relinking`` is the exception of every rule here: it gives rows of one client or deal to another by their foreign keys
when these are merged, records what moved with the merge, and knows no model. ``pbxcrm.fields.value_actions`` writes the custom fields
of whatever row a context hands to it.
"""

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, cached_property

import pytest
from sqlalchemy import inspect
from sqlmodel import SQLModel

from pbxcrm.callbacks.models import Attempt, Episode
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.models import Checkpoint, Lamp, Pause
from pbxcrm.contacts.models import Company, Contact, Email, Phone, SpecialNumber
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageMove
from pbxcrm.forms.models import FormRequest
from pbxcrm.tasks.models import Task
from tests.source import builders, calls_of, modules, name_of

#: The sample company is put into the database in bulk before anybody uses it.
BULK = "pbxcrm.demo."


@dataclass(frozen=True)
class OwnRows:
    """Rows of ``model`` are changed in the modules that begin with one of ``homes`` only. ``called``: what variables of them are called."""

    model: type[SQLModel]
    homes: str | tuple[str, ...]
    called: str

    @cached_property
    def columns(self) -> frozenset[str]:
        return frozenset(inspect(self.model).columns.keys()) - {"id"}

    @property
    def name(self) -> str:
        return self.model.__name__

    @property
    def table(self) -> str:
        return str(self.model.__tablename__)


#: A fact is applied to the row of its call by ``apply_facts``, which notifies once for all that followed from it. Calls of the
#: tracker (``ami``) are no rows.
CALL = OwnRows(
    Call, ("pbxcrm.calls.", "pbxcrm.reactions.apply_facts", "pbxcrm.reactions.consequence_actions", "ami."), "call"
)
TASK = OwnRows(Task, "pbxcrm.tasks.", "task")
KEPT = (
    TASK,
    OwnRows(Deal, "pbxcrm.deals.", "deal"),
    OwnRows(StageMove, "pbxcrm.deals.", "move"),
    OwnRows(Stage, "pbxcrm.deals.", "stage"),
    OwnRows(Pipeline, "pbxcrm.deals.", "pipeline"),
    OwnRows(Contact, "pbxcrm.contacts.", "contact"),
    OwnRows(Company, "pbxcrm.contacts.", "company"),
    OwnRows(Phone, "pbxcrm.contacts.", "phone"),
    OwnRows(Email, "pbxcrm.contacts.", "email"),
    OwnRows(SpecialNumber, "pbxcrm.contacts.", "special"),
    OwnRows(Episode, "pbxcrm.callbacks.", "episode"),
    OwnRows(Attempt, "pbxcrm.callbacks.", "attempt"),
    OwnRows(Lamp, "pbxcrm.checkpoints.", "lamp"),
    OwnRows(Pause, "pbxcrm.checkpoints.", "pause"),
    OwnRows(Checkpoint, "pbxcrm.checkpoints.", "checkpoint"),
    OwnRows(FormRequest, "pbxcrm.forms.", "request"),
    CALL,
)


def test_notes_are_written_in_one_module() -> None:
    assert builders("Note") == {"pbxcrm.notes.actions", "pbxcrm.demo.history"}


def test_tasks_are_built_in_their_context() -> None:
    found = {module for module in builders("Task") if not module.startswith("pbxcrm.tasks.")}
    assert found <= {"pbxcrm.demo.history"}


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
def test_only_its_own_context_changes_a_row(kept: OwnRows) -> None:
    """Neither by an attribute nor in bulk."""
    public = {name for _module, tree in modules() for name in _answering(tree, kept) if not name.startswith("_")}
    found = [
        f"{module}:{node.lineno}"
        for module, tree in modules()
        if not module.startswith(kept.homes) and not module.startswith(("pbxcrm.migrations.", BULK))
        for node in [*_attributes_set(tree, public.union(_answering(tree, kept)), kept), *_in_bulk(tree, kept)]
    ]
    assert found == [], f"{kept.homes}… changes a {kept.name}, records the change and notifies who sees it"


def test_the_client_of_a_call_is_set_in_one_function() -> None:
    public = {name for _module, tree in modules() for name in _answering(tree, CALL) if not name.startswith("_")}
    found = {
        f"{module}:{function.name}"
        for module, tree in modules()
        if not module.startswith(("ami.", BULK))
        for function in _functions(tree)
        for node in _attributes_set(ast.Module([function], []), public.union(_answering(tree, CALL)), CALL)
        if node.attr == "contact_id"
    }
    assert found == {"pbxcrm.calls.actions:do_set_client_of_call"}


def test_a_change_would_be_found() -> None:
    """Whatever the variable is called: by its annotation, or by what the function that found it returns."""
    tree = ast.parse(
        "def change(row: Task | None) -> None:\n"
        "    row.reason = {}\n"
        "async def look(session) -> None:\n"
        "    it = await open_task_about(session, 'x')\n"
        "    it.about = 'y'\n"
        "    other, it.note = 1, ''\n"
        "    deal = await get_deal(session)\n"
        "    deal.reason = {}\n"
        "    await session.exec(update(Task).values(reason={}))\n"
    )
    assert [node.lineno for node in _attributes_set(tree, {"open_task_about"}, TASK)] == [2, 5, 6]
    assert [node.lineno for node in _attributes_set(tree, set(), KEPT[1])] == [8]
    assert [node.lineno for node in _in_bulk(tree, TASK)] == [9]


def test_a_change_through_a_table_would_be_found() -> None:
    """Whether the table is found by its name or by its model, under whatever name it stands, or in any table by a name that is passed on."""
    tree = ast.parse(
        "_TABLES = SQLModel.metadata.tables\n"
        "_TASK = SQLModel.metadata.tables['tasks']\n"
        "_OWN, _OTHER = (SQLModel.metadata.tables[name] for name in ('tasks', 'episode_calls'))\n"
        "CHANGE = update(_TASK).values(note='')\n"
        "async def change(session, name) -> None:\n"
        "    rows = _TABLES['tasks']\n"
        "    read = select(rows)\n"
        "    of_model = SQLModel.metadata.tables[str(Task.__tablename__)]\n"
        "    await session.exec(delete(rows))\n"
        "    await session.exec(insert(_OWN))\n"
        "    await session.exec(update(Task.__table__))\n"
        "    await session.exec(update(of_model))\n"
        "    await session.exec(update(_TABLES['tasks']))\n"
        "    await session.exec(text('UPDATE tasks SET note = 1'))\n"
        "    await session.exec(update(_TABLES['users']))\n"
        "    await session.exec(rows.delete())\n"
    )
    assert sorted(node.lineno for node in _in_bulk(tree, TASK)) == [4, 9, 10, 11, 12, 13, 14, 16]


def test_nobody_writes_to_a_table_that_is_only_known_while_running() -> None:
    """``tables[name]`` with a name from elsewhere hides whose rows are written; the ground knows no names, and passes on what it is given."""
    ground = ("pbxcrm.shared.", "pbxcrm.migrations.", BULK)
    found = [
        f"{module}:{node.lineno}"
        for module, tree in modules()
        if not module.startswith(ground)
        for node in _to_any_table(tree)
    ]
    assert found == []
    hidden = ast.parse(
        "def forget(session, name):\n"
        "    table: Table = _TABLES[name]\n"
        "    session.execute(delete(table))\n"
        "    session.execute(update(SQLModel.metadata.tables[name]))\n"
    )
    assert [node.lineno for node in _to_any_table(hidden)] == [3, 4]


def _answering(tree: ast.AST, kept: OwnRows) -> Iterator[str]:
    """The functions of a module whose annotation says that they return a row or several."""
    yield from (name for name, returned in _returned(tree) if kept.name in returned)


@cache
def _returned(tree: ast.AST) -> tuple[tuple[str, frozenset[str]], ...]:
    """Every function of a module with the names in the annotation of what it returns; no methods, whose names are short."""
    body = tree.body if isinstance(tree, ast.Module) else []
    functions = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return tuple(
        (each.name, frozenset(name_of(node) for node in ast.walk(each.returns)))
        for each in functions
        if each.returns is not None
    )


def _attributes_set(tree: ast.AST, answering: Collection[str], kept: OwnRows) -> Iterator[ast.Attribute]:
    for function in _functions(tree):
        stored = [node for node in _stores(function) if node.attr in kept.columns]
        rows = set(_rows_in(function, answering, kept)) if stored else set()
        for node in stored:
            base = node.value
            if name_of(base) in rows or (isinstance(base, ast.Attribute) and base.attr == kept.called):
                yield node


@cache
def _functions(tree: ast.AST) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]:
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@cache
def _stores(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[ast.Attribute, ...]:
    """The attributes that are set there."""
    every = (node for node in ast.walk(function) if isinstance(node, ast.Attribute))
    return tuple(node for node in every if isinstance(node.ctx, ast.Store))


@dataclass(frozen=True)
class NamesFilled:
    """The ``names`` that an assignment or a loop fills, with the ``calls`` in its value: what is called, and the names among the arguments."""

    names: tuple[str, ...]
    calls: tuple[tuple[str, frozenset[str]], ...]


def _rows_in(
    function: ast.FunctionDef | ast.AsyncFunctionDef, answering: Collection[str], kept: OwnRows
) -> Iterator[str]:
    """The names that hold a row there."""
    annotated, filled = _names_in(function)
    yield from (name for name, said in annotated if name == kept.called or kept.name in said)
    for each in filled:
        if any(_finds(called, arguments, answering, kept) for called, arguments in each.calls):
            yield from each.names
        yield from (name for name in each.names if name == kept.called or name.endswith(f"_{kept.called}"))


@cache
def _names_in(
    function: ast.FunctionDef | ast.AsyncFunctionDef,
) -> tuple[list[tuple[str, frozenset[str]]], list[NamesFilled]]:
    """Arguments and variables with the names in their annotations, and what assignments and loops fill."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    annotated = [(each.arg, _names_of(each.annotation)) for each in arguments]
    filled: list[NamesFilled] = []
    for node in ast.walk(function):
        if isinstance(node, ast.AnnAssign):
            annotated.append((name_of(node.target), _names_of(node.annotation)))
        elif isinstance(node, ast.Assign | ast.For | ast.AsyncFor | ast.NamedExpr | ast.comprehension):
            value = node.value if isinstance(node, ast.Assign | ast.NamedExpr) else node.iter
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name_of(each) for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
            is_one = len(names) == 1  # of several, each is what it is called
            calls = [each for each in ast.walk(value) if isinstance(each, ast.Call)] if is_one else []
            given = [frozenset(each.id for each in call.args if isinstance(each, ast.Name)) for call in calls]
            found = zip((name_of(call.func) for call in calls), given, strict=True)
            filled.append(NamesFilled(tuple(names), tuple(found)))
    return annotated, filled


def _names_of(annotation: ast.AST | None) -> frozenset[str]:
    return frozenset(name_of(node) for node in ast.walk(annotation)) if annotation is not None else frozenset()


def _finds(called: str, arguments: frozenset[str], answering: Collection[str], kept: OwnRows) -> bool:
    """A call of a function that answers rows, or ``session.get(Task, …)``, ``lock_row(session, Task, …)``, ``select(Task)``."""
    finders = {"get", "get_one", "lock_row", "lock_found", "select"}
    return called in answering or (kept.name in arguments and called in finders)


def _in_bulk(tree: ast.AST, kept: OwnRows) -> Iterator[ast.expr]:
    """Statements that change rows: of the model, of its table by whatever name, or in plain SQL."""
    tables = _tables_named(tree, kept)
    for call in _bulk_calls(tree):
        if any(_is_table(each, kept) or name_of(each) in tables for each in _changed_in(call)):
            yield call
    for text, words in _plain_statements(tree):
        if any(
            words[n : n + 2] in ((("update", kept.table), ("into", kept.table), ("from", kept.table))) for n in range(3)
        ):
            yield text


@cache
def _bulk_calls(tree: ast.AST) -> tuple[ast.Call, ...]:
    return tuple(calls_of(tree, "update", "insert", "delete", "execute"))


def _changed_in(call: ast.Call) -> tuple[ast.expr, ...]:
    """What a statement may change: its arguments, and the table whose method it is."""
    return (*call.args, *([call.func.value] if isinstance(call.func, ast.Attribute) else []))


def _is_table(node: ast.AST, kept: OwnRows) -> bool:
    """The model, ``Model.__table__``, or ``tables[…]`` with the name of the table or of the model."""
    if isinstance(node, ast.Name):
        return node.id == kept.name
    if isinstance(node, ast.Attribute):
        return node.attr == "__table__" and name_of(node.value) == kept.name
    if isinstance(node, ast.Subscript) and _is_tables(node.value):
        said = {each.value for each in ast.walk(node.slice) if isinstance(each, ast.Constant)}
        return kept.table in said or kept.name in _names_of(node.slice)
    return False


def _to_any_table(tree: ast.AST) -> Iterator[ast.Call]:
    """Statements that change rows of a table which only the running program knows."""
    hidden = {
        name
        for names, node in _filled_with_tables(tree)
        if node.value is not None and _is_any_table(node.value)
        for name in names
    }
    for call in _bulk_calls(tree):
        if any(_is_any_table(each) or name_of(each) in hidden for each in _changed_in(call)):
            yield call


def _is_any_table(node: ast.AST) -> bool:
    """``tables[name]`` with a name that only the running program knows."""
    return (
        isinstance(node, ast.Subscript)
        and _is_tables(node.value)
        and not any(isinstance(each, ast.Constant) or name_of(each) == "__tablename__" for each in ast.walk(node.slice))
    )


def _is_tables(node: ast.AST) -> bool:
    return name_of(node).casefold().strip("_") == "tables"


@cache
def _filled_with_tables(tree: ast.AST) -> tuple[tuple[frozenset[str], ast.Assign | ast.AnnAssign], ...]:
    """The assignments whose value has ``tables[…]`` in it, with the names that they fill."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(each, ast.Subscript) and _is_tables(each.value) for each in ast.walk(node.value)):
                names = (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))
                found.append((frozenset(names), node))
    return tuple(found)


def _tables_named(tree: ast.AST, kept: OwnRows) -> set[str]:
    """The names that hold the table. Several that are filled at once with its name among theirs count, each of them."""
    held: set[str] = set()
    for names, node in _filled_with_tables(tree):
        said = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
        if kept.table in said or kept.name in _names_of(node.value):
            held |= names
    return held


@cache
def _plain_statements(tree: ast.AST) -> tuple[tuple[ast.Constant, tuple[str, ...]], ...]:
    """Texts that are SQL which changes something, with their words."""
    found = [(node, str(node.value)) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    changing = ("UPDATE ", "INSERT INTO ", "DELETE FROM ")
    return tuple((node, tuple(text.casefold().split()[:4])) for node, text in found if text.startswith(changing))
