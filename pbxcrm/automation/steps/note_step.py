"""``{"kind": "note", "text"}``."""

from pbxcrm.automation.params import FORMULAS, Param, ParamKind
from pbxcrm.automation.rule_formulas import text_by
from pbxcrm.automation.steps.step import Repeats, Settings, Step, StepContext, StepTaken, TakingBack
from pbxcrm.deals.models import Note
from pbxcrm.notes.actions import do_add_note, do_take_back_note
from pbxcrm.shared.lengths import cut, longest
from pbxcrm.shared.reasons import N_, Reason, reason

LONGEST_TOLD = 80  # letters of a note that the log repeats


class _NoteStep(Step):
    """A note on the deal, or on the client; nobody is its author."""

    kind = "note"
    title = N_("Write a note")
    repeats = Repeats.TOGETHER
    params = (
        Param(
            "text", N_("Text"), ParamKind.TEXT, required=True, most=longest(Note.text), has_formulas=True, hint=FORMULAS
        ),
    )
    needs_deal = False
    changes = frozenset()

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        text = cut(await text_by(context, settings["text"], "text"), Note.text)
        note = await do_add_note(context.session, text, context.now, deal=context.deal, contact_id=context.contact_id)
        return StepTaken(_said(text), undo={"note": note.id, "version": note.version})

    async def would(self, context: StepContext, settings: Settings) -> Reason:
        return _said(cut(await text_by(context, settings["text"], "text"), Note.text))

    async def undo(self, undoing: TakingBack, kept: Settings) -> Reason | None:
        taken = await do_take_back_note(undoing.session, kept["note"], kept["version"], undoing.now)
        return None if taken else reason("automation.kept_changed")


def _said(text: str) -> Reason:
    return reason("automation.noted", text=text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]}…")


NOTE = _NoteStep()
