"""In whose name a rule changes lines: it gives no more than whoever answers for it may give."""

from pbxcrm.automation.steps.step import StepContext
from pbxcrm.money.line_authors import LineAuthor


def author_of(context: StepContext) -> LineAuthor:
    """The limit is that of the rule's owner. What goes beyond it is asked for by the responsible person, who talks to the client."""
    people = context.around.people
    owner, responsible = people.active(context.rule.owner_id), people.active(context.of_deal.responsible_id)
    asker = responsible or owner
    return LineAuthor(
        context.rule.name,
        owner.role if owner is not None else "",
        asker.id if asker is not None else None,
        None,
        context.why,
    )
