"""``{"kind": "discount", "discount"}``: ``5 %`` or ``500`` on the whole of the deal."""

from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.steps.money_author import author_of
from pbxcrm.automation.steps.step import Repeats, Settings, Step, StepContext, StepTaken, TakingBack
from pbxcrm.money.discount_rules import must_ask
from pbxcrm.money.line_actions import do_give_discount, do_put_back
from pbxcrm.money.line_drafts import WholeDraft
from pbxcrm.money.line_rules import asked_of, cost_of, discount_text, gives_more
from pbxcrm.money.models import DealDiscount
from pbxcrm.money.queries import limit_of, lines_of
from pbxcrm.money.rules import check_discount, read_discount
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.reasons import N_, Reason, reason
from pbxcrm.shared.runtime_options import load_options


class _DiscountStep(Step):
    """A discount on the whole of the deal. Above the limit of whoever answers for the rule it is only asked for, and a manager decides."""

    kind = "discount"
    title = N_("Give a discount on the whole deal")
    repeats = Repeats.TOGETHER
    params = (
        Param(
            "discount",
            N_("Discount"),
            ParamKind.DISCOUNT,
            required=True,
            hint=N_(
                "5 %, or an amount. A larger one stays. Above the limit of whoever answers for the rule a manager decides."
            ),
        ),
    )

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        draft, said = _draft(context, settings)
        change = await do_give_discount(context.session, context.of_deal, draft, author_of(context), context.now)
        changed = change.what_changed()
        if not changed:
            return StepTaken(reason("automation.discount_there", discount=said))
        code = "automation.discount_asked" if asked_of(change.whole) else "automation.discount"
        return StepTaken(reason(code, discount=said), undo={"changed": changed})

    async def would(self, context: StepContext, settings: Settings) -> Reason:
        draft, said = _draft(context, settings)
        found = await lines_of(context.session, context.of_deal.id or 0)
        wanted = check_discount(draft.percent, draft.money, cost_of(found.lines), "discount")
        if not gives_more(wanted, found.lines, found.whole):
            return reason("automation.discount_there", discount=said)
        limit = limit_of(author_of(context).role, await load_options(context.session))
        code = "automation.discount_asked" if must_ask(wanted, found, limit) else "automation.discount"
        return reason(code, discount=said)

    async def undo(self, undoing: TakingBack, kept: Settings) -> Reason | None:
        assert undoing.deal is not None
        taken = await do_put_back(undoing.session, undoing.viewer, undoing.deal, kept["changed"], undoing.now)
        return None if taken else reason("automation.kept_changed")


def _draft(context: StepContext, settings: Settings) -> tuple[WholeDraft, str]:
    """The discount with the rule as its reason, and in words."""
    percent, money = read_discount(settings["discount"]) or (None, None)
    why = cut(context.rule.name, DealDiscount.asked_why)
    return WholeDraft(percent, money, why), discount_text(percent, money, context.of_deal.currency)


DISCOUNT = _DiscountStep()
