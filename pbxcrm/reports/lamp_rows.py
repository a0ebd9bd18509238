"""Lamps with their deal or callback, client and people: for the escalations page, the API and the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.models import Checkpoint, Lamp
from pbxcrm.checkpoints.rules import entry_of
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.queries import load_funnel
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.shared.core_sql import load_by_id


@dataclass(frozen=True, slots=True)
class LampRow:
    """``since``: when the wait began, for later steps too. ``stage``: the stage of the deal when the lamp lit.

    ``heard``: the caller's name as the PBX heard it at the last missed call; empty without one.
    """

    lamp: Lamp
    since: datetime
    owner: User | None
    addressee: User | None
    deal: Deal | None
    episode: Episode | None
    contact: Contact | None
    stage: Stage | None
    checkpoint: Checkpoint | None = None
    heard: str = ""
    others: tuple["LampRow", ...] = ()  # what else has reached a manager for the same deal or callback

    @property
    def number(self) -> str | None:
        """The client's number to call."""
        if self.episode is not None:
            return self.episode.client_number
        return self.deal.client_number if self.deal is not None else None

    @property
    def contact_id(self) -> int | None:
        """The contact of the callback or deal; None for an unknown client."""
        about = self.episode or self.deal
        return about.contact_id if about is not None else None


async def load_lamp_rows(session: AsyncSession, lamps: Sequence[Lamp]) -> list[LampRow]:
    """Rows in the order of ``lamps``, with one query per table."""
    people, funnel = await load_directory(session), await load_funnel(session)
    episodes = await load_by_id(session, Episode, (lamp.callback_id for lamp in lamps))
    deals = await load_by_id(session, Deal, (lamp.deal_id for lamp in lamps))
    ids = {*(each.contact_id for each in episodes.values()), *(each.contact_id for each in deals.values())}
    contacts = await load_by_id(session, Contact, ids)
    checkpoints = await load_by_id(session, Checkpoint, {lamp.checkpoint_id for lamp in lamps})
    begun = await _begun(session, lamps)
    calls = await load_by_id(session, Call, (episode.last_call_id for episode in episodes.values()))
    found = []
    for lamp in lamps:
        episode, deal = episodes.get(lamp.callback_id), deals.get(lamp.deal_id)
        contact_id = episode.contact_id if episode is not None else deal.contact_id if deal is not None else None
        found.append(
            LampRow(
                lamp,
                episode.first_missed_at if episode is not None else begun.get(_clock(lamp), lamp.entered_at),
                people.users.get(lamp.owner_id or 0),
                people.users.get(lamp.addressee_id or 0),
                deal,
                episode,
                contacts.get(contact_id),
                funnel.stages.get(lamp.stage_id),
                checkpoints.get(lamp.checkpoint_id),
                heard=_heard(calls.get(episode.last_call_id) if episode is not None else None),
            )
        )
    return found


def _heard(call: Call | None) -> str:
    name = call.client_name if call is not None else None
    return name if call is not None and name and name != call.client_number else ""


def _clock(lamp: Lamp) -> tuple[int, str]:
    return lamp.checkpoint_id, entry_of(lamp)


async def _begun(session: AsyncSession, lamps: Sequence[Lamp]) -> dict[tuple[int, str], datetime]:
    """When the wait of each lamp of a later step began: it stands in the lamp of the first step."""
    later = [lamp.deal_id for lamp in lamps if lamp.step and lamp.deal_id is not None]
    if not later:
        return {}
    first = await session.exec(select(Lamp).where(col(Lamp.deal_id).in_(later), Lamp.step == 0))
    return {_clock(lamp): lamp.entered_at for lamp in first.all()}
