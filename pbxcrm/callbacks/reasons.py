"""The sentences for why somebody owns a callback, why it was closed, and why its lamp burns."""

from pbxcrm.shared.reasons import N_, Counted, N_counted

REASONS: dict[str, str | Counted] = {
    "owner.answered": N_("{who} answered the call on {extension}."),
    "owner.deal": N_("{who} is responsible for the client's open deal."),
    "owner.responsible": N_("{who} is responsible for the client."),
    "owner.last_talked": N_("{who} talked to the client last."),
    "owner.last_rang": N_("{who}'s phone rang last."),
    "owner.line": N_("{who} is the default of line “{line}”."),
    "owner.manager": N_("{who} is the manager."),
    "owner.off_shift": N_("{who} comes first in order, but is off shift."),
    "owner.nobody_on_shift": N_("Nobody in the order is on shift now, so the first of it has it: {who}."),
    "owner.nobody": N_("There is nobody to give it to yet: add people first."),
    "owner.by_hand": N_("{by} gave it to {who}."),
    "owner.given_back": N_("{by} took that back: {who} has it again."),
    "owner.given_back_nobodys": N_("{by} took that back: it is nobody's again."),
    "episode.recovered": N_("The client called and talked to {who}."),
    "episode.reached": N_("{who} called and reached the client."),
    "episode.dismissed": N_("{who} closed it: {why}"),
    "episode.own": N_("{who} put the number on the list of our own numbers."),
    "episode.merged": N_("{who} merged the client with {client}, who has an open callback: both are one now."),
    "episode.spam": N_("{who} put the number on the list of those that are not clients."),
    "episode.wrong_number": N_("{who} called: it is a wrong number."),
    "episode.not_interested": N_("{who} talked to the client, who is not interested: {why}"),
    "episode.said_wrong_number": N_("{who} said that it is a wrong number."),
    "episode.said_not_interested": N_("{who} said that the client is not interested: {why}"),
    "episode.without_call": N_("Without a call: {why}"),
    "episode.no_number": N_("The number is withheld, so nobody can be called back; {who} noted it."),
    "episode.said_reached": N_("{who} said that the client was reached."),
    "attempt.failed": N_("{who} called and did not reach the client; attempt {count}."),
    "attempt.by_hand": N_("{who} said that the client was not reached; attempt {count}."),
    "schedule.line": N_("The schedule of line “{line}” says after how many working minutes: {minutes}."),
    "schedule.pipeline": N_("The schedule of pipeline “{pipeline}” says after how many working minutes: {minutes}."),
    "schedule.general": N_("The general schedule says after how many working minutes: {minutes}."),
    "attempts.moved": N_counted(
        "The client was not reached in {count} attempt, the last one planned: the deal goes to “{stage}”.",
        "The client was not reached in {count} attempts, the last of those planned: the deal goes to “{stage}”.",
        "count",
    ),
    "attempts.stays": N_counted(
        "The client was not reached in {count} attempt, the last one planned: the deal stays in “{stage}”.",
        "The client was not reached in {count} attempts, the last of those planned: the deal stays in “{stage}”.",
        "count",
    ),
    "attempts.unwatched": N_("No checkpoint watches “{stage}”, so somebody must decide what comes next."),
    "attempts.manager": N_counted(
        "The client was not reached in {count} attempt, the last one planned: the manager decides what comes next.",
        "The client was not reached in {count} attempts, the last of those planned: the manager decides what comes next.",
        "count",
    ),
    "attempts.no_stage": N_("The stage that the schedule names is removed."),
    "attempts.no_deal": N_("There is no open deal to move."),
    "task.attempts_over": N_counted(
        "Not reached in {count} attempt, decide what comes next: {client}",
        "Not reached in {count} attempts, decide what comes next: {client}",
        "count",
    ),
    "task.retry_minutes": N_("Call back in {minutes} min: {client}"),
    "task.retry_hour": N_("Call back in an hour: {client}"),
    "task.retry_hours": N_counted(
        "Call back in {hours} hour: {client}",
        "Call back in {hours} hours: {client}",
        "hours",
    ),
    "task.retry_morning": N_("Call back on the next working morning: {client}"),
    "task.lamp_callback": N_("Not called back in time: {client}"),
    "task.escalated": N_("{client} is still not called back by {who}"),
    "task.escalated_nobody": N_("{client} is still not called back, and it is nobody's"),
    "lamp.callback": N_counted(
        "The norm of {norm} working minute has passed without a call back.",
        "The norm of {norm} working minutes has passed without a call back.",
        "norm",
    ),
    "lamp.planned": N_counted(
        "The planned attempt was not made within {norm} working minute.",
        "The planned attempt was not made within {norm} working minutes.",
        "norm",
    ),
    "lamp.out_attempt": N_("The client was called; the next attempt has a time."),
    "lamp.out_called_again": N_("The client called again, so their wait starts over."),
    "lamp.out_reassigned": N_("{by} gave the callback to {who}."),
    "escalation.callback": N_counted(
        "Not called back, {minutes} more working minute after the lamp; {who} has it.",
        "Not called back, {minutes} more working minutes after the lamp; {who} has it.",
        "minutes",
    ),
    "escalation.nobody": N_counted(
        "The callback is nobody's, {minutes} more working minute after the lamp.",
        "The callback is nobody's, {minutes} more working minutes after the lamp.",
        "minutes",
    ),
    "escalation.accepted": N_("{who} accepted it: {why}"),
    "task.callback": N_("Call back {client}"),
    "task.callback_count": N_counted(
        "Call back {client}, missed {count} time",
        "Call back {client}, missed {count} times",
        "count",
    ),
    "task.anonymous": N_("Missed a caller with a withheld number on line {line}"),
    "passed.deal": N_("The deal is another's, so nothing was decided about it."),
    "passed.client": N_(
        "{who} said that this is not a client. The client is another's, so the number was not put on the list."
    ),
    "passed.callback": N_("The callback is another's and was not called, so it was left open. {who}: {why}"),
    "passed.lamp": N_("The lamp goes out by a call or by the manager, so the callback was left open. {who}: {why}"),
    "task.passed_not_interested": N_("{client} is not interested, says {who}: decide about your deal"),
    "task.passed_wrong_number": N_("The number of {client} is wrong, says {who}: decide about your deal"),
    "task.passed_spam": N_("{client} is not a client, says {who}: decide whether the number goes on the list"),
    "task.passed_close": N_("{who} asks to close the callback of {client} without a call"),
    "task.passed_reached": N_("{client}: reached, without a call, says {who}. Decide about the callback"),
    "task.passed_didnt_reach": N_("{client}: didn't reach, without a call, says {who}. Decide about the callback"),
    "task.passed_said_wrong_number": N_(
        "{client}: the number is wrong, without a call, says {who}. Decide about the callback"
    ),
    "task.passed_said_not_interested": N_(
        "{client}: not interested, without a call, says {who}. Decide about the callback"
    ),
    "task.passed_said_spam": N_("{client}: not a client, without a call, says {who}. Decide about the callback"),
    "task.norm_changed": N_("The norm of callbacks was changed to {norm} min."),
    # numbers that are silenced
    "task.number_spam": N_("{who} put {number} on the list of those that are not clients: {why}"),
    "task.number_own": N_("{who} put {number} on the list of our own numbers: {why}"),
    "number.spam": N_(
        "The client, a deal or a callback of this number is yours; its calls make no callbacks any more."
    ),
    "number.own": N_("The client, a deal or a callback of this number is yours; its calls make no callbacks any more."),
}
