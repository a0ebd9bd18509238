"""A field is added to deals as ``deals/fields.py`` says: one line there, one column, and a migration. Everything else derives from these.

The lines are added to a copy of the source, and another process walks through forms, API, filters, list, file, merge and gate with it.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.source import modules

ROOT = Path(__file__).parents[3]
SOURCE = '    DealField("source", N_("Source"), FieldKind.TEXT),\n'
COLUMN = '    source: str = Field(default="", max_length=100)\n'
SECONDS = 240


def test_one_line_and_one_column_add_a_field(tmp_path: Path, redis_url: str) -> None:
    for part in ("pbxcrm", "web", "ami", "workers"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "*.po"))
    for name in ("__init__.py", "office.py"):
        (tmp_path / "tests").mkdir(exist_ok=True)
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests")
    _add(tmp_path / "pbxcrm/deals/fields.py", SOURCE, '    DealField("room", N_("Room"), FieldKind.TEXT),\n')
    _add(tmp_path / "pbxcrm/deals/models.py", COLUMN, '    room: str = Field(default="", max_length=100)\n')
    walk = Path(__file__).with_name("walk_with_a_new_field.py")
    done = subprocess.run(
        [sys.executable, str(walk), str(tmp_path), redis_url],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PATH": ""}, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines()[-1] == "walked through everything"


def test_no_other_module_names_a_field() -> None:
    """A date that people fill in is named where it is declared and in its table, and nowhere else."""
    for key in ("proposal_until", "survey_at"):
        found = {
            str(path.relative_to(ROOT))
            for part in ("pbxcrm", "web")
            for path in (ROOT / part).rglob("*")
            if path.suffix in {".py", ".html", ".js"} and "migrations" not in path.parts and key in path.read_text()
        }
        assert found == {"pbxcrm/deals/fields.py", "pbxcrm/deals/models.py"}
    assert any(name == "pbxcrm.deals.fields" for name, _tree in modules())


def _add(path: Path, after: str, line: str) -> None:
    text = path.read_text()
    assert after in text
    path.write_text(text.replace(after, after + line))
