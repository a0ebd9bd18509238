"""What kinds of ``when`` and of steps are made of: each parameter is declared once, and the page, the checks and the API read it there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pbxcrm.people.whom import MANAGER, RESPONSIBLE
from pbxcrm.shared.reasons import N_


class ParamKind(StrEnum):
    """What a parameter holds: how a page asks for it, and how it is checked."""

    STAGE = "stage"  # an id
    OPEN_STAGE = "open_stage"  # an id of a stage in which deals are worked on
    PIPELINE = "pipeline"  # an id
    WEBHOOK = "webhook"  # the id of an outgoing webhook
    HOOK = "hook"  # the id of an incoming webhook
    FORM = "form"  # the id of a web form
    FIELDS = "fields"  # names of fields of a deal, and ``choices``
    FIELD = "field"  # the name of a field of a deal that can be set
    VALUE = "value"  # a value of the field that the parameter ``field`` names
    NUMBER = "number"  # a whole number from ``least`` to ``most``
    MINUTES = "minutes"  # working minutes
    DAYS = "days"  # a whole number of days or months, instead of minutes
    LINE = "line"  # a text in one line of up to ``most`` letters
    TEXT = "text"  # a text of up to ``most`` letters
    CHOICE = "choice"  # one of ``choices``
    WHOM = "whom"  # one of ``choices``, or ``user:LOGIN``
    DUE = "due"  # a deadline: 2h, tomorrow 10:00, or = and a formula that gives a date
    TAGS = "tags"  # a list of names
    TIME = "time"  # 09:30, by the clock of the office
    DATE_FIELD = "date_field"  # the name of a field of a deal that holds a date or a moment
    YEAR_DAY = "year_day"  # 25.12
    AMOUNT = "amount"  # money, as text
    PRODUCT = "product"  # an id
    LINE_TEMPLATE = "line_template"  # the id of a template of lines
    FORMULA = "formula"  # a number, or a formula over the fields of the deal
    INPUTS = "inputs"  # what a template of lines asks: texts by key
    DISCOUNT = "discount"  # ``5 %`` or an amount
    TEMPLATE = "template"  # the id of a template of messages
    CHECKLIST = "checklist"  # a list of texts, or of ``{text, required}``


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter. ``title``, ``hint`` and the words of ``choices`` (by code) are English, and pages translate them.

    ``has_formulas``: of texts and checklists: ``{= …}`` in them is a formula. ``default``: what is stored where nothing was entered; without one nothing is.
    """

    name: str
    title: str
    kind: ParamKind
    required: bool = False
    choices: Mapping[str, str] = field(default_factory=dict)
    least: int = 0
    most: int = 0
    default: Any = None
    hint: str = ""
    has_formulas: bool = False


#: In which pipeline a deal must be, for every rule that works on deals.
PIPELINE = Param("pipeline_id", N_("Pipeline"), ParamKind.PIPELINE, hint=N_("Only deals of this pipeline."))
#: The hint of texts with formulas.
FORMULAS = N_("{= amount / 2} becomes half of the amount, {= client_name} the client.")
WORDS_OF_WHOM: Mapping[str, str] = {
    RESPONSIBLE: N_("The responsible person"),
    MANAGER: N_("Their manager"),
}
