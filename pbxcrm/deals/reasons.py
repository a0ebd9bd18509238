"""The sentences for automatic changes of deals and for the requirements of stages."""

from pbxcrm.shared.reasons import N_, Counted

REASONS: dict[str, str | Counted] = {
    "gate.lost_reason": N_("Say why the deal is lost."),
    "gate.next_task": N_(
        "The client was not reached and nothing is planned: set the next task before you close the deal."
    ),
    "gate.stage_task": N_("This stage asks for a next task with a date."),
    "gate.field": N_("Fill in “{key}”."),
    "gate.file": N_("Attach a file."),
    "gate.second_deal": N_("The client has an open deal in this pipeline already: say that a second one is meant."),
    "gate.refused": N_(
        "The deal was to move to “{stage}” by itself, but something is missing, so it stayed where it was."
    ),
    "task.gate": N_("Complete the deal: it could not move to “{stage}”"),
    "task.gate_new": N_("Complete the deal: something is missing for “{stage}”"),
    "gate.not_begun": N_(
        "The deal was to begin in “{stage}”, but something is missing, so it is in “{first}” until it is complete."
    ),
    "gate.incomplete": N_("The deal was created by itself in “{stage}”, which asks for something that is missing."),
    "deal.stage_archived": N_("{by} removed the stage “{stage}”."),
    "deal.follows_already": N_("The client has an open deal there already: “{title}”."),
    "deal.follows": N_("“{title}” was won, and its pipeline goes on here."),
    "deal.win_taken_back": N_("The win that it followed was taken back."),
    "owner.with_anothers_client": N_(
        "{by} made the deal. The client is {who}'s, who goes on getting the client's calls."
    ),
    "task.with_your_client": N_("{who} has a deal with your client {client}: “{title}”"),
    "task.with_your_client_why": N_(
        "{who} made a deal with your client. The client is still yours, and so are the calls."
    ),
    "task.second_deal": N_("Two open deals of one client: merge them, or leave both"),
    "second_deal.named": N_("The client has another open deal in this pipeline: “{title}”. Nobody was asked about it."),
    "second_deal.of_colleague": N_(
        "The client has another open deal in this pipeline, of {who}. Nobody was asked about it."
    ),
    "passed.settled": N_("It has been done in another way."),
    "passed.deal_closed": N_("The deal moved to “{stage}”."),
    "task.why_lost": N_("Find out why it is lost: {title}"),
    "task.why_lost_why": N_("The deal was lost ({reason}), and its pipeline asks to find out why."),
    "deals.bulk_undone": N_("{by} took the act on many deals back."),
    "deal.talked": N_("A conversation took place, so it is no longer “{stage}”: {who} talked."),
}
