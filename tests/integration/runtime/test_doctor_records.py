"""The doctor looks at the CEL and CDR files as recovery would."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pbxcrm.cli.doctor_records import check_records
from pbxcrm.shared.settings import Pbx
from pbxcrm.upkeep.doctor.findings import Mark

CEL = Path(__file__).parents[2] / "scenarios/cel-22/click_to_call_answered.cel.csv"
NOBODY = 65_534  # the user id of "nobody"


def looked_at(path: Path, last_ended: datetime | None = None) -> tuple[Mark, str]:
    (found,) = check_records(Pbx(ami_url="ami://u:p@h", cel_csv=path), last_ended)
    return found.mark, str(found)


def test_a_file_as_recovery_needs_it_is_good(tmp_path: Path) -> None:
    path = tmp_path / "cel.csv"
    path.write_bytes(CEL.read_bytes())
    assert looked_at(path, datetime.now(UTC))[0] is Mark.GOOD


def test_no_file_at_all_is_said() -> None:
    (found,) = check_records(Pbx(ami_url="ami://u:p@h"), None)
    assert found.mark is Mark.ODD
    assert "PBXCRM_CEL_CSV" in str(found)


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "cel.csv"
    assert "no such file" in looked_at(path)[1]
    path.write_bytes(b"")
    assert "is empty" in looked_at(path)[1]
    path.write_text("one,two,three\n" * 20)
    assert looked_at(path)[0] is Mark.BAD
    assert "unexpected columns" in looked_at(path)[1]


def test_a_file_that_does_not_grow_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "cel.csv"
    path.write_bytes(CEL.read_bytes())
    old = datetime.now(UTC) - timedelta(hours=1)
    os.utime(path, (old.timestamp(), old.timestamp()))
    assert looked_at(path, old)[0] is Mark.GOOD
    mark, said = looked_at(path, datetime.now(UTC))
    assert mark is Mark.BAD
    assert "has not grown" in said


def test_a_file_that_we_may_not_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "cel.csv"
    path.write_bytes(CEL.read_bytes())
    path.chmod(0)
    ourselves = os.geteuid()
    if ourselves == 0:
        os.seteuid(NOBODY)  # root may read everything
    try:
        said = looked_at(path)[1]
    finally:
        os.seteuid(ourselves)
    assert "permission denied" in said


def test_programs_that_call_straight_over_a_line_are_seen(tmp_path: Path) -> None:
    """What they call stands nowhere; through a Local channel it does."""
    recorded = Path(__file__).parents[2] / "scenarios/cel-22"
    path = tmp_path / "cel.csv"
    pbx = Pbx(ami_url="ami://u:p@h", cel_csv=path)
    path.write_bytes((recorded / "two_outside_numbers_bridged.cel.csv").read_bytes())
    assert [found.mark for found in check_records(pbx, None)] == [Mark.GOOD, Mark.ODD]
    assert "(2 calls" in str(check_records(pbx, None)[1])
    assert "Local/NUMBER@CONTEXT/n" in str(check_records(pbx, None)[1])
    for name in ("two_outside_numbers_through_local", "click_to_call_answered"):
        path.write_bytes((recorded / f"{name}.cel.csv").read_bytes())
        assert [found.mark for found in check_records(pbx, None)] == [Mark.GOOD]
