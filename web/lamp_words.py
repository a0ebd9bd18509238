"""The texts of a lamp: its client, and how its time was counted, in the reader's language and time zone."""

from pbxcrm.checkpoints.counting import counted, waits
from pbxcrm.checkpoints.models import Checkpoint, Lamp
from pbxcrm.deals.models import Stage
from pbxcrm.reports.lamp_rows import LampRow
from pbxcrm.shared.numbers import format_for_people
from web import words
from web.i18n import gettext as _


def client(row: LampRow) -> str:
    """The client of the lamp: the name, else the number, else that the number is withheld."""
    if row.contact is not None and row.contact.name:
        return row.contact.name
    if row.number:
        return format_for_people(row.number)
    return _("Number withheld") if row.deal is None or row.episode is not None else words.deal_title(row.deal)


def explained(lamp: Lamp, checkpoint: Checkpoint | None, stage: Stage | None) -> list[str]:
    """Why the lamp burns and how its time was counted, or when an armed one will light: what every "why?" of a lamp says."""
    if lamp.lit_at is None:
        return words.because(waits(lamp, checkpoint, stage.name if stage is not None else "").stored())
    return words.because(lamp.reason) + arithmetic(lamp, stage)


def arithmetic(lamp: Lamp, stage: Stage | None) -> list[str]:
    """``Since Mon 2 Nov 17:40 in “Proposal sent” without work; norm 8 h of working time; Mon 2 Nov 17:40–18:00, Tue 3 Nov 9:00–13:00; lit …``

    Empty for a lamp that has not lit, or that lit before the counted time was stored with it.
    """
    found = counted(lamp, stage.name if stage is not None else "")
    return words.because(found.stored()) if found is not None else []
