"""Texts that explain entries in a client's history."""

from pbxcrm.shared.reasons import N_, Counted

REASONS: dict[str, str | Counted] = {
    "contact.merged": N_(
        "“{client}” and this client are one person. Numbers, addresses, deals, tasks, calls and notes of both are here."
    ),
    "contact.consented": N_("The client ticked it in the form “{form}”."),
}
