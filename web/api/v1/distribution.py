"""The rules of distribution: who gets new deals that are nobody's yet."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.distribution.access import check_rules
from pbxcrm.distribution.models import DistributionRule
from pbxcrm.distribution.queries import ReadyRule, access_rule, load_rules
from pbxcrm.distribution.rule_actions import (
    LARGEST_LIMIT,
    LARGEST_SINCE,
    MOST_MEMBERS,
    RuleChange,
    delete_rule,
    move_rule,
    save_rule,
)
from pbxcrm.distribution.rules import Kind, Member, Method, Otherwise, members_of
from pbxcrm.distribution.trial_queries import try_last_week
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Invalid
from web.api.fields import ApiAnswer, ApiRequest, Id, Login, ShortListQuery, Version, needed_text, optional_text
from web.api.resource import Ask, Page, Resource

distribution = Resource("distribution", "Distribution: who gets new deals that are nobody's yet, by rules in order.")

Limit = Annotated[int, Field(ge=1, le=LARGEST_LIMIT)]
Name = Annotated[str, needed_text(DistributionRule.name)]
Query = Annotated[str, optional_text(DistributionRule.query)]
QUERY = (
    "Which deals, as filters in an address: `line`, `form`, `pipeline`, `stage`, `source`, `amount.min`, `number.begins`, "
    "`field.KEY`, `client.field.KEY`, `where` (a condition in JSON). Several values of one name: one of them. Empty: all."
)


class MemberBody(ApiRequest):
    """A person (by login) or the sellers of a team (by id). One of the two."""

    login: Login | None = None
    team_id: Id | None = None
    since: Annotated[Decimal, Field(ge=0, lt=LARGEST_SINCE)] | None = Field(
        None, description="The amount from which on they take deals, for `value`; null: any."
    )


Members = Annotated[list[MemberBody], Field(min_length=1, max_length=MOST_MEMBERS)]


class NewRule(ApiRequest):
    """A new rule; it comes last."""

    name: Name
    method: Method = Method.TURNS
    members: Members
    query: Query = Field("", description=QUERY)
    on: bool = True
    on_shift: bool = Field(True, description="Only people who are at work at that moment.")
    most_open: Limit | None = Field(None, description="Open deals of a person; who has so many gets none.")
    most_per_day: Limit | None = Field(None, description="Deals of this rule per person and calendar day.")
    otherwise: Otherwise = Field(Otherwise.NOBODY, description="If nobody can get it.")


class RulePatch(ApiRequest):
    """Changes. A field that is left out stays unchanged."""

    name: Name | None = None
    method: Method | None = None
    members: Members | None = None
    query: Query | None = Field(None, description=QUERY)
    on: bool | None = None
    on_shift: bool | None = None
    most_open: Limit | None = None
    most_per_day: Limit | None = None
    otherwise: Otherwise | None = None
    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")


class RuleMove(ApiRequest):
    """Where to in the order."""

    up: bool = Field(description="True: before the rule above; false: behind the rule below.")


class MemberOut(ApiAnswer):
    """A person or a team."""

    login: str | None
    team_id: int | None
    since: Decimal | None


class RuleOut(ApiAnswer):
    """A rule. The first one that speaks for a deal decides."""

    id: int
    name: str
    method: Method
    members: list[MemberOut]
    query: str = Field(description=QUERY)
    on: bool
    broken: bool = Field(description="Something that it asks is gone, so it speaks for no deal.")
    on_shift: bool
    most_open: int | None
    most_per_day: int | None
    otherwise: Otherwise
    version: int


class TriedOut(ApiAnswer):
    """A call of last week: who got its deal, and who would have."""

    call_id: int
    deal_id: int
    at: datetime
    got: str | None = Field(description="A login.")
    would_get: str | None = Field(description="A login.")
    rule: str | None = Field(description="The name of the rule; null: none speaks, so it goes as it did.")
    why: list[str]


@distribution.get("/distribution/rules", needs=Permission.SETTINGS_EDIT, summary="All rules in their order")
async def read_rules(ask: Ask, query: ShortListQuery) -> Page[RuleOut]:
    people = await load_directory(ask.session)
    return Page[RuleOut].part_of([_out(ready, people) for ready in await load_rules(ask.session)], query)


@distribution.get(
    "/distribution/trial", needs=Permission.SETTINGS_EDIT, summary="Who would have got the calls of last week"
)
async def read_trial(ask: Ask, query: ShortListQuery) -> Page[TriedOut]:
    """New deals of calls that nobody answered, the newest first. Nothing is changed."""
    people = await load_directory(ask.session)
    found = await try_last_week(ask.session, ask.viewer, ask.now)
    rows = [
        TriedOut(
            call_id=row.call.call_id,
            deal_id=row.call.deal_id,
            at=row.call.at,
            got=people.login(row.call.got_id),
            would_get=people.login(row.user_id),
            rule=row.rule.name if row.rule is not None else None,
            why=reasons.sentences(row.why),
        )
        for row in found.rows
    ]
    return Page[TriedOut].part_of(rows, query)


@distribution.get("/distribution/rules/{rule_id}", needs=Permission.SETTINGS_EDIT, summary="One rule")
async def read_rule(ask: Ask, rule_id: int) -> RuleOut:
    return await _one(ask, await access_rule(ask.session, rule_id))


@distribution.post(
    "/distribution/rules",
    needs=Permission.SETTINGS_EDIT,
    summary="Add a rule",
    location=lambda made: f"/distribution/rules/{made.id}",
)
async def post_rule(ask: Ask, body: NewRule) -> RuleOut:
    people = await load_directory(ask.session)
    change = RuleChange(
        name=body.name,
        method=body.method.value,
        members=_members(body.members, people),
        query=body.query.removeprefix("?"),
        is_on=body.on,
        on_shift=body.on_shift,
        most_open=body.most_open,
        most_per_day=body.most_per_day,
        otherwise=body.otherwise.value,
    )
    return await _one(ask, await save_rule(ask.session, ask.viewer, None, change, version=None, now=ask.now))


@distribution.patch("/distribution/rules/{rule_id}", needs=Permission.SETTINGS_EDIT, summary="Change a rule")
async def patch_rule(ask: Ask, rule_id: int, body: RulePatch) -> RuleOut:
    """What it has given stays given."""
    row, sent = await access_rule(ask.session, rule_id), body.model_fields_set
    people = await load_directory(ask.session)
    change = RuleChange(
        name=body.name if body.name is not None else row.name,
        method=body.method.value if body.method is not None else row.method,
        members=_members(body.members, people) if body.members is not None else members_of(row),
        query=body.query.removeprefix("?") if body.query is not None else row.query,
        is_on=body.on if body.on is not None else row.is_on,
        on_shift=body.on_shift if body.on_shift is not None else row.on_shift,
        most_open=body.most_open if "most_open" in sent else row.most_open,
        most_per_day=body.most_per_day if "most_per_day" in sent else row.most_per_day,
        otherwise=body.otherwise.value if body.otherwise is not None else row.otherwise,
    )
    return await _one(ask, await save_rule(ask.session, ask.viewer, rule_id, change, version=body.version, now=ask.now))


@distribution.post(
    "/distribution/rules/{rule_id}/move", needs=Permission.SETTINGS_EDIT, summary="Move a rule in the order", status=200
)
async def post_move(ask: Ask, rule_id: int, body: RuleMove) -> RuleOut:
    await move_rule(ask.session, ask.viewer, rule_id, up=body.up, now=ask.now)
    return await _one(ask, await access_rule(ask.session, rule_id))


@distribution.delete("/distribution/rules/{rule_id}", needs=Permission.SETTINGS_EDIT, summary="Delete a rule")
async def remove_rule(ask: Ask, rule_id: int) -> None:
    """What it has given stays given."""
    await delete_rule(ask.session, ask.viewer, rule_id, ask.now)


def _members(bodies: list[MemberBody], people: Directory) -> list[Member]:
    found = []
    for place, body in enumerate(bodies):
        if (body.login is None) == (body.team_id is None):
            raise Invalid(f"members.{place}", "distribution.member", "Name a person or a team.")
        if body.team_id is not None:
            found.append(Member(Kind.TEAM, body.team_id, body.since))
            continue
        user_id = next((each for each, user in people.users.items() if user.login == (body.login or "").lower()), None)
        if user_id is None:
            raise Invalid(
                f"members.{place}.login",
                "people.not_found",
                "There is no such person, or they are not in your team.",
            )
        found.append(Member(Kind.USER, user_id, body.since))
    return found


async def _one(ask: Ask, rule: DistributionRule) -> RuleOut:
    check_rules(ask.viewer)
    await ask.session.flush()
    ready = next(each for each in await load_rules(ask.session) if each.rule.id == rule.id)
    return _out(ready, await load_directory(ask.session))


def _out(ready: ReadyRule, people: Directory) -> RuleOut:
    rule = ready.rule
    return RuleOut(
        id=rule.id or 0,
        name=rule.name,
        method=Method(rule.method),
        members=[
            MemberOut(
                login=people.login(each.id) if each.kind is Kind.USER else None,
                team_id=each.id if each.kind is Kind.TEAM else None,
                since=each.since,
            )
            for each in members_of(rule)
        ],
        query=rule.query,
        on=rule.is_on,
        broken=ready.condition is None,
        on_shift=rule.on_shift,
        most_open=rule.most_open,
        most_per_day=rule.most_per_day,
        otherwise=Otherwise(rule.otherwise),
        version=rule.version,
    )
