"""The commands as a user types them: what they print, how they end, and that no traceback is ever seen."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from pbxcrm.migrations import newest
from pbxcrm.people.api_tokens import user_of_token
from pbxcrm.people.models import Extension, User
from pbxcrm.shared.db import Database
from tests.command_line import pbxcrm, pbxcrm_program

SCENARIOS = Path(__file__).parents[2] / "scenarios" / "shared-22"


async def test_from_an_empty_folder_to_a_person_with_a_token(tmp_path: Path, database_url: str) -> None:
    """Once as a user starts it: a Python for each command, which imports what it needs by itself."""
    run = pbxcrm if database_url.startswith("postgres") else pbxcrm_program
    environ = {"PBXCRM_DATA_DIR": str(tmp_path / "data"), "PBXCRM_DATABASE_URL": database_url}
    assert (await run("db", "upgrade", **environ)).out == f"The database is up to date ({newest()}).\n"
    words = ("user", "add", "olena", "--name", "Олена", "--role", "seller", "--extension", "101", "--extension", "102")
    added = await run(*words, "--team", "Sales", "--password-stdin", stdin="long enough\n", **environ)
    assert (added.code, added.out) == (0, "Added olena (seller).\n")
    again = await run(*words, "--password-stdin", stdin="long enough\n", **environ)
    assert (again.code, again.out) == (2, "")
    assert "olena" in again.err
    token = await run("token", "create", "olena", **environ)
    database = Database(database_url)
    async with database.read() as session:
        user = await user_of_token(session, token.out.strip(), datetime.now(UTC))
        assert user is not None
        assert user.login == "olena"
        assert len((await session.exec(select(User))).all()) == 1
        assert len((await session.exec(select(Extension))).all()) == 2
    await database.close()
    nobody = await run("token", "create", "nobody", **environ)
    assert (nobody.code, nobody.out) == (1, "")
    assert nobody.err.startswith("pbxcrm: Nobody")


@pytest.mark.parametrize(
    ("words", "environ", "code", "says"),
    [
        (("user", "add", "x", "--name", "X", "--role", "king", "--password-stdin"), {}, 2, "role"),
        (("user", "add", "x", "--name", "X", "--role", "seller"), {}, 2, "--password-stdin"),
        (("db", "upgrade"), {"PBXCRM_DATABASE_URL": "sqlite:////nonexistent/x.db"}, 1, "cannot be reached"),
        (("db", "upgrade"), {"PBXCRM_DATABASE_URL": "oracle://x"}, 2, "PBXCRM_DATABASE_URL"),
        (("db", "upgrade"), {"PBXCRM_DATABASE_URL": "no url"}, 2, "PBXCRM_DATABASE_URL"),
        (("db", "upgrade"), {"PBXCRM_REGION": "Ukraine"}, 2, "PBXCRM_REGION"),
        (("db", "upgrade"), {"PBXCRM_CONFIG": "/nonexistent.toml"}, 2, "cannot be read"),
        (("db", "upgrade"), {"PBXCRM_DATA_DIR": "/proc/nothing"}, 1, "PBXCRM_DATA_DIR"),
        (("db", "downgrade"), {}, 2, "downgrade"),
        (("listen",), {}, 2, "PBXCRM_AMI_URL"),
        (("listen",), {"PBXCRM_AMI_URL": "http://x"}, 2, "ami://"),
        (("listen", "--pbx", "no"), {"PBXCRM_AMI_URL": "ami://u:p@127.0.0.1:1"}, 2, "no PBX"),
        (("web",), {"PBXCRM_BIND": "nowhere"}, 2, "PBXCRM_BIND"),
        (("work",), {"PBXCRM_REDIS_URL": "http://x"}, 2, "PBXCRM_REDIS_URL"),
        (("backup", "/nonexistent/folder/b"), {}, 2, "folder that exists"),
        (("restore", "/nonexistent"), {}, 2, "cannot be read"),
    ],
)
async def test_what_goes_wrong_is_said_in_one_sentence(
    tmp_path: Path, sqlite_url: str, words: tuple[str, ...], environ: dict[str, str], code: int, says: str
) -> None:
    ended = await pbxcrm(
        *words, stdin="password\n", **{"PBXCRM_DATA_DIR": str(tmp_path), "PBXCRM_DATABASE_URL": sqlite_url} | environ
    )
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err


async def test_a_database_that_is_not_upgraded_is_refused_by_every_part(tmp_path: Path) -> None:
    environ = {"PBXCRM_DATA_DIR": str(tmp_path), "PBXCRM_AMI_URL": "ami://u:p@127.0.0.1:1"}
    for part in ("web", "work", "listen"):
        ended = await pbxcrm(part, **environ)
        assert ended.code == 2
        assert "pbxcrm db upgrade" in ended.err


async def test_doctor_says_what_is_wrong_and_ends_with_1(tmp_path: Path, sqlite_url: str) -> None:
    environ = {"PBXCRM_DATA_DIR": str(tmp_path), "PBXCRM_DATABASE_URL": sqlite_url}
    added = ("user", "add", "boss", "--name", "Boss", "--role", "admin", "--password-stdin")
    assert (await pbxcrm(*added, stdin="long enough\n", **environ)).code == 0
    fine = await pbxcrm("doctor", **environ)
    assert (fine.code, fine.err) == (0, "")
    assert "! No PBX is configured" in fine.out
    sick = await pbxcrm("doctor", **environ | {"PBXCRM_AMI_URL": "ami://u:topsecret@127.0.0.1:1"})
    assert sick.code == 1
    assert "✗ PBX default: Nobody answers at 127.0.0.1:1" in sick.out
    assert "topsecret" not in sick.out + sick.err


async def test_the_doctor_makes_nothing_and_says_how_to_begin(tmp_path: Path) -> None:
    for folder in (tmp_path / "new", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        told = await pbxcrm("doctor", PBXCRM_DATA_DIR=str(folder), PBXCRM_DATABASE_URL="")
        assert (told.code, told.err) == (1, "")
        assert "✗ There is no database yet. To begin: pbxcrm run" in told.out
    assert "! There is no data directory" in (await pbxcrm("doctor", PBXCRM_DATA_DIR=str(tmp_path / "new"))).out
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


async def test_backup_and_restore_from_the_command_line(tmp_path: Path, sqlite_url: str) -> None:
    environ = {"PBXCRM_DATA_DIR": str(tmp_path), "PBXCRM_DATABASE_URL": sqlite_url}
    file = tmp_path / "b.tar.gz"
    assert (await pbxcrm("backup", file, **environ)).code == 0
    refused = await pbxcrm("restore", file, **environ)
    assert (refused.code, refused.err.count("--yes")) == (1, 1)
    again = await pbxcrm("restore", file, "--yes", **environ)
    assert (again.code, again.out.count(".before-restore")) == (0, 1)
    empty = {"PBXCRM_DATA_DIR": str(tmp_path / "new"), "PBXCRM_DATABASE_URL": f"sqlite:///{tmp_path}/new/pbxcrm.db"}
    first = await pbxcrm("restore", file, **empty)
    assert (first.code, first.out.count("Restored"), first.out.count("kept")) == (0, 1, 0), first


async def test_replay_needs_nothing_and_prints_a_line_a_call(tmp_path: Path) -> None:
    names = ("ring_group_answered", "queue_abandoned")
    ended = await pbxcrm("replay", *(SCENARIOS / f"{name}.ami" for name in names), "--json", HOME="/nonexistent")
    assert (ended.code, ended.err) == (0, "")
    calls = [json.loads(line) for line in ended.out.splitlines()]
    assert [Path(call["file"]).stem for call in calls] == list(names)
    assert [call["outcome"] for call in calls] == ["answered", "missed"]
    plain = await pbxcrm("replay", SCENARIOS / "queue_abandoned.ami")
    assert "missed (abandoned_in_queue)" in plain.out


async def test_replay_refuses_plainly(tmp_path: Path) -> None:
    for words in (("/nonexistent.ami",), (), (SCENARIOS / "pickup.ami", "--extension-pattern", "(")):
        ended = await pbxcrm("replay", *words, "--json")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err
    (tmp_path / "garbage.ami").write_bytes(os.urandom(5000))
    for words in ((), ("--cel",)):
        garbage = await pbxcrm("replay", *words, tmp_path / "garbage.ami", "--json")
        assert (garbage.code, garbage.out) == (2, "")
        assert "found" in garbage.err
