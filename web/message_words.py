"""Messages to clients in the reader's language: states and channels."""

from pbxcrm.messages.mail import UNSUBSCRIBE
from pbxcrm.messages.models import DeliveryState, MessageChannel
from pbxcrm.messages.sms_rules import size_of
from pbxcrm.messages.template_rules import linked
from web.i18n import N_
from web.i18n import gettext as _

STATES: dict[str, str] = {
    DeliveryState.QUEUED.value: N_("waits to be sent"),
    DeliveryState.SENDING.value: N_("is being sent"),
    DeliveryState.SENT.value: N_("sent"),
    DeliveryState.FAILED.value: N_("not sent"),
    DeliveryState.REFUSED.value: N_("held back"),
    DeliveryState.UNKNOWN.value: N_("not known"),
    DeliveryState.WATCH.value: N_("only watched"),
    DeliveryState.LEFT.value: N_("left as it is"),
}
CHANNELS: dict[str, str] = {MessageChannel.EMAIL.value: N_("E-mail"), MessageChannel.SMS.value: N_("SMS")}
#: What holds back every message of a channel, said where a rule is switched on.
_UNSENT: dict[str, str] = {
    MessageChannel.EMAIL.value: N_("No mail server is set: this e-mail cannot be sent."),
    MessageChannel.SMS.value: N_("No SMS gateway is set, or it is off: this SMS cannot be sent."),
}
_TONES = {
    DeliveryState.FAILED.value: "red",
    DeliveryState.UNKNOWN.value: "red",
    DeliveryState.REFUSED.value: "amber",
    DeliveryState.SENT.value: "green",
}


def unsent(code: str) -> str:
    """Why nothing is sent by this channel; empty for none."""
    return _(_UNSENT[code]) if code else ""


def shown_body(text: str, home: str) -> str:
    """A body as its reader got it, but for the secret of the link that ends messages. ``home``: how strangers reach our pages, or empty."""
    return linked(text, f"{home.rstrip('/')}{UNSUBSCRIBE}/…" if home else "")


def state(code: str) -> str:
    """How a message stands."""
    return _(STATES.get(code, code))


def channel(code: str) -> str:
    """How a message travels."""
    return _(CHANNELS.get(code, code))


def tone(code: str) -> str:
    """The colour of a state."""
    return _TONES.get(code, "")


def size(text: str) -> str:
    """How many SMS a text needs: it is paid for by them."""
    found = size_of(text)
    said = (
        _("SMS: {parts}, of at most 70 letters because some are not Latin. Room for {left} more in the last.")
        if found.is_unicode
        else _("SMS: {parts}. Room for {left} more letters in the last.")
    )
    return said.format(parts=found.parts, left=found.left)
