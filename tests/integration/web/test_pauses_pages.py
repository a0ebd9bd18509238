"""A deal rests for a reason and until a day; a long pause waits for the manager."""

import pytest

from pbxcrm.deals.seed import seed
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock


@pytest.fixture(autouse=True)
async def _seeded(database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")


async def test_a_deal_rests_for_a_reason_and_a_long_pause_waits_for_the_manager(
    browser: Browsers, clock: SetClock
) -> None:
    olena, iryna = await browser("olena"), await browser("iryna")
    made = await olena.post("/deals/new", data={"title": "Fence"})
    path = made.headers["location"]
    wrong = await olena.post(f"{path}/pause", data={"until": "2026-11-17T10:00", "reason": "They build in spring"})
    assert (wrong.status_code, 'id="f-until-error"' in wrong.text) == (422, True)
    assert 'value="They build in spring"' in wrong.text
    nothing = await olena.post(f"{path}/pause", data={"until": "", "reason": ""})
    assert (nothing.status_code, 'id="f-until-error"' in nothing.text) == (422, True)
    why = await olena.post(f"{path}/pause", data={"until": "2026-11-25T10:00", "reason": " "})
    assert (why.status_code, 'id="f-reason-error"' in why.text) == (422, True)
    short = await olena.post(f"{path}/pause", data={"until": "2026-11-25T10:00", "reason": "They are away"})
    assert short.status_code == 303
    page = (await olena.get(path)).text
    assert "They are away" in page
    assert "waits until a manager agrees" not in page
    assert (await olena.post(f"{path}/pause/end")).status_code == 303
    assert "They are away" not in (await olena.get(f"{path}/pause")).text
    assert (await olena.post(f"{path}/pause/end")).status_code == 404
    olena.headers["hx-request"] = "true"
    long = await olena.post(f"{path}/pause", data={"until": "2027-03-01T10:00", "reason": "They build in spring"})
    assert "It waits until a manager agrees" in long.text
    assert (await olena.post(f"{path}/pause/approve")).status_code == 403
    assert "/pause/approve" in (await iryna.get(path)).text
    asked = (await iryna.get("/escalations")).text
    assert "wants to pause it until Mon\xa01\xa0Mar\xa02027\xa010:00: They build in spring" in asked
    assert (await iryna.post(f"{path}/pause/approve")).status_code == 303
    agreed = (await iryna.get(f"{path}/pause")).text
    assert "It waits" not in agreed
    assert "agreed by Ірина Мельник" in agreed
    clock.forward(days=120)
    assert "They build in spring" not in (await iryna.get(f"{path}/pause")).text


async def test_short_pauses_one_after_another_need_the_manager_too(browser: Browsers, clock: SetClock) -> None:
    olena, iryna = await browser("olena"), await browser("iryna")
    path = (await olena.post("/deals/new", data={"title": "Fence"})).headers["location"]
    for until in ("2026-11-30T10:00", "2026-12-13T10:00"):
        page = await olena.post(f"{path}/pause", data={"until": until, "reason": "They are away"})
        assert page.status_code == 303
        assert ("/pause/approve" in (await iryna.get(path)).text) == (until > "2026-12-01")
        clock.forward(days=12)
    await iryna.post(f"{path}/pause", data={"until": "2026-12-22T10:00", "reason": "I know them"})
    clock.forward(days=9)
    await olena.post(f"{path}/pause", data={"until": "2026-12-30T10:00", "reason": "The holidays"})
    assert "/pause/approve" not in (await iryna.get(path)).text
