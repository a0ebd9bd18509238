"""One's own calendar feed (iCalendar): a secret address for calendar programs."""

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.shared.errors import NotFound
from pbxcrm.tasks.calendar_feeds import end_feed, get_feed, make_feed
from web.api.fields import ApiAnswer, Moment
from web.api.resource import Ask, Resource

feed = Resource("feed", "Your own calendar feed: your open tasks at a secret address, for calendar programs.")


class FeedOut(ApiAnswer):
    """A calendar feed, without its secret address."""

    created_at: Moment


class NewFeedOut(ApiAnswer):
    """A new calendar feed with its address, which is told only once."""

    path: str = Field(
        description="The secret address on this server: `/feeds/….ics`. Whoever knows it reads your tasks."
    )
    created_at: Moment


@feed.get("/feed", needs=Permission.OWN_PROFILE, summary="Whether you have a calendar feed")
async def read_feed(ask: Ask) -> FeedOut:
    """404 if you have none."""
    found = await get_feed(ask.session, ask.viewer.user_id)
    if found is None:
        raise NotFound("feeds.not_found", "You have no calendar feed. Make one.")
    return FeedOut(created_at=found.created_at)


@feed.post("/feed", needs=Permission.OWN_PROFILE, summary="Make a calendar feed")
async def post_feed(ask: Ask) -> NewFeedOut:
    """An address that you had before stops working."""
    secret = await make_feed(ask.session, ask.viewer, now=ask.now)
    return NewFeedOut(path=f"/feeds/{secret}.ics", created_at=ask.now)


@feed.delete("/feed", needs=Permission.OWN_PROFILE, summary="Revoke the calendar feed")
async def delete_feed(ask: Ask) -> None:
    """Its address stops working at once. It is no error if you have none."""
    await end_feed(ask.session, ask.viewer, now=ask.now)
