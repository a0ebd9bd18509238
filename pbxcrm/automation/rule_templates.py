"""Rules that work after one click, each a scenario. Each is made for the default pipeline and may be changed like any rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pbxcrm.automation.rule_checks import RuleDraft
from pbxcrm.automation.steps.assign_step import EXPERIENCED
from pbxcrm.deals.fields import EVENT, INVOICE, PROPOSAL, DealField
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.deals.queries import Funnel
from pbxcrm.money.line_drafts import SameProduct
from pbxcrm.money.models import LineTemplate
from pbxcrm.people.whom import MANAGER, RESPONSIBLE
from pbxcrm.shared.reasons import N_

PER_DAY = 10  # how many past clients are to be called on a day
BIG = "50000"  # an amount from which a deal is a big one, to be changed by whoever knows better
Say = Callable[[str], str]


class TemplateScope(NamedTuple):
    """Where a rule is made. ``say`` translates into the language of the company."""

    funnel: Funnel
    pipeline_id: int | None
    say: Say
    line_templates: Sequence[LineTemplate] = ()

    def stages_of_work(self) -> list[Stage]:
        """The stages of the pipeline in which deals are worked on, in their order."""
        return [stage for stage in self.funnel.stages_of(self.pipeline_id) if stage.kind == StageKind.OPEN]

    def first(self, kind: StageKind) -> Stage | None:
        """The first stage of this kind."""
        return self.funnel.stage_of_kind(self.pipeline_id, kind)


@dataclass(frozen=True, slots=True)
class RuleTemplate:
    """A scenario. ``name`` and ``about`` are English, and pages translate them. ``make``: the rule, None where its stages are missing;
    a message comes after its steps.
    """

    code: str
    name: str
    about: str
    make: Callable[[TemplateScope], RuleDraft | None]
    sample: str = ""  # the message that its step sends, one of ``messages.samples``; it is added with the rule
    has_lines: bool = False  # it adds a template of lines, and promises their sum


def _task(say: Say, title: str, due: str, assignee: str = RESPONSIBLE, *checklist: str) -> dict[str, Any]:
    """A step that makes a task."""
    found = {"kind": "task", "title": say(title), "assignee": assignee, "due": due}
    return found | ({"checklist": [say(each) for each in checklist]} if checklist else {})


def _rule(when: Mapping[str, Any], *steps: dict[str, Any], **more: Any) -> RuleDraft:
    return RuleDraft(name="", owner_id=0, when=when, steps=list(steps), **more)


def _enters(place: TemplateScope, kind: StageKind) -> dict[str, Any] | None:
    stage = place.first(kind)
    return {"kind": "stage_entered", "stage_id": stage.id} if stage is not None else None


def _talked(seconds: int = 30) -> dict[str, Any]:
    return {"field": "call.talk_seconds", "op": ">=", "value": str(seconds)}


_IS_OPEN = {"all": [{"field": "status", "op": "has", "value": "open"}]}
_IN_WORK = {"all": [{"field": "stage_kind", "op": "has", "value": "open"}]}


def _not_reached(place: TemplateScope) -> RuleDraft:
    return _rule({"kind": "not_reached", "attempt": 1}, _task(place.say, N_("Call again: nobody answered"), "2h"))


def _request(place: TemplateScope) -> RuleDraft:
    return _rule({"kind": "request"}, _task(place.say, N_("Answer the request"), "15min"))


def _known_client(place: TemplateScope) -> RuleDraft:
    return _rule(
        {"kind": "request"},
        _task(place.say, N_("Your client has written: answer them"), "15min"),
        _task(place.say, N_("A known client has written through a form"), "2h", MANAGER),
        conditions={"all": [{"field": "event.client", "op": "in", "value": ["known", "bought"]}]},
    )


def _request_on_contact(place: TemplateScope) -> RuleDraft | None:
    first = place.first(StageKind.OPEN)
    if first is None:
        return None
    return _rule({"kind": "contact_created"}, {"kind": "deal", "stage_id": first.id, "carry": [RESPONSIBLE]})


def _new_client(place: TemplateScope) -> RuleDraft:
    fill = (N_("Where they know us from"), N_("What they do"), N_("Their birthday"))
    return _rule(
        {"kind": "contact_created"}, _task(place.say, N_("Fill in the card of the new client"), "1d", MANAGER, *fill)
    )


def _big_deal(place: TemplateScope) -> RuleDraft:
    return _rule(
        {"kind": "field_changed", "fields": ["amount"]},
        {"kind": "assign", "to": MANAGER},
        {"kind": "note", "text": place.say(N_("A big deal: it goes to the manager."))},
        conditions={
            "all": [{"field": "amount", "op": ">=", "value": BIG}, {"field": "status", "op": "has", "value": "open"}]
        },
    )


def _experienced(_place: TemplateScope) -> RuleDraft:
    return _rule(
        {"kind": "field_changed", "fields": ["amount"]},
        {"kind": "assign", "to": EXPERIENCED},
        conditions={
            "all": [{"field": "amount", "op": ">=", "value": BIG}, {"field": "status", "op": "has", "value": "open"}]
        },
    )


def _sum_reached(place: TemplateScope) -> RuleDraft | None:
    stages = place.stages_of_work()
    if not stages:
        return None
    when: dict[str, Any] = {"kind": "sum_reached", "amount": BIG, "pipeline_id": place.pipeline_id}
    return _rule(when, {"kind": "move", "stage_id": stages[-1].id})


def _next_steps(place: TemplateScope) -> RuleDraft | None:
    stages = place.stages_of_work()
    if not stages:
        return None
    hints = (N_("Ask what they need, and by when"), N_("Ask who decides"), N_("Agree on the next step, with its date"))
    return _rule(
        {"kind": "stage_entered", "stage_id": stages[0].id},
        _task(place.say, N_("What to do at this stage"), "1d", RESPONSIBLE, *hints),
    )


def _lost_why(place: TemplateScope) -> RuleDraft | None:
    when = _enters(place, StageKind.LOST)
    return None if when is None else _rule(when, _task(place.say, N_("Find out why we lost them"), "1d", MANAGER))


def _win_back(place: TemplateScope) -> RuleDraft | None:
    when = _enters(place, StageKind.LOST)
    return (
        None
        if when is None
        else _rule(
            when,
            {"kind": "wait", "months": 3, "per_day": PER_DAY},
            _task(place.say, N_("Ask again: a quarter has passed since they said no"), "1d"),
            conditions={"none": [{"field": "lost_reason", "op": "begins", "value": place.say(N_("Bought elsewhere"))}]},
            goal={"all": [_talked()]},
        )
    )


def _repeat_sale(place: TemplateScope) -> RuleDraft | None:
    when, first = _enters(place, StageKind.WON), place.first(StageKind.OPEN)
    if when is None or first is None:
        return None
    return _rule(
        when,
        {"kind": "wait", "working_days": 30},
        {"kind": "deal", "stage_id": first.id, "title": place.say(N_("Repeat sale")), "carry": [RESPONSIBLE]},
    )


def _past_client(place: TemplateScope) -> RuleDraft | None:
    when = _enters(place, StageKind.WON)
    return (
        None
        if when is None
        else _rule(
            when,
            {"kind": "wait", "months": 6, "per_day": PER_DAY},
            _task(place.say, N_("A past client: ask how they are and what they need"), "1d"),
            goal={"all": [_talked()]},
        )
    )


def _of_date(field: DealField, title: str, days: int, due: str = "2h") -> Callable[[TemplateScope], RuleDraft]:
    """A reminder so many days before a date of the deal."""

    def make(place: TemplateScope) -> RuleDraft:
        when = {"kind": "date", "field": field.key, "days": -days, "time": "09:00"}
        return _rule(
            when,
            _task(place.say, title, due),
            conditions=_IS_OPEN,
        )

    return make


def _next_date(place: TemplateScope) -> RuleDraft | None:
    when = _enters(place, StageKind.WON)
    step = {"kind": "field", "field": EVENT.key, "value": "= dateadd(now(), '365d')"}
    return None if when is None else _rule(when, step)


def _service(place: TemplateScope) -> RuleDraft:
    return _rule(
        {"kind": "date", "field": EVENT.key, "days": -14, "time": "09:00", "pipeline_id": place.pipeline_id},
        _task(place.say, N_("In two weeks: renew the contract, or agree on the service or the visit"), "1d"),
        conditions={"all": [{"field": "status", "op": "has", "value": "won"}]},
    )


def _silence(place: TemplateScope) -> RuleDraft:
    return _rule(
        {"kind": "silence", "days": 14}, _task(place.say, N_("Nothing has happened for two weeks: call them"), "1d")
    )


def known_lines(templates: Sequence[LineTemplate]) -> list[LineTemplate]:
    """Templates of lines whose values are all known beforehand."""
    return [each for each in templates if all(asked["value"] for asked in each.inputs)]


def _products(place: TemplateScope) -> RuleDraft | None:
    """The lines of the first template whose values are all known beforehand; without one it is still to be made."""
    stages = place.stages_of_work()
    if not stages:
        return None
    known = known_lines(place.line_templates)
    step = {"kind": "lines", "template_id": known[0].id if known else None, "same": SameProduct.SKIP.value}
    return _rule({"kind": "stage_entered", "stage_id": stages[0].id}, step)


def _discount(place: TemplateScope) -> RuleDraft:
    when: dict[str, Any] = {"kind": "sum_reached", "amount": BIG, "pipeline_id": place.pipeline_id}
    return _rule(
        when,
        {"kind": "discount", "discount": "5 %"},
        conditions=_IS_OPEN,
    )


TEMPLATES: Sequence[RuleTemplate] = (
    RuleTemplate(
        "not_reached",
        N_("Call again in two hours"),
        N_(
            "After the first call in a row that a client did not answer, the responsible person has a task to call again."
        ),
        _not_reached,
    ),
    RuleTemplate(
        "request",
        N_("Answer each request"),
        N_("A request through a form or by e-mail gets a task for a quarter of an hour."),
        _request,
    ),
    RuleTemplate(
        "known_client",
        N_("A known client writes"),
        N_("A request of a client who was known or has bought: their person has a task, and the manager another one."),
        _known_client,
    ),
    RuleTemplate(
        "request_on_contact",
        N_("A deal for each new client"),
        N_("A client who is added gets a deal in the first stage of work, unless a call or a form has made one."),
        _request_on_contact,
    ),
    RuleTemplate(
        "new_client",
        N_("A new client"),
        N_("Whoever leads the team gets a task to fill in the card of each new client."),
        _new_client,
    ),
    RuleTemplate(
        "big_deal",
        N_("Big deals to the manager"),
        N_("When the amount of a deal becomes a big one, the manager takes it, and a note says so."),
        _big_deal,
    ),
    RuleTemplate(
        "experienced",
        N_("Big deals to the experienced"),
        N_("When the amount of a deal becomes a big one, it goes to whoever won most deals here in a year."),
        _experienced,
    ),
    RuleTemplate(
        "sum_reached",
        N_("The next stage at an amount"),
        N_("When a deal reaches an amount, it moves to the last stage of work, through its gate."),
        _sum_reached,
    ),
    RuleTemplate(
        "next_steps",
        N_("What to do at this stage"),
        N_("When a deal enters the first stage of work, its person gets a list of what to ask."),
        _next_steps,
    ),
    RuleTemplate(
        "products",
        N_("Products and total by formula"),
        N_(
            "When a deal enters the first stage of work, it gets the lines of your first template of lines, with quantities by its formulas."
        ),
        _products,
        has_lines=True,
    ),
    RuleTemplate(
        "discount",
        N_("A discount on big deals"),
        N_("When a deal reaches an amount, it gets a discount of 5 %, or a manager is asked for it."),
        _discount,
    ),
    RuleTemplate(
        "event",
        N_("Remind of an event"),
        N_("A day before the event of a deal its person has a task."),
        _of_date(EVENT, N_("The event is tomorrow: call the client"), 1),
    ),
    RuleTemplate(
        "next_date",
        N_("Keep the date of the next visit"),
        N_("When a deal is won, its event is set to a year later: a renewal, a service, a visit."),
        _next_date,
    ),
    RuleTemplate(
        "service",
        N_("Remind of a renewal, a service, a visit"),
        N_("Two weeks before the event of a won deal its person has a task to agree on it."),
        _service,
    ),
    RuleTemplate(
        "proposal",
        N_("A proposal expires"),
        N_("Two days before the proposal of a deal expires its person has a task."),
        _of_date(PROPOSAL, N_("The proposal expires in two days: ask what they think"), 2),
    ),
    RuleTemplate(
        "invoice",
        N_("An invoice expires"),
        N_("A day before the invoice of a deal expires its person has a task."),
        _of_date(INVOICE, N_("The invoice expires tomorrow: ask about the payment"), 1),
    ),
    RuleTemplate(
        "status_message",
        N_("Tell the client where their order is"),
        N_("When a deal enters a stage of work, the client gets an e-mail: at most one a day."),
        lambda place: _rule({"kind": "stage_entered", "pipeline_id": place.pipeline_id}, conditions=_IN_WORK),
        sample="status",
    ),
    RuleTemplate(
        "invitation",
        N_("Invite the client to an event"),
        N_("Three days before the event of a deal the client gets an e-mail with its time."),
        lambda _place: _rule({"kind": "date", "field": EVENT.key, "days": -3}),
        sample="invitation",
    ),
    RuleTemplate(
        "visit_sms",
        N_("Remind the client of a visit by SMS"),
        N_("A day before the event of an open deal the client gets an SMS with its time."),
        lambda _place: _rule({"kind": "date", "field": EVENT.key, "days": -1, "time": "10:00"}, conditions=_IS_OPEN),
        sample="visit_sms",
    ),
    RuleTemplate(
        "unreached_sms",
        N_("Tell the client by SMS that we called"),
        N_("After the first call in a row that a client did not answer, they get an SMS: we called, and try again."),
        lambda _place: _rule({"kind": "not_reached", "attempt": 1}),
        sample="unreached_sms",
    ),
    RuleTemplate(
        "birthday",
        N_("Greet on a birthday"),
        N_("A client gets an e-mail on their birthday."),
        lambda _place: _rule({"kind": "birthday"}),
        sample="birthday",
    ),
    RuleTemplate(
        "holiday",
        N_("Greet on a holiday"),
        N_("Every client who has bought gets an e-mail on New Year."),
        lambda _place: _rule({"kind": "holiday", "day": "01.01"}),
        sample="holiday",
    ),
    RuleTemplate(
        "rhythm",
        N_("The next order, by the client's own rhythm"),
        N_("When as much time has passed as is usual between the orders of a client, they get an e-mail."),
        lambda _place: _rule({"kind": "rhythm"}),
        sample="rhythm",
    ),
    RuleTemplate(
        "survey",
        N_("Ask how the first order was"),
        N_("Three working days after the first won deal of a client they get an e-mail with three questions."),
        lambda place: _rule(
            {"kind": "order", "order": 1, "pipeline_id": place.pipeline_id}, {"kind": "wait", "working_days": 3}
        ),
        sample="survey",
    ),
    RuleTemplate(
        "silence",
        N_("A deal is silent"),
        N_("When nothing has happened on an open deal for two weeks, its person has a task."),
        _silence,
    ),
    RuleTemplate(
        "lost_why",
        N_("Find out why a client is lost"),
        N_("A lost deal gives the manager a task to ask the client why."),
        _lost_why,
    ),
    RuleTemplate(
        "win_back",
        N_("Win a refusal back"),
        N_(
            "A quarter after a refusal there is a task to ask again, ten a day, unless they bought elsewhere or were talked to."
        ),
        _win_back,
    ),
    RuleTemplate(
        "repeat_sale",
        N_("A won deal leads to the next one"),
        N_("Thirty working days after a deal is won, the client has a new deal of the same person."),
        _repeat_sale,
    ),
    RuleTemplate(
        "past_client",
        N_("Do not forget past clients"),
        N_(
            "Half a year after a deal was won there is a task to call the client, ten a day, unless they were talked to."
        ),
        _past_client,
    ),
)


def draft_of_template(
    template: RuleTemplate,
    funnel: Funnel,
    *,
    owner_id: int,
    state: str,
    say: Say,
    line_templates: Sequence[LineTemplate] = (),
    message_id: int | None = None,
) -> RuleDraft | None:
    """The rule of a template for the default pipeline; None where the stages that it needs are missing. ``say`` translates its texts.
    ``message_id``: the template of messages that it sends, None: it is still to be chosen.
    """
    made = template.make(TemplateScope(funnel, funnel.default_id, say, line_templates))
    if made is None:
        return None
    steps = list(made.steps)
    if template.sample:
        steps = [*steps, {"kind": "message", "template_id": message_id}]
    return replace(made, name=say(template.name), owner_id=owner_id, state=state, steps=steps)
