"""The form of a rule of distribution: what it may ask of a deal, and how it is read and said in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import parse_qsl, urlencode

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Role, may
from pbxcrm.calls.lines import load_lines
from pbxcrm.deals.queries import load_funnel
from pbxcrm.distribution.cases import CLIENT, NOT_ASKED, WHERE, case_terms
from pbxcrm.distribution.hooks import names_of_forms
from pbxcrm.distribution.models import DistributionRule
from pbxcrm.distribution.queries import ReadyRule
from pbxcrm.distribution.rule_actions import RuleChange
from pbxcrm.distribution.rules import Kind, Member, Method, Otherwise, members_of, named
from pbxcrm.fields.conditions import Shape, Vocabulary
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import read_decimal
from pbxcrm.fields.terms import name_of_term, shape_of
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import Team, User
from pbxcrm.shared.errors import Invalid
from web.deal_filters import CUSTOM, CustomInput, said_of_term
from web.formats import money
from web.forms import Form, filled
from web.i18n import N_, ngettext
from web.i18n import gettext as _

METHODS: dict[str, str] = {
    Method.TURNS.value: N_("By turns"),
    Method.LEAST_DEALS.value: N_("To whoever has the fewest open deals"),
    Method.LEAST_TASKS.value: N_("To whoever has the fewest open tasks"),
    Method.VALUE.value: N_("By value: the bigger deals to the experienced"),
}
OTHERWISE: dict[str, str] = {
    Otherwise.NOBODY.value: N_("It stays nobody's, and the manager gets a task"),
    Otherwise.NEXT.value: N_("The next rule is asked"),
}
#: Conditions on texts and numbers that every rule may have, by their name in the query.
CHOSEN = ("line", "form", "pipeline")
PLAIN = ("source", "amount.min", "amount.max", "number.begins")


@dataclass(frozen=True, slots=True)
class RuleNames:
    """The names of everything that rules name. ``inputs``: what may be asked besides ``PLAIN``: lines, forms, pipelines, custom fields."""

    people: Directory
    terms: Vocabulary
    inputs: tuple[CustomInput, ...]

    @property
    def options(self) -> Mapping[str, Mapping[str, str]]:
        """The words of values by term and value."""
        return {each.name: dict(each.options) for each in self.inputs}

    @property
    def names(self) -> list[str]:
        """The names of the fields of the form that are conditions."""
        return [*PLAIN, *(name for each in self.inputs for name in names_of(each))]


def names_of(asked: CustomInput) -> list[str]:
    """The names in the query by which a field is asked: one of some values, a part of a text, or from and up to."""
    if asked.options:
        return [asked.name]
    if asked.shape is Shape.TEXT:
        return [f"{asked.name}.contains"]
    return [f"{asked.name}.min", f"{asked.name}.max"] if asked.shape in {Shape.INTEGER, Shape.DATE} else []


async def load_rule_names(session: AsyncSession) -> RuleNames:
    """What the pages of rules show names of."""
    people, fields = await load_directory(session), await load_fields(session)
    funnel = await load_funnel(session)
    lines = tuple((str(line.id), line.name) for line in await load_lines(session))
    forms = tuple((str(form_id), name) for form_id, name in (await names_of_forms(session)).items())
    pipelines = tuple((str(each.id), _(each.name)) for each in funnel.pipelines.values() if each.archived_at is None)
    inputs = [
        CustomInput("line", _("Line"), Shape.REFERENCE, lines),
        CustomInput("form", _("Web form"), Shape.REFERENCE, forms),
        CustomInput("pipeline", _("Pipeline"), Shape.REFERENCE, pipelines if len(pipelines) > 1 else ()),
    ]
    for entity, prefix in ((FieldEntity.DEAL, ""), (FieldEntity.CONTACT, CLIENT)):
        inputs += [_input(each, prefix, people) for each in fields.of(entity) if each.kind not in NOT_ASKED]
    shown = tuple(each for each in inputs if names_of(each))
    return RuleNames(people, case_terms(fields, people), shown)


def _input(field: FieldDefinition, prefix: str, people: Directory) -> CustomInput:
    options = tuple((str(option["id"]), str(option["name"])) for option in field.options if not option["retired"])
    if field.kind == ValueKind.YES_NO:
        options = (("1", _("yes")), ("0", _("no")))
    elif field.kind == ValueKind.PERSON:
        options = tuple((str(user_id), user.name) for user_id, user in people.users.items() if user.is_active)
    title = _("Client: {field}").format(field=field.name) if prefix else field.name
    return CustomInput(prefix + name_of_term(field), title, shape_of(field), options)


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A person or a team that the form offers: ``value`` as in ``members``, ``since`` as typed."""

    value: str
    name: str
    is_team: bool
    ticked: bool
    since: str


def member_rows(form: Form, people: Directory) -> list[MemberRow]:
    """Teams, each with its people; then those without a team. Who has left or may not work on deals only if the rule names them."""
    ticked = set(form.all("members"))
    since = dict(zip(form.all("since_of"), form.all("since"), strict=False))

    def row(kind: Kind, row_id: int | None, name: str) -> MemberRow:
        value = f"{kind.value}:{row_id}"
        return MemberRow(value, name, kind is Kind.TEAM, value in ticked, since.get(value, ""))

    def offered(user: User) -> bool:
        works = user.is_active and may(user.role, Permission.DEALS_EDIT)
        return works or f"{Kind.USER.value}:{user.id}" in ticked

    teams: list[Team | None] = [*sorted(people.teams.values(), key=lambda team: team.name), None]
    found = []
    for team in teams:
        users = [user for user in people.users.values() if user.team_id == (team.id if team is not None else None)]
        mine = sorted((user for user in users if offered(user)), key=lambda user: (user.role != Role.SELLER, user.name))
        if team is not None and (mine or f"{Kind.TEAM.value}:{team.id}" in ticked):
            found.append(row(Kind.TEAM, team.id, _("The whole team {name}").format(name=team.name)))
        found += [row(Kind.USER, user.id, user.name) for user in mine]
    return found


def change_typed(form: Form) -> RuleChange:
    """The rule that was typed. Raises Invalid at the wrong field."""
    # Also what the form does not offer any more: a line that is deleted meanwhile must not make it a rule for every deal.
    asked = [*PLAIN, *CHOSEN, *(name for name in form.lists if name.startswith((CUSTOM, CLIENT + CUSTOM)))]
    pairs = [(name, value.strip()) for name in asked for value in form.all(name) if value.strip()]
    pairs += parse_qsl(form["more"])
    return RuleChange(
        name=form["name"],
        method=form["method"],
        members=_members_typed(form),
        query=urlencode(pairs),
        is_on=form.ticked("is_on"),
        on_shift=form.ticked("on_shift"),
        most_open=form.number("most_open"),
        most_per_day=form.number("most_per_day"),
        otherwise=form["otherwise"],
    )


def _members_typed(form: Form) -> list[Member]:
    ticked = set(form.all("members"))
    since = dict(zip(form.all("since_of"), form.all("since"), strict=False))
    return [
        _member(value, since.get(value, "") if form["method"] == Method.VALUE else "")
        for value in dict.fromkeys([*since, *form.all("members")])
        if value in ticked
    ]


def _member(value: str, since: str) -> Member:
    kind, _colon, row_id = value.partition(":")
    if kind not in set(Kind) or not row_id.isascii() or not row_id.isdigit() or len(row_id) > 18:
        raise Invalid("members", "distribution.whom", "Choose at least one person or team.")
    amount = read_decimal(since) if since.strip() else None
    if since.strip() and amount is None:
        raise Invalid(f"since_{kind}_{row_id}", "deals.amount", "Write the amount as a number, for example 12400.50.")
    return Member(Kind(kind), int(row_id), amount)


def form_of(rule: DistributionRule, names: RuleNames) -> Form:
    """The form of a rule that there is."""
    known = set(names.names)
    pairs = parse_qsl(rule.query)
    members = members_of(rule)
    form = filled(
        {
            "name": rule.name,
            "method": rule.method,
            "is_on": rule.is_on,
            "on_shift": rule.on_shift,
            "most_open": rule.most_open,
            "most_per_day": rule.most_per_day,
            "otherwise": rule.otherwise,
            "version": rule.version,
            "more": urlencode([pair for pair in pairs if pair[0] not in known]),
        }
    )
    for name, value in pairs:
        if name in known:
            form.values.setdefault(name, value)
            form.lists.setdefault(name, []).append(value)
    form.lists["members"] = [f"{each.kind.value}:{each.id}" for each in members]
    form.lists["since_of"] = form.lists["members"]
    form.lists["since"] = [f"{each.since:f}" if each.since is not None else "" for each in members]
    return form


def conditions_said(query: str, names: RuleNames) -> list[str]:
    """The conditions of a rule, each in words."""
    return [
        _("a condition of its own") if name == WHERE else said_of_term(names.terms, names.options, name, value)
        for name, value in parse_qsl(query)
    ]


def rule_said(ready: ReadyRule, names: RuleNames) -> list[str]:
    """A rule in sentences: which deals, to whom and how, with which limits, and what else happens."""
    rule = ready.rule
    if ready.condition is None:
        return [_("Something that this rule asks is gone, so it speaks for no deal. Edit it.")]
    asked = conditions_said(rule.query, names)
    which = _("New deals with {conditions}").format(conditions="; ".join(asked)) if asked else _("All new deals")
    whom = named(_member_said(each, names, rule.method) for each in members_of(rule))
    said = [f"{which}: {_lowered(_(METHODS[rule.method]))} — {whom}."]
    said.append(
        _("Only to who is at work.") if rule.on_shift else _("Also to who is off shift, but not to who is away.")
    )
    if rule.most_open is not None:
        said.append(
            ngettext("At most {n} open deal per person.", "At most {n} open deals per person.", rule.most_open).format(
                n=rule.most_open
            )
        )
    if rule.most_per_day is not None:
        said.append(
            ngettext(
                "At most {n} deal per person and day.", "At most {n} deals per person and day.", rule.most_per_day
            ).format(n=rule.most_per_day)
        )
    said.append(_("If nobody can get it: {otherwise}.").format(otherwise=_lowered(_(OTHERWISE[rule.otherwise]))))
    return said


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _member_said(member: Member, names: RuleNames, method: str) -> str:
    people = names.people
    team = people.teams.get(member.id) if member.kind is Kind.TEAM else None
    name = _("team {name}").format(name=team.name) if team is not None else people.name(member.id) or "—"
    if method != Method.VALUE:
        return name
    return _("{name} (from {amount})").format(name=name, amount=money(member.since or Decimal(0)))


def typed_rule(change: RuleChange) -> DistributionRule:
    """A rule that is not stored, with what was typed, to say it in words or to try it."""
    return DistributionRule(
        name=change.name,
        query=change.query,
        method=change.method,
        members=[each.stored() for each in change.members],
        is_on=change.is_on,
        on_shift=change.on_shift,
        most_open=change.most_open,
        most_per_day=change.most_per_day,
        otherwise=change.otherwise,
    )


def begun() -> Form:
    """The form of a new rule."""
    return filled(
        {
            "name": "",
            "method": Method.TURNS.value,
            "is_on": True,
            "on_shift": True,
            "otherwise": Otherwise.NOBODY.value,
            "more": "",
        }
    )


def also_said(form: Form, names: RuleNames) -> Sequence[str]:
    """The conditions of a rule that the form cannot show, in words; they stay."""
    return conditions_said(form["more"], names)
