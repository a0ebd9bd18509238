"""Saved views of the board: of a person, of a team, the default, deleting with undo."""

import pytest

from tests.integration.web.desks import BrowserDesk, Browsers, browsers, desk

__all__ = ["browsers", "desk"]


async def test_a_view_is_saved_opened_by_default_and_taken_back(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    answer = await ivan.post(
        "/board/views", data={"name": "Dear ones", "query": "?amount.min=60000&cursor=x&view=9", "is_default": "1"}
    )
    where = answer.headers["location"]
    assert where.endswith("&amount.min=60000")
    opened = await ivan.get("/board")
    assert (opened.status_code, opened.headers["location"]) == (303, where)
    page = (await ivan.get(where)).text
    assert "Dear ones</a>" in page
    assert "Reception desk" not in page
    assert "Reception desk" in (await ivan.get("/board?view=0")).text
    view_id = where.partition("view=")[2].partition("&")[0]
    deleted = await ivan.post(f"/board/views/{view_id}/delete", headers={"hx-request": "true"})
    assert f"/board/views/{view_id}/restore" in deleted.text
    assert (await ivan.get("/board")).status_code == 200
    await ivan.post(f"/board/views/{view_id}/restore")
    assert (await ivan.get("/board")).headers["location"] == where


async def test_a_team_s_view_is_kept_by_its_manager(browsers: Browsers) -> None:
    maria, ivan, petro = await browsers("maria"), await browsers("ivan"), await browsers("petro")
    data = {"name": "Burning", "query": "lamp=any", "for_team": "1", "is_default": "1"}
    assert (await ivan.post("/board/views", data=data)).status_code == 403
    where = (await maria.post("/board/views", data=data)).headers["location"]
    assert (await ivan.get("/board")).headers["location"] == where
    assert (await petro.get("/board")).status_code == 200
    view_id = where.partition("view=")[2].partition("&")[0]
    for path in (f"/board/views/{view_id}", f"/board/views/{view_id}/delete"):
        assert (await ivan.post(path, data={"name": "Mine now"})).status_code == 403
        assert (await petro.post(path, data={"name": "Mine now"})).status_code == 404
    own = {"name": "All of mine", "query": "mine=1", "is_default": "1"}
    mine = (await ivan.post("/board/views", data=own)).headers["location"]
    assert (await ivan.get("/board")).headers["location"] == mine  # one's own comes before the team's
    changed = await maria.post(f"/board/views/{view_id}", data={"name": "What burns"})
    assert changed.status_code == 303
    assert (await maria.get("/board")).status_code == 200  # it is no default any more
    assert "What burns" in (await maria.get("/board")).text


@pytest.mark.parametrize("wrong", [{"name": ""}, {"name": "x" * 61}, {"name": "x", "query": "nonsense=1"}])
async def test_what_cannot_be_saved(browsers: Browsers, wrong: dict[str, str]) -> None:
    ivan = await browsers("ivan")
    assert (await ivan.post("/board/views", data=wrong)).status_code == 422
    assert (await ivan.get("/board")).status_code == 200
