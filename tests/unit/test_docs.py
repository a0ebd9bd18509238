"""What the documentation names must be there, and what is there must be documented."""

import pkgutil
import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from pbxcrm.checkpoints.lighting import LATE, MOST_LATE
from pbxcrm.demo.people import PEOPLE
from pbxcrm.shared.settings import Pbx, Settings
from tests.bench.__main__ import BENCHES, LONG
from web.api.table import RESOURCES

ROOT = Path(__file__).parents[2]
PARTS = ("pbxcrm", "ami", "web", "workers", "tests", "docs", "dialplan_examples", "scripts")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
GUIDES = [*PAGES, ROOT / "SECURITY.md", ROOT / "web" / "README.md", ROOT / "dialplan_examples" / "README.md"]
SOURCES = [
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *(p for part in PARTS for p in (ROOT / part).rglob("*"))]
    if path.suffix in {".py", ".md", ".html", ".js", ".css", ".toml", ".conf"} and "vendor" not in path.parts
]
DIALPLAN_VARIABLES = {"PBXCRM_NAME", "PBXCRM_EXTENSION"}  # what FastAGI sets
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'(?:src|href)="([^"#]+)"', text)
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def _quoted(page: Path) -> list[str]:
    """What stands in backticks, and each line of the blocks of code."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, flags=re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [*inline, *(line for block in blocks for line in block.splitlines())]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_quotes_is_there(page: Path) -> None:
    """Files and folders, modules with their functions, targets of ``make``, programs run by ``python -m``."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    parts = "|".join(PARTS)
    missing = []
    for quoted in _quoted(page):
        missing += [path for path in re.findall(rf"(?<![\w./-])(?:{parts})/[\w./-]*\w", quoted) if not _is_there(path)]
        missing += [
            name
            for name in re.findall(rf"^(?:{parts})(?:\.\w+)+$", quoted)
            if not name.endswith(".toml") and not _can_be_imported(name)
        ]
        missing += [
            name for name in re.findall(r"python -m ((?:tests|web|ami|pbxcrm)[\w.]*)", quoted) if not _is_program(name)
        ]
        missing += [name for name in re.findall(r"^make ([\w-]+)", quoted) if name not in targets]
    assert missing == []


@pytest.mark.parametrize(
    "page", ["CONTRIBUTING.md", "web/README.md", "docs/architecture.md", "docs/api.md", "docs/threat-model.md"]
)
def test_names_in_a_page_are_names_in_the_code(page: str) -> None:
    names = {name for quoted in _quoted(ROOT / page) for name in re.findall(r"(?<!/)\b[a-z]+(?:_[a-z]+)+\b", quoted)}
    code = "".join(
        path.read_text(encoding="utf-8") for path in SOURCES if path.suffix != ".md" and path != Path(__file__)
    )
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", code)] == []


def _is_there(path: str) -> bool:
    return any((ROOT / each).exists() for each in (path, f"{path}.py"))


def _can_be_imported(name: str) -> bool:
    """Whether it is a package, a module, or a name in one."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def _is_program(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return (path / "__main__.py").exists() or path.with_suffix(".py").exists()


def test_every_picture_is_shown_somewhere() -> None:
    shown = {Path(name).name for page in PAGES for name in re.findall(r"images/[\w-]+\.png", page.read_text("utf-8"))}
    assert {path.name for path in (ROOT / "docs" / "images").glob("*")} == shown


def test_the_pictures_are_light_enough_to_clone() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "images").glob("*")) < 2_500_000


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


def test_the_benchmarks_are_those_of_the_program() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    listed = re.search(r"`make bench` runs these benchmarks[^`]*`([a-z ]+)`", text)
    assert listed
    assert listed[1].split() == [name for name in BENCHES if name not in LONG]
    assert set(re.findall(r"`(\w+)` takes an hour", text)) == LONG
    assert set(re.findall(r"`python -m tests\.bench (\w+)`", text)) <= {*BENCHES, "NAME"}
    assert {path.stem.removeprefix("bench_") for path in (ROOT / "tests" / "bench").glob("bench_*.py")} == set(BENCHES)


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


def test_the_table_of_the_api_names_every_resource_and_act() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    table = text[text.index("## Resources") : text.index("## Look-up")]
    rows = set(re.findall(r"`([\w-]+)`", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))))
    assert {resource.tag for resource in RESOURCES} - rows == {"stage-tasks"}  # among the stages
    paths = [endpoint.path for resource in RESOURCES for endpoint in resource.endpoints]
    words = {word for path in paths for word in path.split("/") if word and not word.startswith("{")}
    assert [word for word in sorted(words) if not re.search(rf"`[^`]*\b{word}\b[^`]*`", table)] == []
    quoted = {path for path in re.findall(r"`(?:[A-Z]+ )?(/[\w/{}-]+)`", table) if not path.endswith("/recording")}
    plain = {re.sub(r"\{\w+\}", "{id}", path) for path in paths}
    assert [path for path in sorted(quoted) if not any(each.endswith(path) for each in plain)] == []


def test_the_picture_of_the_layers_is_the_one_that_is_checked() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = re.search(r"## The layers.*?```\n(.*?)```", text, re.DOTALL)
    assert picture
    drawn = [set(line[:36].split()) for line in picture[1].splitlines()]  # the names stand before the words
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    apart = {"audit", "access", "pbx", "shared"}  # drawn in pairs, checked one by one: the text says so
    assert drawn[0] == {"web", "ami", "workers"}
    assert [names for names in drawn[1:] if not names & apart] == [
        names for layer in layers if not (names := set(re.findall(r"\w+", layer))) & apart
    ]
    assert drawn[-2:] == [{"audit", "access"}, {"pbx", "shared"}]
    assert layers[-4:] == ["audit", "access", "pbx", "shared"]


def test_the_macros_that_are_listed_are_those_that_there_are() -> None:
    text = (ROOT / "web" / "README.md").read_text(encoding="utf-8")
    listed = re.search(r"\*\*Components\*\* \(`partials/macros.html`\): `([^`]+)`", text)
    form = re.search(r"Macros:\s+`([^`]+)`", text)
    macros = (ROOT / "web" / "templates" / "partials" / "macros.html").read_text(encoding="utf-8")
    assert listed
    assert form
    assert {*listed[1].split(), *form[1].split()} == set(re.findall(r"\{% macro ([a-z]\w*)\(", macros))


def test_the_administrator_reads_when_late_lamps_become_one_task() -> None:
    text = (ROOT / "docs" / "tours" / "administrator.md").read_text(encoding="utf-8")
    minutes = LATE // timedelta(minutes=1)
    assert f"more than {MOST_LATE} lamps of one person light more than {minutes} minutes late" in text
    assert f"Up to {MOST_LATE}, or up to {minutes} minutes late" in text


def test_the_tours_log_in_as_people_of_the_sample_company() -> None:
    tours = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "tours").glob("*.md"))
    named = {
        login
        for line in re.findall(r"[Ll]og in (?:to the demo )?as ([^.\n]*)", tours)
        for login in re.findall(r"`(\w+)`", line)
    }
    table = set(re.findall(r"^\| [\w ]+: [^|]* \| ((?:`\w+`(?:, )?)+) \|", tours, re.MULTILINE))
    named |= {login for cell in table for login in re.findall(r"`(\w+)`", cell)}
    assert len(named) >= 6
    assert named <= {person.login for person in PEOPLE}
