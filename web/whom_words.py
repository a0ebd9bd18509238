"""Whom automatic tasks and steps of checkpoints ask: in words, and as options of a select."""

from collections.abc import Callable, Collection

from pbxcrm.access import Role
from pbxcrm.people.directory import Directory
from pbxcrm.people.whom import JOINT, MANAGER, RESPONSIBLE, ROLE, USER, named
from web.i18n import N_
from web.i18n import gettext as _

OF_THE_DEAL: dict[str, str] = {
    RESPONSIBLE: N_("whoever is responsible"),
    MANAGER: N_("their manager"),
    JOINT: N_("both, as a joint task"),
}
ROLES: dict[str, str] = {
    Role.SELLER.value: N_("a seller of the team"),
    Role.MANAGER.value: N_("a manager of the team"),
    Role.QC.value: N_("somebody of quality control"),
    Role.ADMIN.value: N_("one of the administrators"),
}


def said(whom: str, people: Directory) -> str:
    """Whom a text as it is stored asks (``pbxcrm.people.whom``)."""
    if whom in OF_THE_DEAL:
        return _(OF_THE_DEAL[whom])
    if whom.startswith(ROLE):
        return _(ROLES.get(whom.removeprefix(ROLE), whom))
    found = named(whom, people)
    if found is None:
        return whom.removeprefix(USER)
    return found.name if found.is_active else _("{name} (has left)").format(name=found.name)


def choices(
    people: Directory, chosen: Collection[str], *, can_do: Callable[[str, Directory], bool] | None = None
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of options. An inactive person is listed only if ``chosen`` has them.

    ``can_do``: only whom it answers for, and what is ``chosen``.
    """
    everybody = sorted(people.users.values(), key=lambda user: user.name)
    persons = [(f"{USER}{user.login}", user.name) for user in everybody if user.is_active]
    persons += [
        (f"{USER}{user.login}", _("{name} (has left)").format(name=user.name))
        for user in everybody
        if not user.is_active and f"{USER}{user.login}" in chosen
    ]
    roles = [(f"{ROLE}{role}", _(text)) for role, text in ROLES.items()]
    if can_do is not None:
        roles, persons = (
            [option for option in options if option[0] in chosen or can_do(option[0], people)]
            for options in (roles, persons)
        )
    return [
        (_("Of the deal"), [(name, _(text)) for name, text in OF_THE_DEAL.items()]),
        (_("By role"), roles),
        (_("A person"), persons),
    ]
