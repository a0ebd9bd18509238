"""Takes a client who is erased out of requests: that one came, when, by which form and what became of it stays."""

from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import do_forget_details
from pbxcrm.contacts.hooks import Erasing
from pbxcrm.forms.audience import say_request_changed
from pbxcrm.forms.models import FormRequest
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.locking import lock_rows


async def erase_from_requests(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``. The sender's key and the hash of the content go too: the same words would lead to them."""
    held, people = erasing.held, await load_directory(session)
    for request in await lock_rows(session, FormRequest, one_of(session, col(FormRequest.id), held.requests)):
        await say_request_changed(session, request, erasing.at, people)
        request.name = request.email = request.subject = request.text = ""
        request.page = request.referrer = request.message_id = request.content_hash = request.address_hash = ""
        request.number = request.contact_id = None
        request.answers, request.files, request.utm, request.fault = [], [], {}, {}
        request.dedup_key, request.reason = f"erased:{request.id}", dict(erasing.why)
    await do_forget_details(session, "request", held.requests)
