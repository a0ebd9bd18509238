"""One's own calendar feed (iCalendar): a secret address for calendar programs."""

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.tasks.calendar_feeds import end_feed, get_feed, make_feed
from web.api.fields import ApiAnswer, Moment
from web.api.resource import Ask, Resource

feed = Resource("feed", "Your own calendar feed: your open tasks at a secret address, for calendar programs.")


class FeedOut(ApiAnswer):
    """A calendar feed, without its secret address."""

    created_at: Moment | None = Field(description="null: you have none.")


class NewFeedOut(ApiAnswer):
    """A new calendar feed with its address, which is told only once."""

    path: str = Field(
        description="The secret address on this server: `/feeds/….ics`. Whoever knows it reads your tasks."
    )
    created_at: Moment


@feed.get("/feed", needs=Permission.OWN_PROFILE, summary="Whether you have a calendar feed")
async def read_feed(ask: Ask) -> FeedOut:
    """The address itself is told only once, when it is made."""
    found = await get_feed(ask.session, ask.viewer.user_id)
    return FeedOut(created_at=found.created_at if found is not None else None)


@feed.post("/feed", needs=Permission.OWN_PROFILE, summary="Make a calendar feed")
async def post_feed(ask: Ask) -> NewFeedOut:
    """An address that you had before stops working."""
    secret = await make_feed(ask.session, ask.viewer, now=ask.now)
    return NewFeedOut(path=f"/feeds/{secret}.ics", created_at=ask.now)


@feed.delete("/feed", needs=Permission.OWN_PROFILE, summary="Revoke the calendar feed")
async def delete_feed(ask: Ask) -> None:
    """Its address stops working at once. It is no error if you have none."""
    await end_feed(ask.session, ask.viewer, now=ask.now)
