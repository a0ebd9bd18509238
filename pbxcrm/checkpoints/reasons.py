"""The sentences for why a lamp burns, who is asked, and why it went out."""

from pbxcrm.shared.reasons import N_, Counted, N_counted

REASONS: dict[str, str | Counted] = {
    "lamp.stage": N_counted(
        "Nobody has worked on it in “{stage}” for {norm} working minute.",
        "Nobody has worked on it in “{stage}” for {norm} working minutes.",
        "norm",
    ),
    "lamp.silence": N_counted(
        "Nobody has talked to the client for {norm} working minute.",
        "Nobody has talked to the client for {norm} working minutes.",
        "norm",
    ),
    "lamp.date": N_("A date of the deal that is watched has come: {checkpoint}."),
    "lamp.date_at": N_("{checkpoint}: {date_at} ({key})."),
    "lamp.date_before": N_("{checkpoint}: {working_minutes} of working time before {date_at} ({key})."),
    "lamp.date_after": N_("{checkpoint}: {working_minutes} of working time after {date_at} ({key})."),
    "lamp.again": N_("{who} accepted the delay {date_at}, and nobody has worked on it since."),
    "lamp.later": N_counted(
        "{norm} more working minute passed after the previous lamp.",
        "{norm} more working minutes passed after the previous lamp.",
        "norm",
    ),
    "lamp.counted": N_("Since {since_at}; norm {working_minutes} of working time; {stretches}; lit {lit_at}."),
    "lamp.counted_stage": N_(
        "Since {since_at} in “{stage}” without work; norm {working_minutes} of working time; {stretches}; lit {lit_at}."
    ),
    "lamp.counted_again": N_(
        "Accepted {since_at}; {working_minutes} of working time until it was to be looked at again; {stretches}; lit {lit_at}."
    ),
    "lamp.counted_later": N_(
        "The previous lamp lit {since_at}; {working_minutes} of working time after it; {stretches}; lit {lit_at}."
    ),
    "lamp.waits": N_("Since {since_at}; norm {working_minutes} of working time; lights {lit_at} unless there is work."),
    "lamp.waits_stage": N_(
        "Since {since_at} in “{stage}”; norm {working_minutes} of working time; lights {lit_at} unless there is work."
    ),
    "lamp.waits_date": N_("Lights {lit_at} unless there is work."),
    "lamp.waits_date_norm": N_("Lights {lit_at}, after {working_minutes} of working time, unless there is work."),
    "lamp.waits_silence": N_(
        "The silence is counted from {since_at}; norm {working_minutes} of working time; lights {lit_at} unless there is work."
    ),
    "lamp.waits_again": N_("Accepted {since_at}; lights {lit_at} unless there is work."),
    "lamp.waits_later": N_(
        "Asked {since_at}; {working_minutes} of working time after it; lights {lit_at} unless there is work."
    ),
    "lamp.to_deputy": N_("{who} is away; {deputy} stands in."),
    "lamp.to_away": N_("{who} is away and nobody stands in, so {manager} has it."),
    "lamp.to_deputy_cannot": N_("{who} is away; {deputy} stands in but cannot decide about it, so {manager} has it."),
    "lamp.to_all_away": N_("Everybody who could decide is away, so {manager} has it."),
    "lamp.to_back": N_("{who} is back, so it is theirs again."),
    "lamp.to_now": N_("{who} is asked about it now."),
    "lamp.to_cannot": N_("{who} cannot work on it, so {manager} has it."),
    "lamp.to_left": N_("{who} has left, so {manager} has it."),
    "lamp.to_nobodys": N_("It is nobody's, so {manager} has it."),
    "lamp.out_talked": N_("{who} talked to the client."),
    "lamp.out_planned": N_("{who} set the next task."),
    "lamp.out_filled": N_("{who} filled in what was asked for."),
    "lamp.out_stage": N_("{who} moved the deal to another stage."),
    "lamp.out_moved": N_("The deal has moved on."),
    "lamp.out_stage_removed": N_("{by} removed the stage “{stage}”."),
    "lamp.out_closed": N_("The deal is closed."),
    "lamp.out_merged": N_("The deal was merged into another deal of the client."),
    "lamp.out_off": N_("{who} switched off the checkpoint “{checkpoint}”."),
    "lamp.out_removed": N_("{who} deleted the checkpoint “{checkpoint}”."),
    "lamp.out_no_norm": N_("{who} removed the norm of “{stage}”."),
    "lamp.taken_back": N_("What had put out the lamp was taken back, so it burns again."),
    "lamp.out_rules": N_("What is watched here was changed."),
    "lamp.out_given": N_("The deal was given to {who}."),
    "lamp.out_undone": N_("What was counted as an attempt was taken back."),
    "lamp.out_reassigned_deal": N_("{by} gave the deal to {who}."),
    "lamp.comment": N_("{who}: {text}"),
    "lamp.out_accepted": N_("{who} accepted it: {why}"),
    "lamp.given": N_("The deal is {who}'s now."),
    "task.lamp_stage": N_("No work on “{title}” within the norm of “{stage}”"),
    "task.lamp_silence": N_("The client has not been talked to: {title}"),
    "task.lamp_date": N_("{checkpoint}: {title}"),
    "task.lamp_said": N_("{text}: {title}"),
    "task.together": N_("Together with {who}:"),
    "task.lamp_work": N_("Work on “{title}”"),
    "lamp.together": N_("{who} works on it, too."),
    "task.lamp_control": N_("{who} has not worked on “{title}” within the norm"),
    "task.lamp_control_nobodys": N_("Nobody has worked on “{title}” within the norm, and it is nobody's"),
    "task.lamp_digest": N_counted(
        "{count} client has waited longer than the norm",
        "{count} clients have waited longer than the norm",
        "count",
    ),
    "lamp.digest": N_("They lit late and all at once, so they are one task: {titles}"),
    "pause.waits": N_("{who} wants to pause it until {until}: {why}"),
    "task.pause": N_("Approve the pause of “{title}”"),
    "pause.approved": N_("{who} approved the pause."),
    "pause.replaced": N_("{who} asked for another pause instead."),
    "pause.ended": N_("{who} ended the pause."),
}
