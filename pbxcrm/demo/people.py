"""The people of the sample company: three teams with their managers, quality control and an administrator."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the sample company."""

    login: str
    name: str
    role: str
    extensions: tuple[str, ...] = ()
    team: str | None = None


SALES, WHOLESALE, SERVICE = "Sales", "Wholesale", "Service"

#: Who can log in; their passwords are shown at the first start. The phones of ``SALES`` are those of the simulated PBX.
PEOPLE = (
    Person("olena", "Olena Kovalenko", "seller", ("101",), SALES),
    Person("taras", "Taras Shevchuk", "seller", ("102",), SALES),
    Person("iryna", "Iryna Bondar", "seller", ("103",), SALES),  # answers at the front desk
    Person("maksym", "Maksym Lysenko", "manager", ("104",), SALES),
    Person("daria", "Daria Melnyk", "qc"),
    Person("admin", "Administrator", "admin"),
)

#: Their colleagues, whose password nobody knows until an administrator sets one.
COLLEAGUES = (
    Person("bohdan", "Bohdan Tkachuk", "seller", ("111",), SALES),
    Person("sofia", "Sofia Marchenko", "seller", ("112",), WHOLESALE),
    Person("roman", "Roman Hnatiuk", "seller", ("113",), WHOLESALE),
    Person("kateryna", "Kateryna Polishchuk", "seller", ("114",), WHOLESALE),
    Person("dmytro", "Dmytro Kravets", "seller", ("115",), WHOLESALE),
    Person("yulia", "Yulia Moroz", "seller", ("116",), SERVICE),
    Person("petro", "Petro Zaichenko", "seller", ("117",), SERVICE),
    Person("nadia", "Nadia Romanenko", "seller", ("118",), SERVICE),
    Person("vasyl", "Vasyl Dziuba", "seller", ("119",), SERVICE),
    Person("larysa", "Larysa Savchuk", "manager", ("121",), WHOLESALE),
    Person("viktor", "Viktor Yarema", "manager", ("122",), SERVICE),
)
MANAGERS = {person.team: person.login for person in (*PEOPLE, *COLLEAGUES) if person.role == "manager" and person.team}


def sellers_of(team: str) -> tuple[str, ...]:
    """The logins of the sellers of a team."""
    return tuple(each.login for each in (*PEOPLE, *COLLEAGUES) if each.team == team and each.role == "seller")


#: The first extension of each person, by login.
EXTENSIONS = {each.login: each.extensions[0] for each in (*PEOPLE, *COLLEAGUES) if each.extensions}
TEAM_OF_SELLER = {each.login: each.team for each in (*PEOPLE, *COLLEAGUES) if each.team and each.role == "seller"}
