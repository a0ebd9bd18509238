"""The texts of a lamp: its client, and how its time was counted, in the reader's language and time zone."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from babel.dates import format_date

from pbxcrm.checkpoints.models import Lamp
from pbxcrm.deals.models import Stage
from pbxcrm.reports.lamp_rows import LampRow
from pbxcrm.shared.numbers import format_for_people
from web import words
from web.formats import NBSP, local, span
from web.i18n import gettext as _
from web.i18n import here


def client(row: LampRow) -> str:
    """The client of the lamp: the name, else the number, else that the number is withheld."""
    if row.contact is not None and row.contact.name:
        return row.contact.name
    if row.number:
        return format_for_people(row.number)
    return _("Number withheld") if row.deal is None or row.episode is not None else words.deal_title(row.deal)


def arithmetic(lamp: Lamp, stage: Stage | None) -> list[str]:
    """``Entered “Proposal sent” Mon 2 Nov 17:40; norm 8 h of working time; Mon 17:40–18:00, Tue 9:00–13:00, 14:00–17:40; lit Tue 17:40.``

    Empty for a lamp that has not lit, or that lit before the counted time was stored with it.
    """
    if lamp.lit_at is None or not lamp.worked:
        return []
    facts = {
        "entered": _local_time(lamp.entered_at),
        "norm": span(lamp.minutes * 60) if lamp.minutes else _("no time at all"),
        "pieces": ", ".join(_pieces(lamp.worked)),
        "lit": _local_time(lamp.lit_at),
        "stage": words.stage(stage),
    }
    if lamp.step:
        said = _("The lamp before lit {entered}; {norm} of working time after it; {pieces}; lit {lit}.")
    elif stage is not None:
        said = _("Since {entered} in “{stage}” without work; norm {norm} of working time; {pieces}; lit {lit}.")
    else:
        said = _("Since {entered}; norm {norm} of working time; {pieces}; lit {lit}.")
    return [said.format(**facts)]


def _pieces(worked: Sequence[Sequence[str]]) -> Iterator[str]:
    """Each span of working time as text. The weekday is written only where it changes."""
    day = None
    for stretch in worked:
        if not stretch:
            yield "…"
            continue
        begins, ends = (local(datetime.fromisoformat(moment)) for moment in stretch)
        named = f"{_day(begins)}{NBSP}" if begins.date() != day else ""
        day = begins.date()
        yield f"{named}{begins:%H:%M}–{ends:%H:%M}"


def _local_time(moment: datetime) -> str:
    then = local(moment)
    return f"{_day(then)}{NBSP}{then:%H:%M}"


def _day(then: datetime) -> str:
    return format_date(then, "EEE d MMM", locale=here().locale).replace(" ", NBSP)
