import gzip
import re
from pathlib import Path
from xml.etree import ElementTree as ET  # the file is our own

import pytest

from web import vendoring
from web.static_files import FOLDER, StaticTree
from web.templating import FOLDER as TEMPLATES

WEB = FOLDER.parent
SHELL_LIMIT = 150_000  # bytes compressed: the whole shell, with libraries and drawings


def shell_files() -> list[Path]:
    names = ["icons.svg", "favicon.svg", "vendor/htmx-4.0.1.min.js"]
    names += [f"css/{sheet}.css" for sheet in ("tokens", "base", "parts", "shell")]
    return (
        [FOLDER / name for name in names]
        + sorted((FOLDER / "js").glob("*.js"))
        + sorted((FOLDER / "css").glob("*.css"))
    )


def test_the_whole_shell_is_light() -> None:
    weight = sum(len(gzip.compress(path.read_bytes(), 6)) for path in set(shell_files()))
    assert weight < SHELL_LIMIT


def test_vendored_files_are_what_the_list_says() -> None:
    assert vendoring.faults() == []


def test_a_changed_library_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for path in vendoring.VENDOR.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "htmx-4.0.1.min.js").write_text("alert(1)")
    (tmp_path / "stranger.js").write_text("")
    (tmp_path / "sortable.LICENSE.txt").unlink()
    monkeypatch.setattr(vendoring, "VENDOR", tmp_path)
    assert len(vendoring.faults()) == 3


def test_every_drawing_that_is_used_exists_and_is_unique() -> None:
    root = ET.parse(FOLDER / "icons.svg").getroot()
    drawn = [symbol.get("id", "") for symbol in root]
    assert len(drawn) == len(set(drawn))
    used: set[str] = set()
    for template in TEMPLATES.rglob("*.html"):
        used |= set(re.findall(r"icon\('([\w-]+)'", template.read_text(encoding="utf-8")))
    for module in WEB.rglob("*.py"):
        used |= set(re.findall(r'Section\("[^"]+", "([\w-]+)"', module.read_text(encoding="utf-8")))
    assert {name for name in used if f"i-{name}" not in drawn} == set()


def test_no_template_has_inline_style_or_script() -> None:
    bad = re.compile(r"""\sstyle=|<script(?![^>]*\bsrc=)|\son[a-z]+=["']|\bhx-on|href=["']javascript:""", re.IGNORECASE)
    found = [
        f"{template.name}: {hit.group()}"
        for template in TEMPLATES.rglob("*.html")
        for hit in bad.finditer(re.sub(r"\{#.*?#\}", "", template.read_text(encoding="utf-8"), flags=re.DOTALL))
    ]
    assert found == []


def test_only_listed_files_have_an_address(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{}")
    (tmp_path / "secret.key").write_text("x")
    tree = StaticTree(tmp_path)
    assert tree.url("a.css") == f"/static/{tree.version}/a.css"
    assert list(tree.files) == ["a.css"]
    with pytest.raises(KeyError):
        tree.url("../secret.key")
    (tmp_path / "a.css").write_text("a{color:red}")
    assert StaticTree(tmp_path).version != tree.version


def luminance(colour: str) -> float:
    def linear(part: int) -> float:
        value = part / 255
        return value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, 1.4.3."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_tokens_have_enough_contrast(theme: int) -> None:
    text = (FOLDER / "css" / "tokens.css").read_text()
    tokens = {name: pair[theme] for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", text)}
    on_everything = [
        (ink, ground) for ink in ("text", "muted", "faint") for ground in ("bg", "surface", "sunken", "raised")
    ]
    on_soft = [(name, f"{name}-soft") for name in ("accent", "amber", "red", "green")]
    on_surface = [
        (name, ground) for name in ("accent", "amber", "red", "green") for ground in ("bg", "surface", "raised")
    ]
    buttons = [("accent-ink", "accent"), ("accent-ink", "accent-strong")]
    for ink, ground in on_everything + on_soft + on_surface + buttons:
        assert contrast(tokens[ink], tokens[ground]) >= 4.5, (ink, ground)
    for ground in ("bg", "surface"):  # the outline of a control, 1.4.11
        assert contrast(tokens["edge"], tokens[ground]) >= 3, ground
