"""The result of a benchmark: a name, the measured value, and the goal if there is one."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    measured: str
    goal: str = ""
    reached: bool | None = None  # None: there is no goal


def show(title: str, figures: list[Figure]) -> None:
    table = Table(title=title, title_justify="left", pad_edge=False)
    for heading in ("what", "measured", "goal", ""):
        table.add_column(heading)
    for figure in figures:
        word = "" if figure.reached is None else "✓" if figure.reached else "missed"
        table.add_row(figure.name, figure.measured, figure.goal, word)
    Console(width=120).print(table)


def percentile(values: list[float], percent: float) -> float:
    """The percentile ``percent`` of the values (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, round(percent / 100 * (len(ranked) - 1)))]
