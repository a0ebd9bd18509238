"""What the installation does before it needs root or a network."""

from pathlib import Path

import pytest

from tests.asterisk.setup import SUITES, CannotSetUpError, cache_folder, debian_mirror, ensure, main

ENTRY = (
    "Types: deb\n# a comment with https://wrong.example/debian\nURIs: https://mirror.example/debian\nSuites: bookworm\n"
)


def test_mirror_comes_from_the_sources_format_of_today(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "a-vendor.sources").write_text("URIs: https://vendor.example/node_20.x\n")
    (folder / "debian.sources").write_text(ENTRY)
    assert debian_mirror(tmp_path) == "https://mirror.example/debian"


@pytest.mark.parametrize("options", ["", "[arch=amd64 signed-by=/usr/share/keyrings/x.gpg] "])
def test_mirror_comes_from_the_old_one_line_format(tmp_path: Path, options: str) -> None:
    lines = f"deb https://security.example/debian-security bookworm-security main\ndeb {options}http://old.example/debian/ bookworm main\n"
    (tmp_path / "sources.list").write_text(f"# deb http://commented.example/debian x main\n{lines}")
    assert debian_mirror(tmp_path) == "http://old.example/debian/"


def test_without_a_debian_archive_the_reason_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotSetUpError, match="nowhere to install Asterisk from"):
        debian_mirror(tmp_path)


def test_the_cache_can_be_elsewhere_and_what_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PBXCRM_TEST_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    installed = tmp_path / "asterisk-22/usr/sbin/asterisk"
    installed.parent.mkdir(parents=True)
    installed.touch()
    assert ensure("22") == tmp_path / "asterisk-22"


def test_without_a_version_all_are_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PBXCRM_TEST_CACHE", str(tmp_path))
    for version in SUITES:
        installed = tmp_path / f"asterisk-{version}/usr/sbin/asterisk"
        installed.parent.mkdir(parents=True)
        installed.touch()
    assert main([]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [f"Asterisk {v}" for v in SUITES]
    with pytest.raises(SystemExit):
        main(["21"])
