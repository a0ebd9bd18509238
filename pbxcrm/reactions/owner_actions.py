"""Whose a callback and a new deal of a call are: the order of the settings, and the rules of distribution within it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pbxcrm.access import Permission, may
from pbxcrm.callbacks.rules import Candidate, choose_owner
from pbxcrm.calls.rules import title_of_new_deal
from pbxcrm.deals.models import Stage
from pbxcrm.distribution.actions import NO_RULE, Choice
from pbxcrm.distribution.actions import choose_owner as choose_by_rules
from pbxcrm.distribution.cases import DealCase
from pbxcrm.people.models import User
from pbxcrm.reactions.call_context import Case
from pbxcrm.reactions.client_of_call import last_talked
from pbxcrm.shared.reasons import Reason

#: Proposals of the order that come from the client: who answers for them or knows them.
KNOWS_CLIENT = {"owner.responsible", "owner.last_talked"}


@dataclass(frozen=True, slots=True)
class CallOwner:
    """Who gets the callback and the new deal, why, and what the rules of distribution said."""

    user_id: int | None
    why: Reason
    choice: Choice = NO_RULE


async def choose_owner_of(case: Case, new: DealCase | None) -> CallOwner:
    """C5: try the owners in the order of the settings; the first one on shift gets it.

    ``new``: a deal that is nobody's (D11). Whoever knows the client goes first if they are there; then a rule of distribution that
    speaks for the deal decides, in place of the rest of the order. If it has nobody, the client's own person keeps the client.
    """
    candidates = await _candidates(case)
    own = [each for each in candidates if each.code in KNOWS_CLIENT]
    if new is None or any(each.on_shift for each in own):
        return CallOwner(*choose_owner(candidates))
    choice = await choose_by_rules(case.session, new, case.at)
    if choice.reason is None:
        return CallOwner(*choose_owner(candidates))
    if choice.user_id is None and own:
        user_id, why = choose_owner(own)
        return CallOwner(user_id, Reason(why.code, why.params, (*why.because, choice.reason)), choice)
    return CallOwner(choice.user_id, choice.reason, choice)


async def _candidates(case: Case) -> list[Candidate]:
    """The possible owners in the order of the settings."""
    people, line = case.context.people, case.line
    responsible = (
        case.client.deal.responsible_id
        if case.client.deal
        else (case.client.contact.responsible_id if case.client.contact else None)
    )
    rang: Sequence[User] = [user for user in map(people.user_of, case.state.rang) if user is not None]
    last_rang = rang[-1].id if rang else None
    manager = people.manager_of(last_rang if last_rang is not None else line.owner_id)
    asked = {
        "responsible": responsible,
        "last_talked": await last_talked(case.session, case.client, case.context.write_down)
        if "last_talked" in case.context.options.owner_order
        else None,
        "last_rang": last_rang,
        "line": line.owner_id,
        "manager": manager.id if manager is not None else None,
    }
    proposed = [(rule, people.active(asked.get(rule))) for rule in case.context.options.owner_order]
    return [
        _candidate(case, rule, user, line.name) for rule, user in proposed if user is not None and user.id is not None
    ]


def _candidate(case: Case, rule: str, user: User, line: str) -> Candidate:
    """Whom a rule proposes, or who does their work while they are away."""
    calendars, user_id = case.context.calendars, user.id or 0
    deputy = case.context.people.active(calendars.acting(user_id, case.at))
    if deputy is None or deputy.id == user_id or not may(deputy.role, Permission.CALLBACKS_WORK):
        return Candidate(f"owner.{rule}", user_id, user.name, calendars.on_shift(user_id, case.at), line)
    here = calendars.on_shift(deputy.id or 0, case.at)
    return Candidate(f"owner.{rule}", deputy.id or 0, deputy.name, here, line, user.name)


def new_case(case: Case, stage: Stage) -> DealCase:
    """The deal that the call would make, as the rules of distribution ask about it."""
    contact, line = case.client.contact, case.line
    return DealCase(
        stage.pipeline_id,
        stage.id,
        subject=f"call:{case.call.id}",
        line_id=line.id,
        source=line.source or line.name,
        title=title_of_new_deal(contact.name if contact else None, case.call.client_name, case.client.number),
        client_number=case.client.number,
        client_custom=contact.custom if contact else {},
    )
