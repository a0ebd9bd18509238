"""Why a task was made that is about another task."""

from pbxcrm.shared.reasons import N_, Counted, N_counted

REASONS: dict[str, str | Counted] = {
    "task.postponed": N_("Put off again and again: {title}"),
    "task.postponed_why": N_counted("{who} has put it off once.", "{who} has put it off {n} times.", "n"),
}
