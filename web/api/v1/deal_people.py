"""The people of a deal besides its client, and its watchers."""

from typing import Annotated

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.deals.models import DealPerson
from pbxcrm.deals.people_actions import add_person, remove_person, restore_person, set_role
from pbxcrm.deals.people_queries import access_person, people_of, watchers_of
from pbxcrm.deals.queries import access_deal
from pbxcrm.deals.watcher_actions import unwatch, watch
from pbxcrm.people.directory import load_directory
from pbxcrm.people.queries import get_user_by_login
from pbxcrm.shared.errors import NotFound
from web.api.fields import ApiAnswer, ApiRequest, Id, Login, ShortListQuery, optional_text
from web.api.people import user_id_of
from web.api.resource import Ask, Page, Resource

deal_people = Resource("deal-people", "Who has to do with a deal besides its client, and who watches it.")


class PersonOut(ApiAnswer):
    """Somebody on a deal. Whoever sees the deal may read them at `GET /contacts/{contact_id}`."""

    id: int
    deal_id: int
    contact_id: int
    role: str = Field(description="In the words of the office.")
    version: int


class NewPerson(ApiRequest):
    """A client that is put on the deal."""

    contact_id: Id
    role: Annotated[str, optional_text(DealPerson.role)] = ""


class PersonChange(ApiRequest):
    """Another role."""

    role: Annotated[str, optional_text(DealPerson.role)]


class WatcherOut(ApiAnswer):
    """Somebody who is told of the moves and notes of a deal."""

    deal_id: int
    login: str


class NewWatcher(ApiRequest):
    """Who shall watch the deal; left out: the person of the token."""

    login: Login | None = None


@deal_people.get("/deals/{deal_id}/people", needs=Permission.DEALS_READ, summary="The people of a deal")
async def read_people_of_deal(ask: Ask, deal_id: int, query: ShortListQuery) -> Page[PersonOut]:
    """In the order in which they were added."""
    deal = await access_deal(ask.session, ask.viewer, deal_id)
    rows = [_person(each.person) for each in await people_of(ask.session, deal)]
    return Page[PersonOut].part_of(rows, query)


@deal_people.get(
    "/deals/{deal_id}/people/{person_id}", needs=Permission.DEALS_READ, summary="One of the people of a deal"
)
async def read_person_of_deal(ask: Ask, deal_id: int, person_id: int) -> PersonOut:
    return _person(await access_person(ask.session, ask.viewer, deal_id, person_id))


@deal_people.post(
    "/deals/{deal_id}/people",
    needs=Permission.DEALS_EDIT,
    summary="Put somebody on a deal",
    location=lambda person: f"/deals/{person.deal_id}/people/{person.id}",
)
async def add_person_of_deal(ask: Ask, deal_id: int, body: NewPerson) -> PersonOut:
    """From now on whoever sees the deal sees this client."""
    return _person(await add_person(ask.session, ask.viewer, deal_id, body.contact_id, body.role, ask.now))


@deal_people.patch(
    "/deals/{deal_id}/people/{person_id}", needs=Permission.DEALS_EDIT, summary="Change the role of a person on a deal"
)
async def change_person_of_deal(ask: Ask, deal_id: int, person_id: int, body: PersonChange) -> PersonOut:
    return _person(await set_role(ask.session, ask.viewer, deal_id, person_id, body.role, ask.now))


@deal_people.delete(
    "/deals/{deal_id}/people/{person_id}", needs=Permission.DEALS_EDIT, summary="Take somebody off a deal"
)
async def remove_person_of_deal(ask: Ask, deal_id: int, person_id: int) -> None:
    """They can be put back."""
    await remove_person(ask.session, ask.viewer, deal_id, person_id, ask.now)


@deal_people.post(
    "/deals/{deal_id}/people/{person_id}/restore",
    needs=Permission.DEALS_EDIT,
    summary="Put somebody back on a deal",
    status=200,
)
async def restore_person_of_deal(ask: Ask, deal_id: int, person_id: int) -> PersonOut:
    return _person(await restore_person(ask.session, ask.viewer, deal_id, person_id, ask.now))


@deal_people.get("/deals/{deal_id}/watchers", needs=Permission.DEALS_READ, summary="Who watches a deal")
async def read_watchers(ask: Ask, deal_id: int, query: ShortListQuery) -> Page[WatcherOut]:
    deal = await access_deal(ask.session, ask.viewer, deal_id)
    users = await watchers_of(ask.session, deal.id or 0, await load_directory(ask.session))
    return Page[WatcherOut].part_of([WatcherOut(deal_id=deal.id or 0, login=user.login) for user in users], query)


@deal_people.post("/deals/{deal_id}/watchers", needs=Permission.DEALS_READ, summary="Watch a deal", status=200)
async def add_watcher(ask: Ask, deal_id: int, body: NewWatcher) -> WatcherOut:
    """Everybody may watch what they see. Only whoever may change the deal lets others watch it. 422 for somebody who does not see it."""
    user_id = await user_id_of(ask.session, body.login, "login") if body.login is not None else ask.viewer.user_id
    await watch(ask.session, ask.viewer, deal_id, user_id or 0, ask.now)
    return WatcherOut(deal_id=deal_id, login=body.login or ask.viewer.login)


@deal_people.delete("/deals/{deal_id}/watchers", needs=Permission.DEALS_READ, summary="Stop watching a deal")
async def stop_watching(ask: Ask, deal_id: int) -> None:
    """Oneself."""
    await unwatch(ask.session, ask.viewer, deal_id, ask.viewer.user_id, ask.now)


@deal_people.delete(
    "/deals/{deal_id}/watchers/{login}", needs=Permission.DEALS_EDIT, summary="Let somebody no longer watch a deal"
)
async def remove_watcher(ask: Ask, deal_id: int, login: str) -> None:
    """404 for somebody who does not watch it."""
    user = await get_user_by_login(ask.session, login)
    if user is None or not await unwatch(ask.session, ask.viewer, deal_id, user.id or 0, ask.now):
        raise NotFound("deals.no_watcher", "Nobody of this name watches the deal.")


def _person(row: DealPerson) -> PersonOut:
    return PersonOut(id=row.id or 0, deal_id=row.deal_id, contact_id=row.contact_id, role=row.role, version=row.version)
