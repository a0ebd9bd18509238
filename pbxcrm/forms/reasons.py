"""The sentences for what became of requests, who gets them, and which step of a repeat sale failed."""

from pbxcrm.shared.reasons import N_, Counted

REASONS: dict[str, str | Counted] = {
    "form.deal": N_("{name} sent the form “{form}”."),
    "form.deal_mail": N_("{name} wrote an e-mail to “{form}”."),
    "form.answer": N_("{name} answered the message “{subject}”."),
    "form.joined": N_("The client has an open deal there already: “{title}”. The request is with it."),
    "form.accepted": N_("{by} said that it is a request."),
    "form.trap": N_("A field that people cannot see was filled in, as robots do."),
    "form.spam": N_("{number} is on the list of numbers that are not clients."),
    "mail.robot": N_("A program sent the e-mail ({sign})."),
    "mail.own": N_("The e-mail is from our own address."),
    "mail.unreadable": N_("The e-mail cannot be read: {why}."),
    "form.owner_deal": N_("{who} has the open deal."),
    "form.owner_client": N_("{who} is responsible for the client."),
    "form.owner_form": N_("{who} gets the requests of “{form}”."),
    "form.owner_nobody": N_("Nobody is set to get the requests of “{form}”."),
    "form.client": N_("{name} came with a request to “{form}”."),
    "task.request": N_("Answer the request: {client}"),
    "task.request_why": N_("A request came to “{form}”."),
    "task.request_nobody": N_("Nobody has this request: {client}"),
    "repeat.flag": N_("A client who had bought before came through the form “{form}” instead of a repeat sale."),
    "repeat.lost": N_("The repeat sale “{title}” was lost after the stage “{stage}”: {why}"),
    "repeat.overdue": N_("A task of the repeat sale “{title}” is overdue: “{task}”, {who}."),
    "repeat.unplanned": N_("The repeat sale “{title}” stands in “{stage}” without a next task."),
    "repeat.not_begun": N_("“{title}” was won, and no repeat sale followed."),
    "repeat.none": N_("No step of the repeat sale had failed: “{title}” stands in “{stage}”."),
}
