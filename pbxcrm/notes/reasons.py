"""The sentences for the tasks of people whom a note names."""

from pbxcrm.shared.reasons import N_

REASONS: dict[str, str] = {
    "note.mention": N_("{who} asks you in a note: {text}"),
    "note.mention_why": N_("{who} named you in a note on the deal."),
}
