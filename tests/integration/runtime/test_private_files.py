"""Nobody else on the machine opens our files, whatever the umask of whoever started us."""

import shutil
import stat
from pathlib import Path

import pytest

from pbxcrm.shared.errors import BadSettings
from pbxcrm.shared.private_files import make_private
from tests.command_line import pbxcrm


def open_to_others(folder: Path) -> list[str]:
    return [
        str(path.relative_to(folder))
        for path in (folder, *folder.rglob("*"))
        if not path.is_symlink() and stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]


def test_what_lies_there_is_mended_and_links_are_left(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("somebody else's")
    outside.chmod(0o644)
    data = tmp_path / "data"
    (data / "journal" / "default").mkdir(parents=True)
    (data / "link").symlink_to(outside)
    (data / "folder").symlink_to(tmp_path)
    for name in ("pbxcrm.db", "pbxcrm.toml", "journal/default/1.journal"):
        (data / name).write_text("x")
        (data / name).chmod(0o666)
    (data / "journal").chmod(0o777)
    make_private(data)
    assert open_to_others(data) == []
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644
    assert stat.S_IMODE((data / "pbxcrm.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((data / "journal").stat().st_mode) == 0o700
    make_private(tmp_path / "not there yet")


def test_what_cannot_be_mended_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pbxcrm.db").write_text("x")
    (tmp_path / "pbxcrm.db").chmod(0o644)

    def not_ours(_path: Path, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", not_ours)
    with pytest.raises(BadSettings, match="chown"):
        make_private(tmp_path)


@pytest.mark.parametrize(
    "words",
    [("db", "upgrade"), ("user", "add", "ann", "--name", "Ann", "--role", "seller", "--password-stdin"),
     ("token", "create", "boss"), ("backup", "{}/b.tar.gz")],
)  # fmt: skip
async def test_every_command_closes_what_was_opened_to_others_and_the_doctor_says_it(
    tmp_path: Path, sqlite_template: Path, words: tuple[str, ...]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    shutil.copyfile(sqlite_template, data / "pbxcrm.db")
    environ = {"PBXCRM_DATA_DIR": str(data), "PBXCRM_DATABASE_URL": ""}
    boss = ("user", "add", "boss", "--name", "Boss", "--role", "admin", "--password-stdin")
    assert (await pbxcrm(*boss, stdin="long enough\n", **environ)).code == 0
    data.chmod(0o755)
    (data / "pbxcrm.db").chmod(0o644)
    told = (await pbxcrm("doctor", **environ)).out
    assert f"! Others on this machine may open {data}, {data / 'pbxcrm.db'}" in told
    assert set(open_to_others(data)) == {".", "pbxcrm.db"}  # the doctor changes nothing
    words = tuple(word.format(tmp_path) for word in words)
    assert (await pbxcrm(*words, stdin="long enough\n", **environ)).code == 0
    assert open_to_others(data) == []
    assert "Others on this machine" not in (await pbxcrm("doctor", **environ)).out
