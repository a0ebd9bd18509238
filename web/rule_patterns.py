"""How each kind of *when* and of step is said in a sentence with its parameters, so that a rule reads as people would say it.

A pattern names parameters in braces; the first one whose parameters are all given is taken, otherwise the title of the kind. What a
pattern leaves out follows behind it. No word is bent by what stands in the braces, so that every language can say it.
"""

from collections.abc import Mapping, Sequence
from string import Formatter

from pbxcrm.automation.catalogue import RuleKind
from web.i18n import N_
from web.i18n import gettext as _

WHEN_SAID: Mapping[str, Sequence[str]] = {
    "stage_entered": (N_("A deal enters “{stage_id}”"),),
    "stage_left": (N_("A deal leaves “{stage_id}”"),),
    "order": (N_("Deal number {order} of a client is won"),),
    "field_changed": (N_("Changed on a deal: {fields}"),),
    "sum_reached": (N_("A deal reaches {amount}"),),
    "not_reached": (N_("The client is not reached (attempt {attempt} in a row)"),),
    "request": (N_("A request comes through “{form_id}”"),),
    "date": (N_("{before} before “{field}”"), N_("{after} after “{field}”"), N_("“{field}” comes")),
    "daily": (N_("At {time}, {days}: for each open deal whose condition holds"),),
    "silence": (N_("Nothing happened on an open deal for {days}"),),
    "birthday": (N_("A client has a birthday"),),
    "holiday": (N_("On {day} of each year, for each client who has bought"),),
    "rhythm": (
        N_("A client usually orders again in {before}"),
        N_("A client usually has ordered again {after} ago"),
        N_("A client usually orders again by now"),
    ),
    "webhook": (N_("The webhook “{hook_id}” tells of a deal"),),
    "webhook_client": (N_("The webhook “{hook_id}” tells of a client"),),
}
THEN_SAID: Mapping[str, Sequence[str]] = {
    "task": (
        N_("Make a task: {title} ({assignee}, {due})"),
        N_("Make a task: {title} ({assignee})"),
        N_("Make a task: {title} ({due})"),
    ),
    "move": (N_("Move the deal to “{stage_id}”"),),
    "assign": (N_("Give the deal to: {to}"),),
    "field": (N_("Set “{field}” {value}"), N_("Empty “{field}”")),
    "tag": (
        N_("Tags of the deal: {add}, {remove}"),
        N_("Tags of the deal: {add}"),
        N_("Tags of the deal: {remove}"),
    ),
    "deal": (N_("Make a deal of the client in “{stage_id}”"),),
    "lines": (N_("Add products: {template_id}"), N_("Add products: {product_id} {quantity}")),
    "discount": (N_("Give a discount on the whole deal: {discount}"),),
    "message": (N_("Send the client the message {template_id}"),),
    "webhook": (N_("Call the webhook “{webhook_id}”"),),
    "wait": (N_("Wait {minutes}, then go on if it still holds"),),
}
#: What follows behind, by the name of its parameter; others are said as they are.
_BEHIND: Mapping[str, str] = {
    "pipeline_id": N_("pipeline “{value}”"),
    "time": N_("at {value}"),
    "talk_seconds": N_("talked for {value} s or longer"),
    "per_day": N_("at most {value} a day"),
    "lost_reason": N_("lost because: {value}"),
    "carry": N_("with: {value}"),
    "fields": N_("with: {value}"),
    "same": N_("what the deal has already {value}"),
}


def kind_said(kind: RuleKind, patterns: Sequence[str], words: Mapping[str, str]) -> str:
    """A *when* or a step by one of its ``patterns``, with the ``words`` of its parameters by their names."""
    left = dict(words)
    said, joint = _(kind.title), ": "
    for pattern in patterns:
        names = {name for _text, name, _format, _conversion in Formatter().parse(pattern) if name}
        if names <= left.keys():
            said, joint = _(pattern).format(**left), ", "
            left = {name: word for name, word in left.items() if name not in names}
            break
    behind = [_(_BEHIND[name]).format(value=word) if name in _BEHIND else word for name, word in left.items()]
    return said + joint + ", ".join(behind) if behind else said
