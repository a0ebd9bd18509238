"""Commit messages: what ``scripts/commit-message`` refuses, and every message since it is there."""

import runpy
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
#: The last commit before the check.
SINCE = "ac9ff7ff"


@cache
def _script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "commit-message"))


def _faults(message: str, changed_lines: int = 0) -> list[str]:
    check: Callable[[str, int], Iterator[str]] = _script()["faults"]
    return list(check(message, changed_lines))


@pytest.mark.parametrize(
    "message",
    [
        "deals: Ask the gate when a deal is made",
        "contacts, deals: Pass what was typed on; take less\n\nBecause it was lost.",
        "web: Process forms; docs: Name them",
        "tests/week: Feed the reference",
        "Merge branch 'one'",
        "# a comment of git\ndeals: Add a field",
    ],
)
def test_a_good_message_passes(message: str) -> None:
    assert _faults(message) == []


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("x", "is not “area: Imperative sentence”"),
        ("Add a field", "is not “area: Imperative sentence”"),
        ("deals: add a field", "capital letter"),
        ("deals: Adds a field", "“Adds” is no verb"),
        ("deals: Added a field", "“Added” is no verb"),
        ("deals: Adding a field", "“Adding” is no verb"),
        ("deals: A field is added", "“A” is no verb"),
        ("deals: Add a field; tests: The field is tried", "“The” is no verb"),
        ("deals: Add a field.", "full stop"),
        ("deals: Add " + "x" * 120, "has 131 characters"),
        ("deals: Add a field\nand why", "second line is not empty"),
    ],
)
def test_a_bad_message_is_refused(message: str, said: str) -> None:
    assert any(said in fault for fault in _faults(message))


def test_a_large_change_says_why() -> None:
    assert any("no body" in fault for fault in _faults("deals: Add a field", 101))
    assert _faults("deals: Add a field", 100) == []
    assert _faults("deals: Add a field\n\nCustomers asked for it.", 5000) == []
    changed_in: Callable[[str], int] = _script()["changed_in"]
    assert changed_in("3\t4\tpbxcrm/db.py\n-\t-\tlogo.png\n900\t1\tweb/uk.po\n") == 7


def test_every_message_since_the_check_is_good() -> None:
    """Where the history is there: a clone for continuous integration may have only the last commit, a release has none."""
    ask = ["git", "merge-base", "--is-ancestor", SINCE, "HEAD"]
    if shutil.which("git") is None or subprocess.run(ask, cwd=ROOT, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"the history since {SINCE} is not in this clone")
    checked = subprocess.run(
        ["scripts/commit-message", f"{SINCE}..HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
