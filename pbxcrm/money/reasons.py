"""The sentences for what the product does with prices by itself."""

from pbxcrm.shared.reasons import N_, Counted

REASONS: dict[str, str | Counted] = {
    "money.by_lines": N_("The amount is the sum of the lines of the deal."),
    "task.discount": N_("Decide about a discount: {title}"),
    "discount.asked": N_("{who} asks for a discount of {discount} on “{what}”: {why}"),
    "discount.asked_whole": N_("{who} asks for a discount of {discount} on the whole deal: {why}"),
    "discount.asked_by_rule": N_("The rule “{rule}” asks for a discount of {discount} on the whole deal."),
    "discount.replaced": N_("{who} has changed it since."),
    "discount.approved": N_("{who} approved the discount."),
    "discount.refused": N_("{who} refused the discount: {why}"),
    "task.discount_approved": N_("The discount of {discount} is approved: {title}"),
    "task.discount_refused": N_("The discount of {discount} is refused: {title}"),
}
