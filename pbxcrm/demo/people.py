"""The people of the sample company: three teams with their managers, quality control and an administrator."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """A member of the sample company."""

    login: str
    name: str
    role: str
    extensions: tuple[str, ...] = ()
    team: str | None = None


SALES, WHOLESALE, SERVICE = "Sales", "Wholesale", "Service"

#: Who can log in; their passwords are shown at the first start. The phones of ``SALES`` are those of the simulated PBX.
PEOPLE = (
    DemoPerson("olena", "Olena Kovalenko", "seller", ("101",), SALES),
    DemoPerson("taras", "Taras Shevchuk", "seller", ("102",), SALES),
    DemoPerson("iryna", "Iryna Bondar", "seller", ("103",), SALES),  # answers at the front desk
    DemoPerson("maksym", "Maksym Lysenko", "manager", ("104",), SALES),
    DemoPerson("daria", "Daria Melnyk", "qc"),
    DemoPerson("admin", "Administrator", "admin"),
)

#: Their colleagues, whose password nobody knows until an administrator sets one.
COLLEAGUES = (
    DemoPerson("bohdan", "Bohdan Tkachuk", "seller", ("111",), SALES),
    DemoPerson("sofia", "Sofia Marchenko", "seller", ("112",), WHOLESALE),
    DemoPerson("roman", "Roman Hnatiuk", "seller", ("113",), WHOLESALE),
    DemoPerson("kateryna", "Kateryna Polishchuk", "seller", ("114",), WHOLESALE),
    DemoPerson("dmytro", "Dmytro Kravets", "seller", ("115",), WHOLESALE),
    DemoPerson("yulia", "Yulia Moroz", "seller", ("116",), SERVICE),
    DemoPerson("petro", "Petro Zaichenko", "seller", ("117",), SERVICE),
    DemoPerson("nadia", "Nadia Romanenko", "seller", ("118",), SERVICE),
    DemoPerson("vasyl", "Vasyl Dziuba", "seller", ("119",), SERVICE),
    DemoPerson("larysa", "Larysa Savchuk", "manager", ("121",), WHOLESALE),
    DemoPerson("viktor", "Viktor Yarema", "manager", ("122",), SERVICE),
)
MANAGERS = {person.team: person.login for person in (*PEOPLE, *COLLEAGUES) if person.role == "manager" and person.team}


def sellers_of(team: str) -> tuple[str, ...]:
    """The logins of the sellers of a team."""
    return tuple(each.login for each in (*PEOPLE, *COLLEAGUES) if each.team == team and each.role == "seller")


#: The first extension of each person, by login.
EXTENSIONS = {each.login: each.extensions[0] for each in (*PEOPLE, *COLLEAGUES) if each.extensions}
TEAM_OF_SELLER = {each.login: each.team for each in (*PEOPLE, *COLLEAGUES) if each.team and each.role == "seller"}
