"""The rules that templates would make, in the language of the company."""

from collections.abc import Callable
from functools import partial

from starlette.requests import Request

from pbxcrm.automation.models import RuleState
from pbxcrm.automation.rule_checks import RuleDraft
from pbxcrm.automation.rule_templates import TEMPLATES, RuleTemplate, draft_of_template
from pbxcrm.messages.samples import SAMPLES
from pbxcrm.shared.errors import NotFound
from web.i18n import gettext as _
from web.i18n import word_in
from web.parts import parts, viewer
from web.rule_sentences import NamesInRules


def company_words(request: Request) -> Callable[[str], str]:
    """Our words in the language of the company (``PBXCRM_LANGUAGE``): what a template makes is read by everybody. Where nobody has set
    one, in that of who asks.
    """
    settings = parts(request).settings
    return partial(word_in, settings.language) if "language" in settings.model_fields_set else _


def template_draft(
    request: Request,
    template: RuleTemplate,
    names: NamesInRules,
    state: str = RuleState.WATCH.value,
    message_id: int | None = None,
) -> RuleDraft | None:
    """The rule that the template would make now; None where the stages that it needs are missing. ``message_id``: what it sends."""
    if template.sample and message_id is None:
        called = company_words(request)(SAMPLES[template.sample].name)
        message_id = next((each for each, name in names.templates.items() if name == called), None)
    return draft_of_template(
        template,
        names.funnel,
        owner_id=viewer(request).user_id,
        state=state,
        say=company_words(request),
        line_templates=list(names.line_templates.values()),
        message_id=message_id,
    )


def template_named(code: str) -> RuleTemplate:
    """Raises NotFound."""
    found = next((each for each in TEMPLATES if each.code == code), None)
    if found is None:
        raise NotFound("automation.no_template", "There is no such template.")
    return found
