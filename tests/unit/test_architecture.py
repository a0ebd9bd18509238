"""What import-linter cannot say: no circle of imports, also of those only for types; pages stand beside each other and ask contexts."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("pbxcrm", "ami", "web", "workers")


def modules() -> dict[str, Path]:
    found = {}
    for part in PARTS:
        for path in (ROOT / part).rglob("*.py"):
            names = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(names[:-1] if names[-1] == "__init__" else names)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Every import of ours in the file, wherever it stands: at the top, in a function, under ``if TYPE_CHECKING``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """Groups of modules each of which reaches every other one (Tarjan 1972)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        index[module] = lowest[module] = len(index)
        stack.append(module)
        for other in edges[module]:
            if other not in index:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], index[other])
        if lowest[module] == index[module]:
            start = stack.index(module)
            group = set(stack[start:])
            del stack[start:]
            if len(group) > 1:
                found.append(group)

    for module in list(edges):
        if module not in index:
            visit(module)
    return found


def test_no_module_imports_itself_over_others() -> None:
    known = modules()
    edges: defaultdict[str, set[str]] = defaultdict(set)
    for name, path in known.items():
        edges[name] = {other for other in imports(path, known) if other in known and other != name}
    assert circles(edges) == []


def test_pages_and_the_api_leave_queries_to_the_contexts() -> None:
    folders = (ROOT / "web/pages", ROOT / "web/api")
    asking = re.compile(r"from sqlmodel import .*\bselect\b|from sqlalchemy import .*\bselect\b|session\.exec\(")
    found = [path.name for folder in folders for path in folder.rglob("*.py") if asking.search(path.read_text("utf-8"))]
    assert found == []


def test_access_says_who_leads() -> None:
    """ "A manager or an administrator" stands in one place (``pbxcrm.access.leads``)."""
    listed = re.compile(r"Role\.MANAGER(\.value)?, Role\.ADMIN|Role\.ADMIN(\.value)?, Role\.MANAGER")
    found = {name for name, path in modules().items() if listed.search(path.read_text("utf-8"))}
    assert found == {"pbxcrm.access.permissions"}


ROOMS = {"models", "access", "audience", "rules", "actions", "queries", "filters", "hooks", "timers", "reasons"}
SPLIT_BY_SUBJECT = re.compile(r"\w+_(actions|queries|rules|jobs)")
NO_CONTEXTS = {"shared", "migrations", "cli"}


def test_every_module_is_a_room_or_docs_say_why_it_stands_alone() -> None:
    text = (ROOT / "docs/modules.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `(\w+/\w+)` \| \S.*\|$", text, flags=re.MULTILINE)
    alone = {
        f"{path.parent.name}/{path.stem}"
        for path in (ROOT / "pbxcrm").glob("*/*.py")
        if path.parent.name not in NO_CONTEXTS and path.stem not in ROOMS | {"__init__"}
    }
    alone = {name for name in alone if not SPLIT_BY_SUBJECT.fullmatch(name.partition("/")[2])}
    assert sorted(set(explained) ^ alone) == []
    assert len(explained) == len(set(explained))


def test_modules_are_short() -> None:
    """Never over 500 lines, and the median about 100 (CONTRIBUTING.md)."""
    lengths = {
        name: len(path.read_text(encoding="utf-8").splitlines())
        for name, path in modules().items()
        if path.name != "__init__.py" and "migrations" not in path.parts
    }
    assert {name: length for name, length in lengths.items() if length > 500} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 110
    tests = {path.relative_to(ROOT): path for path in (ROOT / "tests").rglob("*.py")}
    assert [name for name, path in tests.items() if len(path.read_text(encoding="utf-8").splitlines()) > 500] == []


def test_a_class_name_means_one_thing() -> None:
    """No two classes of product and tests share a name, wherever they stand; an API model is called after what it is in the API."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    tests = {str(path.relative_to(ROOT)): path for path in (ROOT / "tests").rglob("*.py")}
    for name, path in {**modules(), **tests}.items():
        if "migrations" in path.parts:
            continue
        for each in re.findall(r"^ *class (\w+)[(:]", path.read_text(encoding="utf-8"), re.MULTILINE):
            found[each].append(name)
    assert {each: places for each, places in found.items() if len(places) > 1} == {}


def test_a_circle_is_found() -> None:
    assert circles(defaultdict(set, {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == [{"a", "b", "c"}]
