"""The sentences for why the product created or closed a task."""

from pbxcrm.shared.reasons import N_, Counted, N_counted

REASONS: dict[str, str | Counted] = {
    "stage_task.title": "{title}",
    "stage_task.why": N_("The deal entered the stage “{stage}”, which asks for it."),
    "stage_task.why_joint": N_(
        "The deal entered the stage “{stage}”, which asks for it, jointly with {who}. Whoever does it does it for both."
    ),
    "stage_task.done_jointly": N_("{who} did it for both."),
    "stage_task.left": N_("The deal left the stage “{stage}” before."),
    "stage_task.deputy": N_("{who} is away; {deputy} stands in."),
    "task.way_talk": N_("talk to the client"),
    "task.way_talk_long": N_counted(
        "talk to the client for at least {seconds} second",
        "talk to the client for at least {seconds} seconds",
        "seconds",
    ),
    "task.way_next_task": N_("set a next task"),
    "task.way_field": N_("fill in “{key}”"),
    "task.way_move": N_("move the deal to another stage"),
    "task.way_manager": N_("let the manager decide"),
    "task.postponed": N_("Put off again and again: {title}"),
    "task.postponed_why": N_counted("{who} has put it off once.", "{who} has put it off {n} times.", "n"),
}
