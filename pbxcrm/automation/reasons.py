"""The sentences of automation: what a rule did, why it did not, and what its owner is asked to look at."""

from pbxcrm.shared.reasons import N_, Counted

REASONS: dict[str, str | Counted] = {
    "automation.rule": N_("The rule “{rule}” did it."),
    # what a run ended with
    "automation.done": N_("All steps were taken."),
    "automation.not_so": N_("Skipped: {test}"),
    "automation.none_so": N_("Skipped: its condition did not hold."),
    "automation.no_longer": N_("It waited, and then its condition did not hold any more: {test}"),
    "automation.stopped": N_("The rule ends here."),
    "automation.goal": N_("Its goal was reached while it waited."),
    "automation.waits_already": N_("Skipped: it waits on this deal already."),
    "automation.restarted": N_("It heard the same again while it waited, and began anew."),
    "automation.queued": N_("It waits until the run before it has ended."),
    "automation.waits": N_("It goes on after {minutes} working minutes."),
    "automation.loop": N_("Skipped, or it would go round in a circle: {chain} on “{title}”."),
    "automation.deep": N_("Skipped: {most} rules had caused each other before it on “{title}”."),
    "automation.rate": N_("Skipped: it ran {most} times in an hour on this deal."),
    "automation.off": N_("The rule was switched off or archived while it waited."),
    "automation.deal_gone": N_("The deal is gone, or was merged with another one."),
    "automation.watched": N_("The rule only watches: nothing was done."),
    "automation.refused": N_("A step could not be taken: {why}"),
    "automation.retry": N_("A step failed and will be tried again: {why}"),
    "automation.broken": N_("The rule asks for something that is gone: {why}"),
    # what its owner is asked to look at
    "task.automation": N_("Look at the rule “{rule}”"),
    "automation.failed_why": N_("It could not do its work on “{title}”."),
    # what the steps did
    "automation.task": N_("Task: {title}"),
    "automation.moved": N_("Moved to “{stage}”"),
    "automation.not_moved": N_("Not moved to “{stage}”: its gate asks for something that the deal lacks."),
    "automation.there": N_("It is in “{stage}” already."),
    "automation.assigned": N_("Given to {who}"),
    "automation.nobody": N_("Nobody could get it."),
    "automation.has_it": N_("{who} has it already."),
    "automation.set": N_("“{field}” set to “{value}”"),
    "automation.same": N_("“{field}” is “{value}” already."),
    "automation.noted": N_("Note: {text}"),
    "automation.tagged": N_("Tags: {tags}"),
    "automation.made": N_("New deal in “{stage}”: {title}"),
    "automation.made_there": N_("The client has an open deal there already: “{title}”."),
    "automation.waited": N_("Waits {minutes} working minutes"),
    # why something is not taken back
    "automation.kept_changed": N_("Somebody has changed it since."),
    "automation.kept_made": N_("A deal that was made stays; close it by hand."),
    "automation.undone": N_("Taken back."),
}
