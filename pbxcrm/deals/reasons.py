"""Why a deal moved by itself, and what a stage asks for."""

from pbxcrm.shared.reasons import N_, Counted

REASONS: dict[str, str | Counted] = {
    "gate.lost_reason": N_("Say why the deal is lost."),
    "gate.next_task": N_(
        "The client was not reached and nothing is planned: set the next task before you close the deal."
    ),
    "gate.field": N_("Fill in “{key}”."),
    "gate.file": N_("Attach a file."),
    "gate.refused": N_(
        "The deal was to move to “{stage}” by itself, but something is missing, so it stayed where it was."
    ),
    "task.gate": N_("Complete the deal: it could not move to “{stage}”"),
    "deal.talked": N_("A conversation took place, so it is no longer “{stage}”: {who} talked."),
}
