"""Health for machines and the doctor for people: each ailment is seen, and says what to do."""

import asyncio
import os
import signal
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from ami.simulator import Simulator
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.cli.doctor import check_dialplan, check_pbx
from pbxcrm.pbx import leases
from pbxcrm.pbx.models import PbxJournal, PbxStatus
from pbxcrm.people.actions import add_user
from pbxcrm.people.passwords import hash_password
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import emit
from pbxcrm.shared.settings import Pbx, Settings
from pbxcrm.shared.timers import set_timer
from pbxcrm.upkeep import health
from pbxcrm.upkeep.doctor import data, machine
from pbxcrm.upkeep.doctor.findings import Finding, Mark
from tests.asterisk.server import free_port
from tests.fakes.ami_server import Action, FakeAmiServer, error, success

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def the_only(findings: list[Finding], mark: Mark) -> str:
    (found,) = (finding for finding in findings if finding.mark is mark)
    return str(found)


async def status(database: Database, **values: Any) -> None:
    row: dict[str, Any] = {"state": "listening", "code": "listening", "reported_at": NOW, "last_event_at": NOW} | values
    async with database.write() as session:
        await session.merge(PbxStatus(pbx="default", **row))


async def test_a_well_installation_is_ready_and_measured(database: Database, redis_url: str) -> None:
    await status(database, lag_seconds=0.02, lease_epoch=3)
    async with database.write() as session:
        session.add(PbxJournal(pbx="default", journal="j1", position=1234))
        emit(session, "deal", 1, NOW)
        await set_timer(session, "x", "x", NOW - timedelta(seconds=90))
        await set_timer(session, "x", "later", NOW + timedelta(seconds=90))
        call = Call(pbx="default", linkedid="1.1", direction="inbound", outcome="open", started_at=NOW)
        session.add(call)
        await session.flush()
        part = Call(pbx="default", linkedid="1.2", direction="internal", outcome="open", started_at=NOW)
        part.merged_into_id = call.id  # it is no call of its own any more
        session.add(part)
    async with Redis.from_url(redis_url) as redis:
        found = await health.collect(database, redis, NOW)
    assert (found.ready, found.database, found.redis) == (True, None, None)
    assert health.as_json(found, NOW)["pbxs"]["default"]["listening"] is True
    families = text_string_to_metric_families(health.as_metrics(found, NOW).decode())
    values = {sample.name: sample.value for family in families for sample in family.samples}
    assert values["pbxcrm_database_up"] == values["pbxcrm_redis_up"] == values["pbxcrm_pbx_listening"] == 1
    assert values["pbxcrm_outbox_rows"] == values["pbxcrm_timers_overdue"] == values["pbxcrm_calls_open"] == 1
    assert values["pbxcrm_timers_oldest_overdue_seconds"] == 90
    assert values["pbxcrm_pbx_lease_epoch"] == 3


async def test_without_redis_it_is_ready_and_without_database_it_is_not(tmp_path: Path, database: Database) -> None:
    async with Redis.from_url(f"unix://{tmp_path}/nothing") as redis:
        found = await health.collect(database, redis, NOW)
        assert found.ready
        assert found.redis
        gone = Database(f"sqlite:///{tmp_path}/no/folder.db")
        found = await health.collect(gone, redis, NOW)
        await gone.close()
    assert not found.ready
    assert "unable to open" in (found.database or "")
    assert b"pbxcrm_database_up 0.0" in health.as_metrics(found, NOW)


@pytest.mark.postgres
async def test_a_database_that_hangs_is_not_waited_for(
    postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "ASK_SECONDS", 0.2)
    db = Database(postgres_url, pool_size=1)
    clock = asyncio.get_running_loop().time
    async with db.read() as session:
        pid = (await (await session.connection()).execute(text("SELECT pg_backend_pid()"))).scalar_one()
    os.kill(pid, signal.SIGSTOP)
    try:
        async with Redis.from_url(redis_url) as redis:
            began = clock()
            found = await health.collect(db, redis, NOW)
            took = clock() - began
    finally:
        os.kill(pid, signal.SIGCONT)
        await db.close()
    assert (found.ready, found.database, found.redis) == (False, "no answer", None)
    assert took < 2.1  # giving up its connection takes two seconds more


async def test_a_dead_listener_does_not_count_as_listening(database: Database) -> None:
    await status(database, reported_at=NOW - timedelta(minutes=5))
    async with Redis.from_url("unix:///nowhere") as redis:
        found = await health.collect(database, redis, NOW)
    assert health.as_json(found, NOW)["pbxs"]["default"]["listening"] is False


@pytest.mark.parametrize(
    ("values", "mark", "says"),
    [
        ({}, Mark.GOOD, "✓ PBX default: Listening."),
        ({"reported_at": NOW - timedelta(minutes=10)}, Mark.BAD, "nothing for 10 min"),
        (
            {"state": "refused", "code": "login_refused", "params": {"host": "h", "user": "u", "why": "x"}},
            Mark.BAD,
            "“u”",
        ),
        ({"state": "standby", "code": "standby"}, Mark.ODD, "takes over"),
        (
            {"state": "standby", "code": "stopped"},
            Mark.BAD,
            "nobody listens; it was stopped 1 min ago. Start pbxcrm run",
        ),
        ({"last_event_at": None}, Mark.ODD, "Call a phone"),
        ({"last_event_at": NOW - timedelta(days=3)}, Mark.ODD, "3 days ago"),
        ({"lag_seconds": 12.0}, Mark.ODD, "12.0 s late"),
        ({"clock_offset_seconds": -3600.0}, Mark.ODD, "-3600 s"),
    ],
)
async def test_what_the_listener_said_is_put_into_words(
    database: Database, settings: Settings, values: dict[str, Any], mark: Mark, says: str
) -> None:
    await status(database, **values)
    with_pbx = settings.model_copy(update={"pbxs": (Pbx(ami_url="ami://u:p@h"),)})
    assert says in the_only(await data.check_listeners(database, with_pbx, NOW), mark)


async def test_a_listener_that_was_stopped_is_not_asked_for_the_dialplan(
    database: Database, settings: Settings
) -> None:
    """That nobody answers follows from that nobody listens, which is said; the port is not the reason."""
    async with database.write() as session:
        await leases.open_journal(session, "default", "j", "me", is_new=True)
    unheard = settings.model_copy(update={"agi_bind": f"127.0.0.1:{free_port(socket.SOCK_STREAM)}"})
    assert "Nobody answers" in the_only(await check_dialplan(database, unheard, datetime.now(UTC)), Mark.BAD)
    async with database.write() as session:
        await leases.release_lease(session, "default", "me")
    assert await check_dialplan(database, unheard, datetime.now(UTC)) == []


async def test_no_listener_and_no_pbx_are_said(database: Database, settings: Settings) -> None:
    assert "No PBX" in the_only(await data.check_listeners(database, settings, NOW), Mark.ODD)
    with_pbx = settings.model_copy(update={"pbxs": (Pbx(ami_url="ami://u:p@h"),)})
    assert "ever" in the_only(await data.check_listeners(database, with_pbx, NOW), Mark.ODD)


async def test_a_pbx_that_is_listened_to_is_not_said_to_be_missing(database: Database, settings: Settings) -> None:
    """As of a demo: its PBX stands in the settings of its own parts only."""
    await status(database)
    (found,) = await data.check_listeners(database, settings, NOW)
    assert "Listening" in str(found)


async def test_people_without_phones_and_phones_without_people(database: Database) -> None:
    assert "no administrator" in the_only(await data.check_people(database), Mark.BAD)
    hashed = await hash_password("long enough")
    async with database.write() as session:
        await add_user(session, login="boss", name="Boss", role="admin", password_hash=hashed)
        await add_user(session, login="olena", name="Olena", role="seller", password_hash=hashed, extensions=["101"])
    assert the_only(await data.check_people(database), Mark.GOOD)
    async with database.write() as session:
        await add_user(session, login="taras", name="Taras", role="seller", password_hash=hashed)
        call = Call(
            pbx="default", linkedid="1.1", direction="inbound", outcome="answered", started_at=datetime.now(UTC)
        )
        session.add(call)
        await session.flush()
        leg = CallLeg(
            call_id=call.id or 0, channel_id="1.2", extension="109", dialled_at=datetime.now(UTC), result="talked"
        )
        session.add(leg)
    said = [str(finding) for finding in await data.check_people(database)]
    assert said[0].startswith("! Sellers without an extension: taras.")
    assert said[1].startswith("! Extensions in calls that belong to nobody: 109.")


async def test_a_database_of_another_shape_is_bad(database: Database) -> None:
    assert (await data.check_database(database))[0].mark is Mark.GOOD
    async with database.engine.begin() as connection:
        await connection.execute(text("DELETE FROM alembic_version"))
    assert "pbxcrm db upgrade" in the_only(await data.check_database(database), Mark.BAD)


async def test_the_machine(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "d" / "pbxcrm.db").write_text("x")
    (tmp_path / "d" / "pbxcrm.db").chmod(0o600)
    assert not [each for each in machine.check_data_dir(tmp_path / "d") if each.mark is Mark.ODD]
    (tmp_path / "d" / "pbxcrm.db").chmod(0o644)
    found = the_only(machine.check_data_dir(tmp_path / "d"), Mark.ODD)
    assert "d/pbxcrm.db" in found
    assert f"chmod -R go= {tmp_path / 'd'}" in found
    assert "pbxcrm run makes it" in the_only(machine.check_data_dir(tmp_path / "none"), Mark.ODD)
    own = Settings(data_dir=tmp_path, redis_url=redis_url)
    assert "Redis answers" in the_only(await machine.check_redis(own), Mark.GOOD)
    away = Settings(data_dir=tmp_path, redis_url="redis://127.0.0.1:1")
    assert "PBXCRM_REDIS_URL" in the_only(await machine.check_redis(away), Mark.BAD)
    assert "not running" in the_only(await machine.check_redis(Settings(data_dir=tmp_path)), Mark.GOOD)


async def test_a_pbx_is_asked_what_we_may_do_there() -> None:
    commands = {"CoreShowChannels": "x", "CoreStatus": "x", "Hangup": "x", "Ping": "x", "Login": "x", "Logoff": "x"}
    async with FakeAmiServer() as server:
        server.responders["coresettings"] = lambda action: success(action, AsteriskVersion="13.1.0")
        server.responders["ping"] = lambda action: success(action, Ping="Pong", Timestamp="1.5")
        server.responders["listcommands"] = lambda action: success(action, **commands)
        found = [str(finding) for finding in await check_pbx(Pbx(ami_url=server.url))]
        assert found[0].startswith("✓ PBX default: logged in")
        assert "s3cret" not in "".join(found)
        assert [line.split(": ")[1].split()[-1] for line in found[1:3]] == ["Originate", "BlindTransfer"]
        assert "older than 16" in found[3]
        assert "clock" in found[4]
        wrong = the_only(await check_pbx(Pbx(ami_url=server.url.replace("s3cret", "other"))), Mark.BAD)
        assert "manager.conf" in wrong
    assert "Nobody answers" in the_only(await check_pbx(Pbx(ami_url=server.url)), Mark.BAD)
    assert "begin with ami://" in the_only(await check_pbx(Pbx(ami_url="http://x")), Mark.BAD)


async def test_a_pbx_that_refuses_a_command_is_named_with_the_command_and_what_to_do() -> None:
    def refuse(action: Action) -> bytes:
        return error(action, "Permission denied")

    async with FakeAmiServer() as server:
        server.responders["coresettings"] = server.responders["listcommands"] = refuse
        server.responders["ping"] = lambda action: success(action, Ping="Pong", Timestamp="1.5")
        found = [str(finding) for finding in await check_pbx(Pbx(ami_url=server.url))]
    assert found[0].startswith("✓ PBX default: logged in")
    assert [line.split("command ")[1].split(" ")[0] for line in found[1:3]] == ["CoreSettings", "ListCommands"]
    assert all("(Permission denied)" in line and "manager.conf" in line for line in found[1:3])


async def test_our_own_simulator_is_a_well_pbx() -> None:
    async with Simulator(seed=1) as simulator:
        assert {finding.mark for finding in await check_pbx(Pbx(ami_url=simulator.url))} == {Mark.GOOD}


async def test_the_doctor_writes_as_well_as_reads(
    database: Database, redis_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "takes what is written" in the_only(await data.check_database(database), Mark.GOOD)
    async with database.read() as session:
        assert (await session.exec(text("SELECT count(*) FROM outbox"))).one() == (0,)  # type: ignore[call-overload]
    with_redis = settings.model_copy(update={"redis_url": redis_url})
    assert "takes what is written" in the_only(await machine.check_redis(with_redis), Mark.GOOD)
    async with Redis.from_url(redis_url) as redis:
        await redis.execute_command("REPLICAOF", "127.0.0.1", "1")  # it only reads then
        try:
            assert "takes nothing" in the_only(await machine.check_redis(with_redis), Mark.BAD)
        finally:
            await redis.execute_command("REPLICAOF", "NO", "ONE")


async def test_an_embedded_redis_that_takes_nothing_is_not_said_to_be_away(
    redis_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "redis_url", lambda _: redis_url)
    async with Redis.from_url(redis_url) as redis:
        await redis.config_set("min-replicas-to-write", 1)
        try:
            said = the_only(await machine.check_redis(settings.model_copy(update={"redis_url": ""})), Mark.BAD)
        finally:
            await redis.config_set("min-replicas-to-write", 0)
    assert "The embedded Redis is running, but takes nothing" in said


async def test_a_database_without_room_is_seen_though_a_small_row_fits(tmp_path: Path, sqlite_template: Path) -> None:
    path = tmp_path / "full.db"
    path.write_bytes(sqlite_template.read_bytes())
    pages = path.stat().st_size // 4096
    db = Database(f"sqlite:///{path}", pool_size=1)

    def is_full(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count = {pages + 10}")

    event.listen(db.engine.sync_engine, "connect", is_full)
    try:
        assert "disk is full" in the_only(await data.check_database(db), Mark.BAD)
    finally:
        await db.close()


async def test_a_database_that_takes_nothing_is_seen(tmp_path: Path, sqlite_template: Path) -> None:
    path = tmp_path / "locked.db"
    path.write_bytes(sqlite_template.read_bytes())
    db = Database(f"sqlite:///{path}", pool_size=1)
    try:
        async with db.write() as session:  # whoever is first waits for the lock in vain
            await session.exec(text("SELECT 1"))  # type: ignore[call-overload]
            blocked = Database(f"sqlite:///{path}", pool_size=1)
            try:
                assert "cannot be written" in the_only(await data.check_database(blocked), Mark.BAD)
            finally:
                await blocked.close()
    finally:
        await db.close()


async def test_a_peer_that_says_yes_to_everything_is_no_asterisk() -> None:
    async with FakeAmiServer() as server:
        for name in list(server.responders):
            if name != "login":
                server.responders[name] = success
        assert "is not an Asterisk" in the_only(await check_pbx(Pbx(ami_url=server.url)), Mark.BAD)
