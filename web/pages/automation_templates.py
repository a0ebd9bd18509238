"""Templates of rules: scenarios that work after one click."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.automation.models import RuleState
from pbxcrm.automation.queries import check_rules, list_rules
from pbxcrm.automation.rule_actions import lock_rules, save_rule
from pbxcrm.automation.rule_templates import TEMPLATES, RuleTemplate, known_lines
from pbxcrm.deals.models import Pipeline
from pbxcrm.deals.pipeline_actions import change_pipeline
from pbxcrm.deals.pipeline_drafts import PipelineChange
from pbxcrm.messages.samples import SAMPLES, add_sample
from pbxcrm.money.sample_room import ROOM, add_room
from pbxcrm.shared.errors import NotFound
from web import message_words
from web.answers import redirect
from web.forms import read_form
from web.pages.common import show
from web.parts import now, parts, viewer
from web.rule_drafts import company_words, template_draft, template_named
from web.rule_messages import silent_channels
from web.rule_sentences import PATH, NamesInRules, load_rule_names


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A template as it is offered. ``made``: how many rules of this name there are already."""

    template: RuleTemplate
    said: str
    made: int
    unsent: str = ""  # why its message cannot be sent
    room: str = ""  # the template of lines that comes with it
    by_hand: Pipeline | None = None  # the pipeline in which amounts are typed, so that its lines give no total yet


async def listed(request: Request) -> Response:
    """``GET /automation/templates``: those for which the default pipeline has the stages."""
    say = company_words(request)
    async with parts(request).db.read() as session:
        names = await load_rule_names(session)
        default = names.funnel.pipelines.get(names.funnel.default_id)
        taken = [rule.name for rule in await list_rules(session, viewer(request))]
        silent = await silent_channels(session, request)
    rows = [
        TemplateRow(
            template,
            names.rule_said(draft.when, draft.conditions, draft.steps),
            taken.count(draft.name),
            message_words.unsent(_channel(template)) if _channel(template) in silent else "",
            say(ROOM) if template.has_lines and not known_lines(list(names.line_templates.values())) else "",
            default if template.has_lines and default is not None and not default.amount_by_lines else None,
        )
        for template in TEMPLATES
        if (draft := template_draft(request, template, names)) is not None
    ]
    return show(request, "automation/templates.html", rows=rows)


def _channel(template: RuleTemplate) -> str:
    return SAMPLES[template.sample].channel if template.sample else ""


async def use(request: Request) -> Response:
    """``POST /automation/templates`` with ``template`` and ``to``: ``on``, or else it begins to watch. A rule that is there is not made again without ``again``."""
    form = await read_form(request)
    state = RuleState.ON.value if form["to"] == RuleState.ON else RuleState.WATCH.value
    async with parts(request).db.write() as session:
        check_rules(viewer(request))
        template, message_id = template_named(form["template"]), None
        if template.sample:
            called = company_words(request)(SAMPLES[template.sample].name)
            message_id = await add_sample(session, viewer(request), template.sample, called, now(request))
        names = await load_rule_names(session)
        if template.has_lines:
            names = await _with_total(session, request, names, by_lines=form.ticked("by_lines"))
        draft = template_draft(request, template, names, state, message_id)
        if draft is None:
            raise NotFound("automation.no_template", "There is no such template.")
        await lock_rules(session)
        there = next((each for each in await list_rules(session, viewer(request)) if each.name == draft.name), None)
        if there is not None and not form.ticked("again"):
            return redirect(request, f"{PATH}#rule-{there.id}", done="rule_there")
        region = parts(request).settings.region
        rule = await save_rule(session, viewer(request), None, draft, version=None, region=region, now=now(request))
    return redirect(request, f"{PATH}#rule-{rule.id}", done="added")


async def _with_total(session: AsyncSession, request: Request, names: NamesInRules, *, by_lines: bool) -> NamesInRules:
    """Make what a rule with lines needs: a template of lines, and with ``by_lines`` amounts that are the sums of lines."""
    who, at = viewer(request), now(request)
    default = names.funnel.pipelines.get(names.funnel.default_id)
    if by_lines and default is not None and not default.amount_by_lines:
        change = PipelineChange(amount_by_lines=True, unheard=True)
        await change_pipeline(session, who, default.id or 0, change, now=at)
    if known_lines(list(names.line_templates.values())):
        return names
    await add_room(session, who, company_words(request), at)
    return await load_rule_names(session)
