"""``{"kind": "deal", "stage_id", "title", "carry"}``: another deal, for example in the pipeline of repeat sales; of a client the first one."""

from pbxcrm.automation.params import WORDS_OF_WHOM, Param, ParamKind
from pbxcrm.automation.steps.step import Repeats, Settings, Step, StepContext, StepTaken, TakingBack
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.creation_actions import DealDraft, do_create_by_itself
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.deals.merge_queries import open_of_same_clients
from pbxcrm.deals.merge_rules import Wanted
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.second_deal_queries import others_there
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.terms import name_of_term
from pbxcrm.fields.value_actions import do_adopt_values
from pbxcrm.people.whom import RESPONSIBLE
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import longest
from pbxcrm.shared.reasons import N_, Reason, reason


class _DealStep(Step):
    """A new deal of the same client. ``carry``: fields whose values go along, and ``responsible``; of a client whoever looks after them.

    Never a second open deal of one client in one pipeline: then the step names the one that is there, and what the rule is for is done.
    """

    kind = "deal"
    title = N_("Make a deal of the client")
    repeats = Repeats.TOGETHER
    params = (
        Param("stage_id", N_("In which stage it begins"), ParamKind.OPEN_STAGE, required=True),
        Param(
            "title",
            N_("Title"),
            ParamKind.LINE,
            most=longest(Deal.title),
            default="",
            hint=N_("Empty: that of the deal, or the name of the client."),
        ),
        Param(
            "carry",
            N_("What goes along"),
            ParamKind.FIELDS,
            choices={RESPONSIBLE: WORDS_OF_WHOM[RESPONSIBLE]},
            default=(),
        ),
    )

    needs_deal = False

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        stage = await context.session.get(Stage, settings["stage_id"])
        if stage is None or stage.archived_at is not None:
            raise Invalid("stage_id", "deals.no_stage", "There is no such stage any more.")
        if context.deal is None:
            new = await _of_client(context, settings, stage)
            there = await others_there(context.session, Wanted(new.contact_id, None), stage.pipeline_id)
            if there:
                return StepTaken(reason("automation.made_there", title=there[0].title))
            made = await do_create_by_itself(context.session, new, context.now, context.around.people)
            return StepTaken(reason("automation.made", stage=stage.name, title=made.title), undo={"deal": made.id})
        deal, carry = context.deal, set(settings["carry"])
        there = await others_there(context.session, deal, stage.pipeline_id)
        if there:
            return StepTaken(reason("automation.made_there", title=there[0].title))
        owner = context.around.people.active(deal.responsible_id) if RESPONSIBLE in carry else None
        new = DealDraft(
            title=settings["title"] or deal.title,
            stage=stage,
            responsible_id=owner.id if owner is not None else None,
            reason=context.why,
            currency=deal.currency,
            contact_id=deal.contact_id,
            company_id=deal.company_id,
            client_number=deal.client_number,
            number_since=context.now if deal.client_number else None,
            values={key: getattr(deal, key) for key in BY_KEY if key in carry and key != "title"},
        )
        kept = {
            str(each.id): deal.custom[str(each.id)]
            for each in context.around.fields.of(FieldEntity.DEAL, typed=True)
            if name_of_term(each) in carry and not each.is_unique and str(each.id) in deal.custom
        }

        async def complete(made: Deal) -> None:
            await do_adopt_values(context.session, FieldEntity.DEAL, made, kept)

        made = await do_create_by_itself(
            context.session, new, context.now, context.around.people, complete if kept else None
        )
        return StepTaken(reason("automation.made", stage=stage.name, title=made.title), undo={"deal": made.id})

    async def would(self, context: StepContext, settings: Settings) -> Reason:
        stage = await context.session.get(Stage, settings["stage_id"])
        pipeline_id = stage.pipeline_id if stage is not None else 0
        meant = context.deal or Wanted((await _client(context)).id, None)
        there = (await open_of_same_clients(context.session, [meant], pipeline_id=pipeline_id))[meant.id or 0]
        if there:
            return reason("automation.made_there", title=there[0].title)
        title = settings["title"] or (context.deal.title if context.deal is not None else (await _client(context)).name)
        return reason("automation.made", stage=stage.name if stage is not None else "", title=title)

    async def undo(self, _undoing: TakingBack, kept: Settings) -> Reason | None:
        return reason("automation.kept_made") if kept else None


async def _client(context: StepContext) -> Contact:
    """The client that a rule on clients works on."""
    return await context.session.get_one(Contact, context.contact_id)


async def _of_client(context: StepContext, settings: Settings, stage: Stage) -> DealDraft:
    client = await _client(context)
    owner = context.around.people.active(client.responsible_id) if RESPONSIBLE in settings["carry"] else None
    return DealDraft(
        title=settings["title"] or client.name,
        stage=stage,
        responsible_id=owner.id if owner is not None else None,
        reason=context.why,
        currency=context.around.currency,
        contact_id=client.id,
        company_id=client.company_id,
    )


DEAL = _DealStep()
