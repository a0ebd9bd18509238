"""What one may ask a list of missed-call episodes for."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_
from sqlmodel import col, select

from pbxcrm.callbacks.models import Episode
from pbxcrm.contacts.matching import named
from pbxcrm.people.models import User
from pbxcrm.shared.text_match import digits_of


@dataclass(frozen=True, slots=True)
class EpisodeFilter:
    """``owner`` and ``claimed_by`` are logins; ``since``/``until`` (exclusive) bound the first miss; ``text`` is a part
    of the number or of the client's name.
    """

    status: str = ""
    owner: str = ""
    claimed_by: str = ""
    client_number: str = ""
    contact_id: int | None = None
    deal_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """For the WHERE clause of callbacks."""
        found: list[ColumnElement[bool]] = []
        for column, value in (
            (Episode.status, self.status or None),
            (Episode.client_number, self.client_number or None),
            (Episode.contact_id, self.contact_id),
            (Episode.deal_id, self.deal_id),
        ):
            if value is not None:
                found.append(col(column) == value)
        for person, login in ((Episode.owner_id, self.owner), (Episode.claimed_by_id, self.claimed_by)):
            if login:
                found.append(col(person).in_(select(User.id).where(User.login == login.lower())))
        if self.since is not None:
            found.append(col(Episode.first_missed_at) >= self.since)
        if self.until is not None:
            found.append(col(Episode.first_missed_at) < self.until)
        text = self.text.strip()
        if text:
            fits: list[ColumnElement[bool]] = [col(Episode.contact_id).in_(named(text))]
            if digits := digits_of(text):
                fits.append(col(Episode.client_number).contains(digits, autoescape=True))
            found.append(or_(*fits))
        return found
