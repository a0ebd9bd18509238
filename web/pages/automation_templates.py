"""Templates of rules: scenarios that work after one click."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.automation.models import RuleState
from pbxcrm.automation.queries import check_rules, list_rules
from pbxcrm.automation.rule_actions import save_rule
from pbxcrm.automation.rule_templates import TEMPLATES, RuleTemplate
from pbxcrm.messages.samples import SAMPLES, add_sample
from pbxcrm.shared.errors import NotFound
from web import message_words
from web.answers import redirect
from web.forms import read_form
from web.pages.common import show
from web.parts import now, parts, viewer
from web.rule_drafts import company_words, template_draft, template_named
from web.rule_messages import silent_channels
from web.rule_sentences import PATH, load_rule_names


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A template as it is offered. ``made``: how many rules of this name there are already."""

    template: RuleTemplate
    said: str
    made: int
    unsent: str = ""  # why its message cannot be sent


async def listed(request: Request) -> Response:
    """``GET /automation/templates``: those for which the default pipeline has the stages."""
    async with parts(request).db.read() as session:
        names = await load_rule_names(session)
        taken = [rule.name for rule in await list_rules(session, viewer(request))]
        silent = await silent_channels(session, request)
    rows = [
        TemplateRow(
            template,
            names.rule_said(draft.when, draft.conditions, draft.steps),
            taken.count(draft.name),
            message_words.unsent(_channel(template)) if _channel(template) in silent else "",
        )
        for template in TEMPLATES
        if (draft := template_draft(request, template, names)) is not None
    ]
    return show(request, "automation/templates.html", rows=rows)


def _channel(template: RuleTemplate) -> str:
    return SAMPLES[template.sample].channel if template.sample else ""


async def use(request: Request) -> Response:
    """``POST /automation/templates`` with ``template`` and ``to``: ``on``, or else it begins to watch."""
    form = await read_form(request)
    state = RuleState.ON.value if form["to"] == RuleState.ON else RuleState.WATCH.value
    async with parts(request).db.write() as session:
        check_rules(viewer(request))
        template, message_id = template_named(form["template"]), None
        if template.sample:
            called = company_words(request)(SAMPLES[template.sample].name)
            message_id = await add_sample(session, viewer(request), template.sample, called, now(request))
        draft = template_draft(request, template, await load_rule_names(session), state, message_id)
        if draft is None:
            raise NotFound("automation.no_template", "There is no such template.")
        region = parts(request).settings.region
        rule = await save_rule(session, viewer(request), None, draft, version=None, region=region, now=now(request))
    return redirect(request, f"{PATH}#rule-{rule.id}", done="added")
