"""The pages on which two clients become one and two again."""

import re

from sqlmodel import select

from pbxcrm.contacts.models import Merge
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, desk

__all__ = ["browsers", "desk"]
IRYNA = "Ірина Мельник"


async def make(browsers: Browsers, name: str, **fields: str) -> int:
    maria = await browsers("maria")
    answer = await maria.post("/contacts/new", data={"name": name, "anyway": "1", **fields})
    found = re.fullmatch(r"/contacts/(\d+)", answer.headers["location"])
    assert found
    return int(found[1])


async def test_a_name_in_other_letters_is_found_compared_merged_and_undone(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    maria, iryna = await browsers("maria"), desk.busy.contacts[IRYNA]
    typed = (await maria.get("/contacts/whose", params={"meant": "client", "name": "Irina Melnik"})).text
    assert f'href="/contacts/{iryna}"' in typed
    double = await make(browsers, "Irina Melnik", phones="067 999 00 11", note="Calls in the evening")
    listed = (await maria.get("/contacts/duplicates")).text
    assert f'id="pair-{iryna}-{double}"' in listed
    choose = (await maria.get(f"/contacts/{double}/merge")).text
    assert f"/contacts/{double}/merge?contact_id={iryna}" in choose
    page = (await maria.get(f"/contacts/{double}/merge?contact_id={iryna}")).text
    assert 'name="take_name" value="this"' in page
    assert "Calls in the evening" in page
    wrong = await maria.post(
        f"/contacts/{double}/merge", data={"into": str(iryna), "version": "9", "into_version": "1"}, headers=HTMX
    )
    assert wrong.status_code == 409
    assert "Somebody changed one of the two meanwhile" in wrong.text
    done = await maria.post(f"/contacts/{double}/merge", data={"into": str(iryna), "take_name": "into"})
    assert done.headers["location"] == f"/contacts/{iryna}"
    assert (await maria.get(f"/contacts/{double}")).headers["location"] == f"/contacts/{iryna}"
    assert (await maria.get(f"/contacts/{double}/edit")).headers["location"] == f"/contacts/{iryna}"
    card = (await maria.get(f"/contacts/{iryna}")).text
    assert "Two clients merged" in card
    assert "+380 67 999 00 11" in card
    assert f"pair-{iryna}-{double}" not in (await maria.get("/contacts/duplicates")).text
    async with desk.database.read() as session:
        merge = (await session.exec(select(Merge))).one()
    assert f'href="/merges/{merge.id}"' in card
    before = (await maria.get(f"/merges/{merge.id}")).text
    assert "Nothing was changed since." in before
    assert "+380 67 999 00 11" in before
    ivan = await browsers("ivan")  # the client was his before, though he did not merge them
    assert "Undo the merge" in (await ivan.get(f"/merges/{merge.id}")).text
    back = await ivan.post(f"/merges/{merge.id}/undo")
    assert back.headers["location"] == f"/contacts/{double}"
    assert "Undone" in (await maria.get(f"/contacts/{iryna}")).text
    assert "Calls in the evening" in (await maria.get(f"/contacts/{double}")).text


async def test_two_people_are_not_suggested_again_until_it_is_taken_back(browsers: Browsers, desk: BrowserDesk) -> None:
    maria, iryna = await browsers("maria"), desk.busy.contacts[IRYNA]
    other = await make(browsers, "Мельник Ірина")
    row = f'id="pair-{iryna}-{other}"'
    assert row in (await maria.get("/contacts/duplicates")).text
    said = await maria.post(f"/contacts/{iryna}/not-same", data={"other": str(other)}, headers=HTMX)
    assert f"/contacts/{iryna}/not-same/{other}/undo" in said.text
    assert row not in (await maria.get("/contacts/duplicates")).text
    assert f"contact_id={iryna}" not in (await maria.get(f"/contacts/{other}/merge")).text
    await maria.post(f"/contacts/{iryna}/not-same/{other}/undo")
    assert row in (await maria.get("/contacts/duplicates")).text


async def test_a_colleagues_client_is_named_and_not_merged(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, iryna = await browsers("ivan"), desk.busy.contacts[IRYNA]
    number = "+380679990022"
    olenas = await make(browsers, "Somebody", phones=number, responsible_id=str(desk.office.id("olena")))
    linked = await ivan.post(f"/contacts/{iryna}/numbers", data={"number": number, "anyway": "1"})
    assert linked.status_code == 303, linked.text
    page = (await ivan.get(f"/contacts/{iryna}/merge")).text
    assert "client of Olena Hryhorenko" in page
    assert "Somebody" not in page
    assert (await ivan.get(f"/contacts/{iryna}/merge?contact_id={olenas}")).status_code == 404
    assert (await ivan.post(f"/contacts/{iryna}/merge", data={"into": str(olenas)})).status_code in {404, 422}
