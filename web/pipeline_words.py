"""The words of pipelines: kinds of stages, what the next deal takes over, colours."""

from pbxcrm.deals.models import Carried, Colour, StageKind
from web.i18n import N_

KINDS: dict[str, str] = {
    StageKind.OPEN.value: N_("Open: deals are worked on here"),
    StageKind.UNSORTED.value: N_("Unsorted: callers arrive here"),
    StageKind.DIDNT_REACH.value: N_("Didn't reach: missed callers arrive here"),
    StageKind.WON.value: N_("Won"),
    StageKind.LOST.value: N_("Lost"),
}
CARRIED: dict[str, str] = {
    Carried.CLIENT.value: N_("the client"),
    Carried.RESPONSIBLE.value: N_("who is responsible"),
    Carried.AMOUNT.value: N_("the amount"),
    Carried.SOURCE.value: N_("the source"),
    Carried.NOTES.value: N_("the notes"),
}
COLOURS: dict[str, str] = {
    Colour.NONE.value: N_("none"),
    Colour.BLUE.value: N_("blue"),
    Colour.VIOLET.value: N_("violet"),
    Colour.TEAL.value: N_("teal"),
    Colour.PINK.value: N_("pink"),
    Colour.BROWN.value: N_("brown"),
    Colour.GREY.value: N_("grey"),
}
