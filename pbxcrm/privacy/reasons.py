"""The sentence that stands where a reason named a client who was erased."""

from pbxcrm.shared.reasons import N_, Counted

ERASED = "privacy.erased"
REASONS: dict[str, str | Counted] = {ERASED: N_("The client was erased on request, and with them what stood here.")}
