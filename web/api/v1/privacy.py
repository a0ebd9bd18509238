"""Personal data of a client: taken out, and erased on request."""

from datetime import UTC
from typing import Any

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.privacy.erase_actions import erase_client
from pbxcrm.privacy.export_queries import export_client
from web.api.fields import ApiAnswer, ApiRequest, Moment, Word
from web.api.resource import Ask, Resource
from web.recordings import folder_of

privacy = Resource("privacy", "All that is kept about a client: taken out, and erased.")


class PersonalDataOut(ApiAnswer):
    """What the asker sees about a client (an administrator: everything that is kept), by section: `client`, `phones`, `emails`, `consents`, `deals`, `calls`, `callbacks`, `tasks`, `notes`,
    `requests`, `files`.
    """

    contact_id: int
    at: Moment
    is_complete: bool = Field(description="Everything that is kept; false: only what the asker sees.")
    sections: dict[str, list[dict[str, Any]]]


class ToErase(ApiRequest):
    """The confirmation."""

    confirm: Word = Field(description="The client's name; without one their first number, without one `erase`.")


class ErasedOut(ApiAnswer):
    """What was erased."""

    calls: int
    notes: int
    recordings: int
    kept_recordings: list[str] = Field(description="Files that the disk refused to delete.")


@privacy.post(
    "/contacts/{contact_id}/personal-data",
    needs=Permission.PERSONAL_DATA_EXPORT,
    summary="Take out all that is kept about a client",
    status=200,
)
async def take_out(ask: Ask, contact_id: int) -> PersonalDataOut:
    """A POST, because the audit log keeps who took it out."""
    found = await export_client(ask.session, ask.viewer, contact_id, now=ask.now)
    return PersonalDataOut(
        contact_id=found.contact_id, at=found.at.astimezone(UTC), is_complete=found.is_complete, sections=found.sections
    )


@privacy.post(
    "/contacts/{contact_id}/erase",
    needs=Permission.PERSONAL_DATA_ERASE,
    summary="Erase a client for ever",
    conflicts=True,
    status=200,
)
async def erase(ask: Ask, contact_id: int, body: ToErase) -> ErasedOut:
    """It cannot be undone. Calls, deals and tasks stay without the person. 409 while a deal, a task or a callback is open."""
    done = await erase_client(
        ask.session, ask.viewer, contact_id, body.confirm, lambda pbx: folder_of(ask.settings, pbx), now=ask.now
    )
    return ErasedOut(
        calls=done.calls, notes=done.notes, recordings=done.recordings, kept_recordings=done.kept_recordings
    )
