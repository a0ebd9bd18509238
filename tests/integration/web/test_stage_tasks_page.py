"""The automatic tasks of a stage are edited as one list."""

from sqlmodel import select

from pbxcrm.deals.models import Stage
from tests.integration.web.desks import BrowserDesk, Browsers, browsers, desk

__all__ = ["browsers", "desk"]


async def test_they_are_added_changed_taken_away_and_what_is_wrong_is_said(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    admin = await browsers("admin")
    async with desk.database.read() as session:
        stage_id = (await session.exec(select(Stage.id).where(Stage.kind == "open"))).first()
    address = f"/settings/stages/{stage_id}/tasks"
    assert address in (await admin.get(f"/settings/stages/{stage_id}")).text
    row = {"auto_title": "Call", "auto_whom": "manager", "auto_after": "2", "auto_unit": "h", "auto_keep": "keep"}
    row |= {"auto_instruction": "Be kind.", "auto_checklist": "! Ask\nThank"}
    assert (await admin.post(address, data=row | {"seen": ""})).status_code == 303
    page = (await admin.get(address)).text
    assert 'value="Call"' in page
    assert "! Ask\nThank" in page
    assert '<option value="manager" selected>' in page
    stale = await admin.post(address, data=row | {"seen": ""})
    assert stale.status_code == 409
    assert "Somebody changed these tasks meanwhile" in stale.text
    wrong = await admin.post(address, data=row | {"seen": "", "auto_after": "soon"})
    assert wrong.status_code == 422
    assert 'value="soon" inputmode="numeric" autocomplete="off" aria-invalid="true"' in wrong.text
    many = await admin.post(address, data=row | {"seen": "", "auto_checklist": "Ask\n" * 1000})
    assert many.status_code == 422
    assert "at most 100 items, this one has 1000" in many.text
    assert 'name="auto_checklist" rows="3" aria-describedby="hint-0" aria-invalid="true"' in many.text
    assert many.text.count("Ask\n") >= 1000
    assert (await (await browsers("maria")).get(address)).status_code == 403
