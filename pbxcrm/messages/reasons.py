"""The sentences of messages: why one was not sent, and what somebody is asked to look at."""

from pbxcrm.shared.reasons import N_, Counted, N_counted

REASONS: dict[str, str | Counted] = {
    "message.no_email": N_("The client has no e-mail address."),
    "message.no_sms": N_("The client has no number that takes SMS."),
    "message.stopped": N_("{address} is on the stop list."),
    "message.unsubscribed": N_("Whoever got “{subject}” pressed the link in it that ends messages."),
    "message.no_consent": N_("The client does not agree to the use of their data."),
    "message.consent_missing": N_("The client has not said yet that they agree to the use of their data."),
    "message.often": N_counted(
        "The client got {most} message today already, and rules send no more.",
        "The client got {most} messages today already, and rules send no more.",
        "most",
    ),
    "message.quiet": N_("It waits for the end of quiet hours ({hours})."),
    "message.no_value": N_("“{field}” is empty, and the template has no other word for it."),
    "message.formula": N_("A formula of the template gives nothing: {why}"),
    "message.too_long": N_("The text is {parts} SMS long; at most {most} are sent as one message."),
    "message.gone": N_("The template asks for something that is gone: {why}"),
    "message.retry": N_("It could not be sent and will be tried again: {why}"),
    "message.failed": N_("It could not be sent: {why}"),
    "message.unknown": N_(
        "The sender stopped in the midst: it may have arrived, or not. Decide whether it is sent again."
    ),
    "message.unsure": N_("The other side did not say whether it took the message: {why}"),
    "message.watched": N_("The rule only watches: nothing was sent."),
    "message.left": N_("Somebody left it as it is."),
    "task.message": N_("Look at a message to the client"),
}
