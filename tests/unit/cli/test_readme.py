"""The README tells of every command, and of no command that is not there."""

import re
from pathlib import Path

import typer.main

from pbxcrm.cli.app import app

README = Path(__file__).parents[3] / "README.md"


def commands() -> set[str]:
    found: set[str] = set()
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        if not command.hidden:
            found |= {f"{name} {each}" for each in getattr(command, "commands", {})} or {name}
    return found


def test_every_command_is_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    missing = {name for name in commands() if not re.search(rf"`(pbxcrm )?{name}[ `]", text)}
    assert not missing


def test_the_readme_names_no_command_that_is_not_there() -> None:
    first_words = {name.split()[0] for name in commands()}
    named = set(re.findall(r"`pbxcrm ([a-z]+)", README.read_text(encoding="utf-8")))
    assert named - first_words == set()
