"""What the documentation names must be there, and what is there must be documented."""

import re
import tomllib
from pathlib import Path

import pytest

from pbxcrm.shared.settings import Pbx, Settings

ROOT = Path(__file__).parents[2]
PARTS = ("pbxcrm", "ami", "web", "workers", "tests", "docs", "dialplan_examples", "scripts")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
DIALPLAN_VARIABLES = {"PBXCRM_NAME", "PBXCRM_EXTENSION"}  # what FastAGI sets
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'(?:src|href)="([^"#]+)"', text)
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_every_picture_is_shown_somewhere() -> None:
    shown = {Path(name).name for page in PAGES for name in re.findall(r"images/[\w-]+\.png", page.read_text("utf-8"))}
    assert {path.name for path in (ROOT / "docs" / "images").glob("*")} == shown


def test_the_pictures_are_light_enough_to_clone() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "images").glob("*")) < 2_000_000


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_is_documented_with_its_default(name: str) -> None:
    row = re.search(rf"^\| `PBXCRM_{name.upper()}` \| (.*?) \| .+ \|$", SETTINGS, re.MULTILINE)
    assert row, f"PBXCRM_{name.upper()} has no row in docs/settings.md"
    default = Settings.model_fields[name].default
    if default not in ("", None, ()):
        assert row[1] == f"`{default}`"


def test_no_setting_is_documented_that_is_not_there() -> None:
    known = {f"PBXCRM_{name.upper()}" for name in Settings.model_fields} | {"PBXCRM_CONFIG"}
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(re.findall(r"PBXCRM_[A-Z_]+[A-Z]", text)) <= known | DIALPLAN_VARIABLES


def test_the_example_file_is_a_file_of_settings() -> None:
    example = re.search(r"```toml\n(.*?)```", SETTINGS, re.DOTALL)
    assert example
    values = tomllib.loads(example[1])
    assert set(values) <= set(Settings.model_fields)
    assert [Pbx.model_validate(each).name for each in values["pbxs"]] == ["kyiv", "lviv"]
    assert all(set(each) <= set(Pbx.model_fields) for each in values["pbxs"])


REQUIREMENTS = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")
_CODE = r"[A-K]\d{1,2}"
_ROWS = re.findall(rf"^\| ({_CODE}) \| .+? \| (.*?) \| (.*?) ?\|$", REQUIREMENTS, re.MULTILINE)


def _codes_in(path: Path) -> set[str]:
    """Requirement codes in a page, or in the comments, docstrings and test names of a module: in brackets, or before a colon."""
    return set(re.findall(rf"(?:\(|\# |\"\"\"|, )({_CODE})(?=[):,]|$)", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_requirement_that_is_named_is_defined() -> None:
    defined = {code for code, *_ in _ROWS}
    named = {
        (code, str(path.relative_to(ROOT)))
        for folder in ("pbxcrm", "ami", "web", "workers", "tests", "docs")
        for path in [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.md")]
        for code in _codes_in(path)
    }
    assert {code for code, _ in named} >= {"A8", "A9", "C3", "C5", "E4"}  # else nothing is looked at
    assert [where for where in sorted(named) if where[0] not in defined] == []


def _paths(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def test_what_the_requirements_name_is_there() -> None:
    named = [path for path in _paths(REQUIREMENTS) if "/" in path]
    assert len(named) > len(_ROWS)
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_each_requirement_names_its_code_and_a_test_or_is_to_come() -> None:
    assert len(_ROWS) == len(re.findall(rf"^\| {_CODE} ", REQUIREMENTS, re.MULTILINE))
    parts = ("pbxcrm/", "ami/", "web/", "workers/")
    built = [
        (code, where, tests)
        for code, where, tests in _ROWS
        if not (_paths(where) and all(path.startswith(parts) for path in _paths(where)))
        or not (_paths(tests) and all(path.startswith("tests/") for path in _paths(tests)))
    ]
    assert [code for code, where, tests in built if (where, tests) != ("to come", "")] == []


SOURCES = [
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *(p for part in PARTS for p in (ROOT / part).rglob("*"))]
    if path.suffix in {".py", ".md", ".html", ".js", ".css", ".toml", ".conf"} and "vendor" not in path.parts
]


def test_nothing_points_to_texts_that_only_its_authors_had() -> None:
    """An issue by its number, or a page that is not in the repository, means nothing to whoever reads the code later."""
    kept = {path.name for path in SOURCES if path.suffix == ".md"}
    foreign = re.compile(r"\bissues? \d+|\bitem \d+ of\b|\b(?:issue|requirement)[^\n]{0,12}, item \d", re.IGNORECASE)
    found = []
    for path in SOURCES:
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        found += [(str(path.relative_to(ROOT)), words) for words in foreign.findall(text)]
        pages = re.findall(r"[\w-]+\.md\b", text)
        found += [(str(path.relative_to(ROOT)), page) for page in pages if page not in kept]
    assert len(SOURCES) > 1000
    assert found == []
