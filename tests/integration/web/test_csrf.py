"""Changes from other sites, on the application itself."""

import pytest

from tests.integration.web.conftest import PASSWORD, Browsers


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
async def test_another_site_changes_nothing(browser: Browsers, headers: dict[str, str]) -> None:
    olena = await browser("olena")
    refused = await olena.post("/logout", headers=headers)
    assert refused.status_code == 403
    assert "another site" in refused.text
    assert (await olena.get("/profile")).status_code == 200


async def test_another_site_cannot_log_a_victim_in_as_somebody_else(browser: Browsers) -> None:
    someone = await browser()
    data = {"login": "dmytro", "password": PASSWORD}
    answer = await someone.post("/login", data=data, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    assert not someone.cookies


async def test_no_page_may_be_framed_cached_or_filled_with_foreign_scripts(browser: Browsers) -> None:
    olena = await browser("olena")
    for path in ("/profile", "/nowhere", "/login", "/people"):
        headers = (await olena.get(path)).headers
        assert "'unsafe" not in headers["content-security-policy"], path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["cache-control"] == "no-store", path
        assert headers["x-content-type-options"] == "nosniff", path
