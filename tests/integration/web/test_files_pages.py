"""Files on the pages of deals and tasks: attached with and without our script, shown, removed and put back."""

import re

from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock
from tests.integration.web.test_settings_pages import make_deal

SCRIPT = {"hx-request": "true", "hx-request-type": "partial"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


async def test_a_file_on_a_deal_from_attaching_to_undo(browser: Browsers, database: Database, clock: SetClock) -> None:
    _contact, deal_id = await make_deal(database, clock)
    olena, dmytro, petro = await browser("olena"), await browser("dmytro"), await browser("petro")
    path = f"/deals/{deal_id}/files"
    assert "No files yet." in (await olena.get(f"/deals/{deal_id}")).text
    answer = await olena.post(path, files=[("file", ("<b>дім</b>.png", PNG)), ("file", ("b.txt", b"text"))])
    assert (answer.status_code, answer.headers["location"]) == (303, f"/deals/{deal_id}")
    page = (await olena.get(f"/deals/{deal_id}")).text
    assert page.count("b&gt;.png") >= 2  # in the list and in the timeline: what was before the last slash is a folder
    assert page.count("File attached") == 2
    assert "File attached" in (await olena.get(f"/deals/{deal_id}?kind=files")).text
    picture, text = sorted(set(re.findall(r'href="(/files/\d+)(?:\?show)?"', page)), key=lambda a: int(a[7:]))
    assert f'src="{picture}?show"' in page
    assert f'src="{text}?show"' not in page
    shown = await petro.get(f"{picture}?show")
    assert shown.headers["content-disposition"].startswith("inline")
    assert shown.headers["content-security-policy"].startswith("sandbox")
    assert (await olena.get(f"{text}?show")).headers["content-disposition"].startswith("attachment")
    assert (await dmytro.get(picture)).status_code == 404
    assert (await dmytro.get(path)).status_code == 404
    assert (await petro.post(path, files={"file": ("x", b"x")})).status_code == 403
    assert f'action="{path}"' not in (await petro.get(f"/deals/{deal_id}")).text
    assert (await dmytro.post(f"{text}/remove")).status_code == 404
    removed = await olena.post(f"{text}/remove", headers=SCRIPT)
    assert f'action="{text}/restore"' in removed.text
    assert (await olena.get(text)).status_code == 404
    assert "removed" in (await olena.get(f"/deals/{deal_id}?kind=files")).text
    assert (await olena.post(f"{text}/restore")).status_code == 303
    assert (await olena.get(text)).content == b"text"
    audit = (await (await browser("admin")).get(f"/settings/audit?kind=deal&q={deal_id}")).text
    assert all(word in audit for word in ("File attached", "File removed", "Removed file put back"))


async def test_what_is_wrong_is_said_in_the_reader_s_language(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _contact, deal_id = await make_deal(database, clock)
    olena = await browser("olena")
    path = f"/deals/{deal_id}/files"
    uk = {**SCRIPT, "page-language": "uk"}
    answer = await olena.post(path, files={"file": ("x", b"")}, headers=uk)
    assert (answer.status_code, answer.text) == (422, "Файл порожній: у ньому 0 байтів. Виберіть інший.")
    answer = await olena.post(path, files={"file": ("x", b"")})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "The file is empty" in answer.text
    answer = await olena.post(path, files={"file": ("x", bytes((25 << 20) + 1))}, headers=SCRIPT)
    assert (answer.status_code, answer.text) == (422, "The file is too large: at most 25 MB.")
    assert (await olena.post(path, data={}, headers=SCRIPT)).text == "Choose a file."


async def test_a_task_has_files(browser: Browsers, database: Database, clock: SetClock) -> None:
    _contact, deal_id = await make_deal(database, clock)
    olena = await browser("olena")
    made = await olena.post("/tasks/new", data={"title": "Offer", "due_at": "2026-11-19T10:00", "deal_id": deal_id})
    assert made.status_code == 303, made.text
    page = (await olena.get("/tasks")).text
    found = re.search(r'href="(/tasks/\d+)"', page)
    assert found
    assert (await olena.post(f"{found[1]}/files", files={"file": ("offer.pdf", b"%PDF-1.7")})).status_code == 303
    page = (await olena.get(found[1])).text
    shown = re.search(r'href="(/files/\d+\?show)"[^>]*><bdi>offer.pdf', page)
    assert shown
    assert f'src="{shown[1]}"' not in page  # no small picture of it
    pdf = await olena.get(shown[1])
    assert (pdf.headers["content-type"], pdf.headers["x-content-type-options"]) == ("application/pdf", "nosniff")
    assert pdf.headers["content-disposition"].startswith("inline")
    assert "default-src 'none'" in pdf.headers["content-security-policy"]
    assert "sandbox" not in pdf.headers["content-security-policy"]  # browsers would not start their viewer
    assert (await (await browser("dmytro")).get(shown[1])).status_code == 404
    for name, body in (
        ("x.html", b"<script>alert(1)</script>"),
        ("x.svg", b"<svg onload='alert(1)'/>"),
        ("x.pdf", b"<p>%PDF-"),
    ):
        assert (await olena.post(f"{found[1]}/files", files={"file": (name, body)})).status_code == 303
        number = re.findall(rf'href="(/files/\d+)"[^>]*><bdi>{name}', (await olena.get(found[1])).text)[-1]
        other = await olena.get(f"{number}?show")
        assert other.headers["content-disposition"].startswith("attachment"), name
        assert "sandbox" in other.headers["content-security-policy"]


async def test_a_stage_that_asks_for_files_takes_them_in_its_form(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _contact, deal_id = await make_deal(database, clock)
    olena, admin = await browser("olena"), await browser("admin")
    page = (await olena.get(f"/deals/{deal_id}")).text
    stage_id = re.findall(r'name="stage_id" value="(\d+)"', page)[1]
    form = (await admin.get(f"/settings/stages/{stage_id}")).text
    asked = dict(re.findall(r'<input[^>]*name="(name|norm|probability|version)"[^>]*value="([^"]*)"', form))
    kind = re.search(r'<option value="(\w+)" selected', form)
    assert kind
    asked |= {"kind": kind[1], "norm_unit": "hours", "files": "1"}
    assert (await admin.post(f"/settings/stages/{stage_id}", data={**asked, "files": "21"})).status_code == 422
    saved = await admin.post(f"/settings/stages/{stage_id}", data=asked)
    assert saved.status_code == 303, saved.text
    refused = await olena.post(f"/deals/{deal_id}/move", data={"stage_id": stage_id, "version": "1"}, headers=SCRIPT)
    assert refused.status_code == 422
    assert f'data-attach="/deals/{deal_id}/files"' in refused.text
    assert (await olena.post(f"/deals/{deal_id}/files", files={"file": ("a", b"a")}, headers=SCRIPT)).status_code == 200
    moved = await olena.post(
        f"/deals/{deal_id}/move", data={"stage_id": stage_id, "version": "1", "asked": "file"}, headers=SCRIPT
    )
    assert moved.status_code == 200, moved.text
