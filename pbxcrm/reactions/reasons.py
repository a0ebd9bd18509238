"""Texts that say why a call did what it did to deals, callbacks and tasks."""

from pbxcrm.shared.reasons import N_, Counted

REASONS: dict[str, str | Counted] = {
    "call.internal": N_("A call between colleagues: no deal."),
    "call.own_number": N_("{number} is one of our own numbers: no deal."),
    "call.spam": N_("{number} is on the list of numbers that are not clients: no deal."),
    "call.line_off": N_("The rule of line “{line}” makes no deals."),
    "call.new_deal": N_(
        "{number} had no open deal, so this call made one in “{stage}”; {who} answered on {extension}."
    ),
    "call.new_deal_unmapped": N_(
        "{number} had no open deal, so this call made one in “{stage}”; extension {extension} answered, which is nobody's."
    ),
    "call.new_deal_outside": N_(
        "{number} had no open deal, so this call made one in “{stage}”; it was answered outside, at {extension}, which is nobody's mobile."
    ),
    "call.open_deal": N_("The client's open deal."),
    "call.missed_new_deal": N_("Nobody answered {number}, who had no open deal, so this call made one in “{stage}”."),
    "call.missed_open_deal": N_("Nobody answered; the call is noted on the client's open deal."),
    "call.missed_no_deal": N_("Nobody answered; the rule of line “{line}” makes no deals."),
    "call.no_deal": N_("{number} has no open deal; a call from us makes none."),
    "call.next_planned": N_("The client was not reached, so a task to call again is planned."),
    "call.next_moved": N_("The client was not reached, so the task to call again is moved on."),
    "call.next_kept": N_("The client was not reached; what is planned already stays as it is: {task}."),
    "call.next_over": N_("The client was not reached, and no more attempts are planned."),
    "call.next_talked": N_("The client was not reached by this call, but talked to since."),
    "attempts.talked": N_("{who} talked to the client."),
    "attempts.called": N_("The client called and was missed, so there is a callback instead."),
    "attempts.deal_closed": N_("The deal went to “{stage}”."),
    "call.short": N_("The caller gave up after {seconds} s, sooner than the {limit} s of line “{line}”: no callback."),
    "call.interrupted": N_("The PBX stopped during the call, so the call says nothing about anybody."),
    "call.unknown": N_("The call ended while nobody was listening to the PBX, and its records do not tell how."),
    "missed.abandoned_ringing": N_("The caller hung up while {rang} rang."),
    "missed.abandoned_in_queue": N_("The caller hung up in queue {queue}; {rang} rang."),
    "missed.before_ringing": N_("The caller hung up before a phone rang."),
    "missed.queue_rang_nobody": N_("The caller hung up in queue {queue}; no phone rang."),
    "missed.rang_nobody": N_("No phone rang, and the call was not answered in time."),
    "missed.abandoned_in_ivr": N_("The caller hung up in the menu; no phone rang."),
    "missed.timeout": N_("{rang} rang and nobody answered in time."),
    "missed.busy": N_("Every phone was busy."),
    "missed.no_agents": N_("Nobody was logged in to the queue."),
    "missed.unreachable": N_("No phone could be reached."),
    "missed.closed_hours": N_("The call came outside working hours."),
    "missed.short": N_("The caller hung up at once."),
    "missed.voicemail": N_("The caller was sent to voicemail."),
    "missed.unknown": N_("Nobody answered."),
    "task.unmapped": N_("Who has extension {extension}? It answered {client}"),
    "task.unmapped_why": N_(
        "Extension {extension} answered a client but belongs to no user, so nobody is responsible. Give it to a user under People."
    ),
}
