"""What the guides tell people to write exists."""

import re
from pathlib import Path

import pytest

from pbxcrm.shared.settings import Settings

ROOT = Path(__file__).parent.parent.parent
GUIDES = (ROOT / "docs/connect-asterisk.md", ROOT / "dialplan_examples/README.md")
DIALPLAN = (ROOT / "dialplan_examples/extensions.conf").read_text()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_setting_is_one(guide: Path) -> None:
    named = {name.lower() for name in re.findall(r"(?<!\{)PBXCRM_([A-Z_]+)", guide.read_text())}
    assert named
    assert named <= set(Settings.model_fields)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_file_and_context_is_there(guide: Path) -> None:
    text = guide.read_text()
    for name in re.findall(r"dialplan_examples/([\w.-]+\.\w+)", text):
        assert (ROOT / "dialplan_examples" / name).exists()
    for context in re.findall(r"`\[(pbxcrm-[\w-]+)\]`", text):
        assert f"[{context}]\n" in DIALPLAN


def test_the_manager_user_of_the_guide_is_that_of_the_examples() -> None:
    guide = GUIDES[0].read_text()
    for name in ("manager.conf", "manager-before-20.11.conf"):
        example = (ROOT / "dialplan_examples" / name).read_text()
        for key in ("read", "write", "permit", "deny", "timestampevents"):
            (said,) = re.findall(rf"^{key}=([^\s;]+)", guide, flags=re.MULTILINE)
            assert re.search(rf"^{key}={re.escape(said)}(\s|$)", example, flags=re.MULTILINE)


def test_both_spellings_of_the_filters_say_the_same() -> None:
    new = re.findall(
        r"^eventfilter\(action\(exclude\),name\((\w+)\)\) =",
        (ROOT / "dialplan_examples/manager.conf").read_text(),
        flags=re.MULTILINE,
    )
    old = re.findall(
        r"^eventfilter=!Event: (\w+)",
        (ROOT / "dialplan_examples/manager-before-20.11.conf").read_text(),
        flags=re.MULTILINE,
    )
    assert new == old
    assert len(new) == len(set(new)) == 11
