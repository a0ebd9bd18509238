"""Every report has a sentence, and every sentence is said somewhere."""

from pathlib import Path

from ami import errors
from pbxcrm.pbx.report_sentences import REPORTS

ROOT = Path(__file__).parents[3]


def test_every_sentence_is_used() -> None:
    files = [path for folder in ("ami", "pbxcrm") for path in sorted((ROOT / folder).rglob("*.py"))]
    source = "".join(path.read_text() for path in files if path.name != "pbx_reports.py")
    assert [code for code in REPORTS if f'"{code}"' not in source] == []


def test_every_error_has_a_sentence() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AmiError)]
    assert len(kinds) > 8
    assert [kind.code for kind in kinds if kind is not errors.AmiError and kind.code not in REPORTS] == []
