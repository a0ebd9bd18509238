"""The sentences for why the rules of distribution gave a deal to somebody, or to nobody."""

from pbxcrm.shared.reasons import N_, Counted

REASONS: dict[str, str | Counted] = {
    "distribution.turn": N_("The rule “{rule}” gave it to {who}, whose turn it was."),
    "distribution.least_deals": N_("The rule “{rule}” gave it to {who}, who has the fewest open deals: {count}."),
    "distribution.least_tasks": N_("The rule “{rule}” gave it to {who}, who has the fewest open tasks: {count}."),
    "distribution.value": N_(
        "The rule “{rule}” gave it to {who}, who takes deals from {amount} on; it was their turn."
    ),
    "distribution.value_any": N_(
        "The rule “{rule}” gave it to {who}, who takes deals of any amount; it was their turn."
    ),
    "distribution.deputy": N_("{deputy} stands in for {who}, who is away."),
    "distribution.nobody": N_("Nobody of the rule “{rule}” can get it, so it is nobody's and the manager is told."),
    "distribution.passed": N_("Nobody of the rule “{rule}” could get it, so the next rule was asked."),
    # why somebody of the rule was passed over
    "distribution.off_shift": N_("Off shift: {who}."),
    "distribution.away": N_("Away: {who}."),
    "distribution.full": N_("Has as many open deals as the rule allows ({most}): {who}."),
    "distribution.full_today": N_("Got as many today as the rule allows ({most}): {who}."),
    "distribution.too_small": N_("Takes only larger deals: {who}."),
    "distribution.no_deals": N_("Has a role that does not work on deals: {who}."),
    "distribution.left": N_("Has left: {who}."),
    "distribution.empty": N_("The rule names nobody."),
    "distribution.made": N_("{by} made the deal, for the rules to give it to somebody."),
    "distribution.given": N_("{who} has it now."),
    "distribution.closed": N_("The deal is closed."),
    "task.distribution": N_("Nobody could get the new deal: {title}"),
}
