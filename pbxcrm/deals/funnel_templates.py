"""Templates of pipelines for usual ways of selling: B2B with six key stages, leads that become deals, cold and repeat sales, a short
sale of six stages with its deviations, a complaint and a marketing event.

The names are English and translated when shown, until somebody renames them.
"""

from dataclasses import dataclass

from pbxcrm.deals.models import StageKind
from pbxcrm.shared.reasons import N_

DAY = 9 * 60  # working minutes


@dataclass(frozen=True, slots=True)
class StageTemplate:
    """``norm``: working minutes. ``is_key``: one side waits for the other (``Stage.waits_for_client``). ``is_extra``: quality control
    looks at these deals (``Stage.extra_control``).
    """

    name: str
    kind: StageKind = StageKind.OPEN
    probability: int = 0
    norm: int | None = None
    is_key: bool = False
    is_extra: bool = False
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class FunnelTemplate:
    """A template that an administrator can choose for a new pipeline. ``name`` and ``about`` are English; pages translate them."""

    name: str
    about: str  # one sentence that helps to choose
    stages: tuple[StageTemplate, ...]
    asks_why_lost: bool = False


_UNSORTED = StageTemplate(N_("Unsorted"), StageKind.UNSORTED, 5)
_DIDNT_REACH = StageTemplate(N_("Didn't reach"), StageKind.DIDNT_REACH, 5, 2 * 60, is_key=True)
_LOST = StageTemplate(N_("Lost"), StageKind.LOST)

TEMPLATES: dict[str, FunnelTemplate] = {
    "b2b": FunnelTemplate(
        N_("New business"),
        N_("From the request to the delivered goods, with its six key stages."),
        (
            StageTemplate(N_("New request"), StageKind.OPEN, 10, 60, is_key=True),
            _UNSORTED,
            StageTemplate(N_("Didn't reach"), StageKind.DIDNT_REACH, 5, None, is_key=True),
            StageTemplate(N_("Call held"), StageKind.OPEN, 20, 2 * DAY),
            StageTemplate(N_("Proposal sent"), StageKind.OPEN, 40, 3 * DAY, is_key=True),
            StageTemplate(N_("Invoice issued"), StageKind.OPEN, 60, 5 * DAY, is_key=True),
            StageTemplate(N_("Invoice agreed"), StageKind.OPEN, 75, 3 * DAY, is_key=True),
            StageTemplate(N_("Prepayment received"), StageKind.OPEN, 90, 5 * DAY),
            StageTemplate(N_("Shipped"), StageKind.OPEN, 95, 5 * DAY, is_key=True),
            StageTemplate(N_("Received"), StageKind.WON, 100),
            _LOST,
        ),
    ),
    "leads": FunnelTemplate(
        N_("Leads"),
        N_("Requests are sorted out here; who qualifies goes on as a deal."),
        (
            StageTemplate(N_("New lead"), StageKind.OPEN, 5, 60, is_key=True),
            _UNSORTED,
            _DIDNT_REACH,
            StageTemplate(N_("Contacted"), StageKind.OPEN, 15, DAY),
            StageTemplate(N_("Needs found out"), StageKind.OPEN, 30, 2 * DAY),
            StageTemplate(N_("Qualified"), StageKind.WON, 100),
            StageTemplate(N_("Not qualified"), StageKind.LOST),
        ),
    ),
    "cold": FunnelTemplate(
        N_("Cold sales"),
        N_("From a company nobody has talked to yet, through a meeting with a sample, to the first delivery."),
        (
            StageTemplate(N_("Company found"), StageKind.OPEN, 2, 2 * DAY),
            _UNSORTED,
            _DIDNT_REACH,
            StageTemplate(N_("Decision maker reached"), StageKind.OPEN, 10, 2 * DAY),
            StageTemplate(N_("Meeting agreed"), StageKind.OPEN, 20, 5 * DAY, is_key=True),
            StageTemplate(
                N_("Meeting held"),
                StageKind.OPEN,
                40,
                2 * DAY,
                is_key=True,
                instruction=N_("Hand over the sample and take a photo of it. Note who decides, and by when."),
            ),
            StageTemplate(N_("Proposal sent"), StageKind.OPEN, 60, 3 * DAY, is_key=True),
            StageTemplate(N_("First order"), StageKind.OPEN, 80, 5 * DAY),
            StageTemplate(N_("Delivered"), StageKind.WON, 100),
            _LOST,
        ),
        asks_why_lost=True,
    ),
    "repeat": FunnelTemplate(
        N_("Repeat sales"),
        N_("For clients who have bought: the next order in their own rhythm."),
        (
            StageTemplate(N_("Next order expected"), StageKind.OPEN, 40, 20 * DAY),
            _UNSORTED,
            _DIDNT_REACH,
            StageTemplate(N_("Client asked"), StageKind.OPEN, 55, 2 * DAY, is_key=True),
            StageTemplate(N_("Order agreed"), StageKind.OPEN, 80, 3 * DAY, is_key=True),
            StageTemplate(N_("Shipped"), StageKind.OPEN, 95, 5 * DAY),
            StageTemplate(N_("Delivered again"), StageKind.WON, 100),
            StageTemplate(N_("Client lost"), StageKind.LOST),
        ),
        asks_why_lost=True,
    ),
    "six": FunnelTemplate(
        N_("Short sale"),
        N_("Six steps from the presentation to the follow-up, with the ways off the path."),
        (
            StageTemplate(N_("Presentation"), StageKind.OPEN, 15, 2 * DAY),
            _UNSORTED,
            _DIDNT_REACH,
            StageTemplate(N_("Presentation refused"), StageKind.OPEN, 5, DAY, is_extra=True),
            StageTemplate(N_("Proposal"), StageKind.OPEN, 35, 3 * DAY, is_key=True),
            StageTemplate(N_("Proposal changed"), StageKind.OPEN, 40, 2 * DAY, is_key=True),
            StageTemplate(N_("Contract"), StageKind.OPEN, 60, 5 * DAY, is_key=True),
            StageTemplate(N_("Payment"), StageKind.OPEN, 75, 5 * DAY, is_key=True),
            StageTemplate(N_("Payment in parts"), StageKind.OPEN, 80, 10 * DAY, is_key=True),
            StageTemplate(N_("Carried out"), StageKind.OPEN, 90, 10 * DAY),
            StageTemplate(N_("Client dissatisfied"), StageKind.OPEN, 50, DAY, is_key=True, is_extra=True),
            StageTemplate(N_("Closed with a follow-up"), StageKind.WON, 100),
            _LOST,
        ),
        asks_why_lost=True,
    ),
    "complaint": FunnelTemplate(
        N_("Complaints"),
        N_("A complaint is taken, looked into, answered and put right."),
        (
            StageTemplate(N_("Complaint received"), StageKind.OPEN, 10, 60, is_key=True),
            _UNSORTED,
            _DIDNT_REACH,
            StageTemplate(N_("Looked into"), StageKind.OPEN, 40, DAY, is_key=True),
            StageTemplate(N_("Answer agreed with the client"), StageKind.OPEN, 70, DAY, is_key=True),
            StageTemplate(N_("Put right"), StageKind.OPEN, 90, 3 * DAY),
            StageTemplate(N_("Client satisfied"), StageKind.WON, 100),
            StageTemplate(N_("Not settled"), StageKind.LOST),
        ),
        asks_why_lost=True,
    ),
    "event": FunnelTemplate(
        N_("Marketing event"),
        N_("Who is invited, who comes, and who is asked afterwards."),
        (
            StageTemplate(N_("To be invited"), StageKind.OPEN, 5, 3 * DAY),
            _UNSORTED,
            _DIDNT_REACH,
            StageTemplate(N_("Invited"), StageKind.OPEN, 20, 3 * DAY, is_key=True),
            StageTemplate(N_("Will come"), StageKind.OPEN, 50, None),
            StageTemplate(N_("Was there"), StageKind.OPEN, 70, 2 * DAY, is_key=True),
            StageTemplate(N_("Interested"), StageKind.WON, 100),
            StageTemplate(N_("Did not come"), StageKind.LOST),
        ),
    ),
}
