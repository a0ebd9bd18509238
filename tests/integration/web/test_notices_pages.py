"""One's own notices in the profile."""

from tests.integration.web.conftest import Browsers

FORM = {"email": "olena@office.example", "digest_at": "08:30", "quiet_desktop": "20:00-8:00", "quiet_digest": ""}


async def test_notices_are_kept_and_what_is_wrong_is_said_at_its_field(browser: Browsers) -> None:
    olena = await browser("olena")
    page = (await olena.get("/profile")).text
    assert "No mail server is set" in page
    assert (await olena.post("/profile/notices", data=FORM)).status_code == 303
    page = (await olena.get("/profile")).text
    assert 'value="08:30"' in page
    assert 'value="20:00-08:00"' in page
    assert 'data-quiet="20:00-08:00"' in page
    for field, wrong in (
        ("email", "nobody"),
        ("email", ""),
        ("email", "a@b.example\nBcc: c@d.example"),
        ("digest_at", "25:00"),
        ("quiet_desktop", "at night"),
        ("quiet_digest", "1-2, 3-4, 5-6, 7-8"),
    ):
        answer = await olena.post("/profile/notices", data={**FORM, field: wrong})
        assert (answer.status_code, f'id="f-{field}-error"' in answer.text) == (422, True), (field, wrong)
    assert (await olena.post("/profile/notices", data=dict.fromkeys(FORM, ""))).status_code == 303
    assert 'data-quiet=""' in (await olena.get("/profile")).text
