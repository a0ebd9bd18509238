"""How long a text may be is said once, by its column: checks, the API and templates derive from it (``pbxcrm.shared.lengths``)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pbxcrm.contacts.models import Contact
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import check_line, check_optional_text, check_text, cut, longest, longest_of
from pbxcrm.tables import metadata

ROOT = Path(__file__).parents[2]
#: A short beginning of a text, a hash or a list is cut for its looks; from here on a number is the length of a field.
LEAST = 40
#: Cut for other reasons than the length of a field.
OTHER = {
    "web/live.py": "a log line says the beginning of what was no hint",
    "web/audit_words.py": "a page shows the beginning of a long value",
    "web/problems.py": "a page shows the beginning of what was typed",
    "web/api/serving.py": "an error repeats the beginning of a wrong name",
    "web/api/problems.py": "an error repeats the beginning of a wrong name",
    "web/auth.py": "a cookie of a stranger, not stored",
    "web/templating.py": "an unknown browser's name",
}


def sources() -> Iterator[Path]:
    for part in ("pbxcrm", "web", "workers"):
        for path in (ROOT / part).rglob("*.py"):
            if (
                "migrations" not in path.parts
            ):  # history: tests/integration/runtime/test_migrations.py compares it with the models
                yield path


def is_number(node: ast.AST | None, least: int) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value >= least


def second_sayings(source: str, *, of_tables: bool = True) -> Iterator[str]:
    """Lines that say a length in digits: ``max_length=200`` outside a table, ``text[:200]``, ``len(text) > 200``."""
    tree = ast.parse(source)
    tables = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and of_tables and any(each.arg == "table" for each in node.keywords)
    ]
    in_tables = {id(node) for table in tables for node in ast.walk(table)}
    for node in ast.walk(tree):
        if id(node) in in_tables:
            continue
        if isinstance(node, ast.keyword) and node.arg == "max_length" and is_number(node.value, LEAST):
            yield f"{node.value.lineno}: max_length in digits"
        elif (
            isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and is_number(node.slice.upper, LEAST)
        ):
            yield f"{node.lineno}: cut at a number"
        elif (
            isinstance(node, ast.Compare)
            and isinstance(node.left, ast.Call)
            and isinstance(node.left.func, ast.Name)
            and node.left.func.id == "len"
            and any(is_number(each, LEAST) for each in node.comparators)
        ):
            yield f"{node.lineno}: compared with a number"


def test_no_module_says_a_length_a_second_time() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources()
        if str(path.relative_to(ROOT)) not in OTHER
        for line in second_sayings(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_no_template_says_a_length_a_second_time() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {said}"
        for path in (ROOT / "web/templates").rglob("*.html")
        for said in re.findall(r"maxlength=['\"]*\d+", path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_every_column_that_a_template_names_has_a_length() -> None:
    named = {
        name
        for path in (ROOT / "web/templates").rglob("*.html")
        for name in re.findall(r"longest\('([a-z_.]+)'\)", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 20
    assert metadata.tables  # every table is imported
    assert {name for name in named if longest_of(name) < 1} == set()


def test_a_second_saying_is_found() -> None:
    source = """
class SampleRow(SQLModel, table=True):
    name: str = Field(max_length=200)
class Body(ApiRequest):
    name: str = Field(max_length=200)
def check(name):
    return name[:200] if len(name) > 200 else name
"""
    assert len(list(second_sayings(source))) == 3


def test_what_is_typed_is_refused_and_what_machines_say_is_cut() -> None:
    most = longest(Contact.name)
    assert longest_of("contacts.name") == most
    assert cut("n" * (most + 1), Contact.name) == "n" * most
    with pytest.raises(Invalid) as caught:
        check_line("n" * (most + 1), Contact.name, "name", "contacts.name", "Write a name of up to {most} characters.")
    assert (caught.value.field, caught.value.params) == ("name", {"most": most})
    with pytest.raises(Invalid):
        check_text(" \n ", Contact.note, "note", "contacts.note", "Write a note of up to {most} characters.")
    with pytest.raises(Invalid):
        check_optional_text("n" * (longest(Contact.note) + 1), Contact.note, "note")


def test_an_end_of_line_is_one_letter_as_in_the_page() -> None:
    most = longest(Contact.note)
    typed = "a\r\n" * (most // 2 - 1) + "ab"
    assert len(check_optional_text(typed, Contact.note, "note")) == most
