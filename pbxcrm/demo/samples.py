"""The clients of the sample company who go on calling: the simulated PBX uses their numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """A client with a deal. ``stage`` is the index among the open stages, ``days`` the age of the deal."""

    client: str
    number: str
    title: str
    owner: str
    stage: int
    days: int
    amount: str
    note: str = ""
    task: str = ""
    due_hours: int = 4


SAMPLES = (
    Sample("Андрій Коваль", "+380671112233", "Flooring for a flat, 64 m²", "olena", 1, 2, "41600", "Wants oak, not laminate.", "Send three samples", 3),
    Sample("Наталія Гончар", "+380501234567", "Office chairs, 12 pieces", "olena", 2, 5, "86400", "Proposal sent by e-mail.", "Ask whether the proposal fits", 20),
    Sample("Kyiv Design Studio", "+380442228899", "Acoustic panels for a studio", "olena", 4, 12, "123500.50", "", "Check that the prepayment has come", -3),
    Sample("Сергій Мороз", "+380633217654", "Kitchen worktop", "olena", 0, 0, "18900"),
    Sample("Юлія Савченко", "+380977654321", "Doors for a country house", "taras", 1, 1, "74200", "Measured on Monday.", "Call about the colour", 1),
    Sample("Budmarket Lviv", "+380322445566", "Wholesale: primer, 200 l", "taras", 3, 8, "31750", "", "Send the invoice again", -20),
    Sample("Олег Петренко", "+380509998877", "Repair of a bathroom", "taras", 0, 0, "52000", "", "Arrange a visit", 26),
    Sample("Марія Ткач", "+380681230987", "Curtains, 4 windows", "taras", 5, 20, "22300"),
    Sample("Вікторія Бойко", "+380931112244", "Garden furniture", "iryna", 0, 1, "15400", "", "Find out the size of the terrace", 5),
    Sample("Hotel Dnipro", "+380567788990", "Carpets for 30 rooms", "iryna", 2, 6, "264000", "The director decides on Friday.", "Call the director", 48),
)  # fmt: skip
