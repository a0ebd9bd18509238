"""Who is on the other side of a call, as far as we know them."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.actions import read_open_episodes
from pbxcrm.callbacks.rules import client_keys
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.contacts.models import Contact, NumberKind
from pbxcrm.contacts.queries import Numbers
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import open_deal_of_client, open_deals_of_numbers


@dataclass(frozen=True, slots=True)
class Client:
    """``contact`` is set where there is no doubt: one contact has the number, or of several somebody chose one at the last
    call, or the open deal names one.
    """

    number: str | None
    special: NumberKind | None
    contacts: tuple[Contact, ...]
    contact: Contact | None
    deal: Deal | None

    @property
    def contact_ids(self) -> list[int]:
        return [contact.id for contact in self.contacts if contact.id is not None]


READ_BEFORE = "open_deals"  # of a session: what ``read_clients`` read, by number


async def read_clients(session: AsyncSession, numbers: Numbers, asked: Collection[str]) -> None:
    """Read at once what the first call of each unknown client in a batch is decided by: their open deal and callbacks.

    Each is used once: what the batch itself does to a client is read anew. The clients must be locked.
    """
    unknown = [number for number in asked if number not in numbers.contacts]
    session.info[READ_BEFORE] = await open_deals_of_numbers(session, unknown)
    await read_open_episodes(session, [key for number in unknown for key in client_keys(number, [], "")])


async def identify(session: AsyncSession, number: str | None, numbers: Numbers) -> Client:
    """Whose ``number`` it is, as ``numbers`` knows it, and which of their deals is open now."""
    contacts = numbers.contacts.get(number or "", [])
    read_before: dict[str, Deal | None] = session.info.get(READ_BEFORE, {})
    if not contacts and number in read_before:
        deal = read_before.pop(number)
    else:
        deal = await open_deal_of_client(session, number, [c.id for c in contacts if c.id is not None])
    contact = contacts[0] if len(contacts) == 1 else None
    if contact is None and contacts:  # what somebody chose beats what the deal lets one guess
        contact = await _chosen_before(session, number, contacts)
    if contact is None and deal is not None:
        contact = next((c for c in contacts if c.id == deal.contact_id), None)
    return Client(number, numbers.special.get(number or ""), tuple(contacts), contact, deal)


async def _chosen_before(session: AsyncSession, number: str | None, contacts: list[Contact]) -> Contact | None:
    """Of several clients with this number the one somebody chose at the last call."""
    ids = [contact.id for contact in contacts]
    found = await session.exec(
        select(Call.contact_id)
        .where(Call.client_number == number, col(Call.contact_id).in_(ids))
        .order_by(col(Call.started_at).desc())
        .limit(1)
    )
    chosen = found.first()
    return next((contact for contact in contacts if contact.id == chosen), None)


async def last_talked(session: AsyncSession, client: Client) -> int | None:
    """The user who talked to the client last; None where nobody did."""
    if client.number is None:
        return None
    await session.flush()  # who talked a moment ago, in the same batch
    same = col(Call.client_number) == client.number
    if client.contact_ids:
        same = same | col(Call.contact_id).in_(client.contact_ids)
    found = await session.exec(
        select(CallLeg.user_id)
        .join(Call, col(Call.id) == col(CallLeg.call_id))
        .where(same, col(CallLeg.answered_at).is_not(None), col(CallLeg.user_id).is_not(None))
        .order_by(col(CallLeg.answered_at).desc())
        .limit(1)
    )
    return found.first()


async def talk_after(session: AsyncSession, client: Client, missed: Call) -> Call | None:
    """A conversation with the client that went on, or began, after ``missed`` was over; None where there is none."""
    if client.number is None or missed.ended_at is None:
        return None
    await session.flush()
    same = col(Call.client_number) == client.number
    if client.contact_ids:
        same = same | col(Call.contact_id).in_(client.contact_ids)
    found = await session.exec(
        select(Call)
        .where(
            same,
            col(Call.id) != missed.id,
            col(Call.answered_at).is_not(None),
            col(Call.merged_into_id).is_(None),
            or_(col(Call.ended_at).is_(None), col(Call.ended_at) > missed.ended_at),
        )
        .order_by(col(Call.answered_at).desc())
        .limit(1)
    )
    return found.first()
