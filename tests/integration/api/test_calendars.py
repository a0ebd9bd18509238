"""Calendars, reckoning and leaves as programs see them."""

from datetime import UTC, datetime

from pbxcrm.calendars.queries import load_calendars
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import Database
from tests.integration.api.conftest import Programs
from tests.integration.api.test_writing import assert_problem

WEEK = ["09:00-13:00, 14:00-18:00"] * 5 + ["", ""]
SHIFT = {"name": "Shift", "timezone": "Europe/Kyiv", "week": WEEK}


async def test_a_calendar_is_made_changed_and_given_to_somebody(programs: Programs, database: Database) -> None:
    async with await programs.as_("admin") as client:
        made = await client.post("/api/v1/calendars", json=SHIFT)
        assert made.status_code == 201
        calendar = made.json()
        path = made.headers["location"]
        assert (calendar["name"], calendar["week"], calendar["is_default"]) == ("Shift", WEEK, False)
        days = [
            {"day": "2026-12-25", "spans": "", "name": "Christmas"},
            {"day": "2026-12-24", "spans": "9-14", "name": ""},
        ]
        changed = (await client.patch(path, json={"days": days, "people": ["ivan"], "version": 1})).json()
        assert [(row["day"], row["spans"]) for row in changed["days"]] == [
            ("2026-12-24", "09:00-14:00"),
            ("2026-12-25", ""),
        ]
        assert changed["people"] == ["ivan"]
        stale = await client.patch(path, json={"name": "Late shift", "version": 1})
        assert_problem(stale, 409, "calendars.stale")
        assert_problem(await client.delete(path), 409, "calendars.in_use")
        assert_problem(await client.delete("/api/v1/calendars/1"), 409, "calendars.default")
        async with database.read() as session:
            people = await load_directory(session)
            ivans = (await load_calendars(session, people)).of_user(programs.office["ivan"].id)
        assert not ivans.is_working(datetime(2026, 12, 24, 13, tzinfo=UTC))  # 15:00 in Kyiv
        assert (await client.patch(path, json={"people": []})).json()["people"] == []
        assert (await client.delete(path)).status_code == 204
        assert_problem(await client.get(path), 404, "calendars.not_found")


async def test_what_is_wrong_is_said_at_its_place(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        for change, code, field in (
            ({"week": ["9-13, 12-18", *[""] * 6]}, "calendars.overlap", "week.0"),
            ({"week": [""] * 7}, "calendars.never", "week.0"),
            ({"timezone": "Europe/Nowhere"}, "calendars.timezone", "timezone"),
            ({"name": "Office"}, "calendars.name_taken", "name"),
            ({"name": " "}, "api.value", "name"),
            ({"days": [{"day": "2026-12-24", "spans": "9-8-7", "name": ""}]}, "calendars.spans", "days.0"),
            ({"people": ["nobody"]}, "calendars.no_person", "people"),
            ({"team_ids": [77]}, "calendars.no_team", "team_ids"),
        ):
            assert_problem(await client.post("/api/v1/calendars", json={**SHIFT, **change}), 422, code, field)
    async with await programs.as_("ivan") as client:
        assert (await client.post("/api/v1/calendars", json=SHIFT)).status_code == 403
        assert (await client.get("/api/v1/calendars")).status_code == 200


async def test_reckoning(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        path = (await client.post("/api/v1/calendars", json=SHIFT)).headers["location"]
        monday = "2026-11-23T17:40:00+02:00"

        async def reckoned(**asked: object) -> object:
            answer = await client.post(f"{path}/reckon", json=asked)
            assert answer.status_code == 200, answer.text
            found = answer.json()
            return found["at"] or found["minutes"]

        assert await reckoned(op="add", **{"from": monday}, minutes=480) == "2026-11-24T15:40:00Z"
        assert await reckoned(op="add", **{"from": "2026-11-24T15:40:00Z"}, minutes=-480) == "2026-11-23T15:40:00Z"
        assert await reckoned(op="between", **{"from": monday}, to="2026-11-24T17:40:00+02:00") == 480
        assert await reckoned(op="next_morning", **{"from": monday}) == "2026-11-24T07:00:00Z"
        assert await reckoned(op="add_days", **{"from": "2026-11-27T10:00:00Z"}, days=1) == "2026-11-30T10:00:00Z"
        assert await reckoned(op="dateadd", **{"from": monday}, minutes=1440) == "2026-11-24T15:40:00Z"
        assert await reckoned(op="workdateadd", **{"from": monday}, minutes=480) == "2026-11-24T15:40:00Z"
        assert await reckoned(op="addworkdays", **{"from": "2026-11-27T10:00:00Z"}, days=1) == "2026-11-30T10:00:00Z"
        far = await client.post(f"{path}/reckon", json={"op": "add", "from": monday, "minutes": 10_540_800})
        assert_problem(far, 422, "calendars.too_far", "minutes")
        wrong = await client.post(f"{path}/reckon", json={"op": "add", "from": monday, "days": 2})
        assert_problem(wrong, 422, "calendars.reckon", "minutes")
        far = await client.post(f"{path}/reckon", json={"op": "addworkdays", "from": monday, "minutes": 5})
        assert far.json()["detail"] == "addworkdays needs days."
        both = {"op": "between", "from": monday, "to": monday, "days": 1}
        assert_problem(await client.post(f"{path}/reckon", json=both), 422, "calendars.reckon_takes", "days")
        unknown = (await client.post(f"{path}/reckon", json={"op": "workdays", "from": monday})).json()
        assert unknown["field"] == "op"
        known = ("dateadd", "workdateadd", "addworkdays", "add", "add_days", "between", "next_morning")
        assert all(name in unknown["detail"] for name in known)


async def test_somebody_is_away_and_a_deputy_stands_in(programs: Programs, database: Database) -> None:
    leave = {"login": "ivan", "from": "2026-11-20", "until": "2026-11-22", "deputy": "maria"}
    async with await programs.as_("maria") as client:
        made = await client.post("/api/v1/leaves", json=leave)
        assert made.status_code == 201, made.text
        assert {name: made.json()[name] for name in leave} == leave
        assert_problem(await client.post("/api/v1/leaves", json=leave), 422, "leaves.twice", "from")
        circle = {**leave, "login": "maria", "deputy": "ivan"}
        assert_problem(await client.post("/api/v1/leaves", json=circle), 422, "leaves.circle", "deputy")
        foreign = await client.post("/api/v1/leaves", json={**leave, "login": "petro"})
        assert_problem(foreign, 422, "people.not_found", "login")
        exact = {"login": "maria", "from": "2026-12-01T08:00:00Z", "until": "2026-12-01T10:00:00Z", "deputy": None}
        assert (await client.post("/api/v1/leaves", json=exact)).json()["until"] == "2026-12-01T10:00:00Z"
        assert len((await client.get("/api/v1/leaves")).json()["items"]) == 2
        assert len((await client.get("/api/v1/leaves?login=ivan")).json()["items"]) == 1
        leaf = f"/api/v1/leaves/{made.json()['id']}"
        longer = await client.patch(leaf, json={"until": "2026-11-24", "deputy": None})
        assert longer.status_code == 200, longer.text
        assert (longer.json()["from"], longer.json()["until"], longer.json()["deputy"]) == (
            "2026-11-20",
            "2026-11-24",
            None,
        )
        assert_problem(await client.patch(leaf, json={"until": "2026-11-19"}), 422, "leaves.backwards", "until")
        assert_problem(await client.patch(leaf, json={"deputy": "ivan"}), 422, "leaves.own_deputy", "deputy")
        assert_problem(await client.patch(leaf, json={"until": "2026-11-22T10:00:00Z"}), 422, "leaves.mixed", "until")
        assert_problem(await client.patch("/api/v1/leaves/99", json={}), 404, "leaves.not_found")
        again = await client.patch(leaf, json={"until": "2026-11-22", "deputy": "maria"})
        assert {name: again.json()[name] for name in leave} == leave
    ivan, maria = programs.office["ivan"].id, programs.office["maria"].id
    async with database.read() as session:
        calendars = await load_calendars(session, await load_directory(session))
    assert ivan is not None
    friday = datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert calendars.acting(ivan, friday) == maria
    assert not calendars.on_shift(ivan, friday)
    assert calendars.acting(ivan, datetime(2026, 11, 23, 10, tzinfo=UTC)) == ivan
    async with await programs.as_("ivan") as client:
        assert (await client.patch(leaf, json={"deputy": None})).status_code == 403
        assert (await client.delete(f"/api/v1/leaves/{made.json()['id']}")).status_code == 403
    async with await programs.as_("maria") as client:
        assert (await client.delete(f"/api/v1/leaves/{made.json()['id']}")).status_code == 204


async def test_holidays_are_suggested_and_entered_by_hand(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        found = (await client.get("/api/v1/calendars/1/holidays?country=UA&year=2026")).json()
        assert found["lacks"] == ["no_moved_days", "all_suspended"]
        assert {"day": "2026-08-24", "kind": "suspended", "is_chosen": False} in [
            {name: row[name] for name in ("day", "kind", "is_chosen")} for row in found["items"]
        ]
        assert (await client.get("/api/v1/calendars/1")).json()["days"] == []


async def test_what_other_hours_and_leaves_would_do_is_asked_first(programs: Programs) -> None:
    async with await programs.as_("admin") as client:
        same = {"week": ["09:00-18:00"] * 5 + ["", ""]}
        looked = await client.post("/api/v1/calendars/1/preview", json={"week": ["00:00-24:00"] * 7})
        assert looked.json() == {"deals": 0, "callbacks": 0, "would_light_now": 0}
        assert (await client.get("/api/v1/calendars/1")).json()["version"] == 1  # nothing was stored
        assert_problem(
            await client.post("/api/v1/calendars/1/preview", json={"week": [""] * 7}), 422, "calendars.never", "week.0"
        )
        assert (await client.patch("/api/v1/calendars/1", json={**same, "begin_now": True})).status_code == 200
        leave = {"login": "ivan", "from": "2031-01-02", "until": "2031-01-05"}
        looked = await client.post("/api/v1/leaves/preview", json=leave)
        assert looked.json() == {
            "deals": 0, "callbacks": 0, "would_light_now": 0, "asked": "maria", "escalations": [],
        }  # fmt: skip
        looked = await client.post("/api/v1/leaves/preview", json={**leave, "login": "maria"})
        assert looked.json()["escalations"] == [{"team": "Sales", "asked": "admin"}]
        assert (await client.get("/api/v1/leaves")).json()["items"] == []
