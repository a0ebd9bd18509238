"""The state of a PBX in plain words, with what to do: for the status page and the first steps."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pbxcrm.pbx.models import PbxStatus
from pbxcrm.pbx.report_sentences import REPORTS
from pbxcrm.pbx.state import PbxState
from pbxcrm.upkeep.health import STALE_SECONDS
from web import formats
from web.i18n import N_
from web.i18n import gettext as _

Tone = Literal["green", "amber", "red"]
LAG_SECONDS = 2.0

STATES: dict[str, tuple[str, Tone]] = {
    PbxState.STARTING: (N_("starting"), "amber"),
    PbxState.CONNECTING: (N_("connecting"), "amber"),
    PbxState.SYNCING: (N_("comparing"), "amber"),
    PbxState.LISTENING: (N_("listening"), "green"),
    PbxState.STANDBY: (N_("in reserve"), "green"),
    PbxState.REFUSED: (N_("refused"), "red"),
    PbxState.UNREACHABLE: (N_("not reachable"), "red"),
    PbxState.SILENT: (N_("silent"), "red"),
    PbxState.TROUBLE: (N_("in trouble"), "red"),
}


@dataclass(frozen=True, slots=True)
class StatusFinding:
    """The result of one check. ``word`` is the state, ``text`` what it means and what to do; both are translated. ``href``: the page
    that says more.
    """

    name: str
    tone: Tone
    word: str
    text: str
    href: str = ""


def pbx_finding(row: PbxStatus, at: datetime) -> StatusFinding:
    """The state of one PBX at ``at``, with what to do."""
    word, tone = STATES.get(row.state, (row.state, "red"))
    sentence = _said(row)
    age = (at - row.reported_at).total_seconds() if row.reported_at else None
    if age is None:
        text = _(
            "It is in the settings, but no listener has spoken of it yet. Start one: pbxcrm run, or pbxcrm listen."
        )
        return StatusFinding(row.pbx, "red", _("no listener"), text)
    if age > STALE_SECONDS:
        text = _("Its listener has said nothing for {time}. Start it: pbxcrm listen, or pbxcrm run.").format(
            time=formats.span(age)
        )
        return StatusFinding(row.pbx, "red", _("no listener"), text)
    if tone == "green" and row.lag_seconds is not None and row.lag_seconds > LAG_SECONDS:
        text = _("Events reach the database {seconds} s late: the database or this machine is too slow.").format(
            seconds=round(row.lag_seconds, 1)
        )
        return StatusFinding(row.pbx, "amber", _("late"), text)
    return StatusFinding(row.pbx, tone, _(word), sentence)


def _number(value: object) -> object:
    """``8.5`` as the reader's language writes it; anything else as it is."""
    return formats.number(float(value)) if isinstance(value, str) and re.fullmatch(r"\d+\.\d+", value) else value


def _said(row: PbxStatus) -> str:
    message = REPORTS.get(row.code)
    if message is None:
        return row.code
    try:
        return _(message).format(
            **{name: _number(value) if name.endswith("seconds") else value for name, value in row.params.items()}
        )
    except (KeyError, IndexError):
        return _(message)
