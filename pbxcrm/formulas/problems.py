"""What is wrong with a formula, in plain words and at its place."""

from dataclasses import dataclass, field

from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_


@dataclass(frozen=True, slots=True)
class FormulaProblem:
    """``at``: the character of the formula, counted from 1. ``message`` is English with ``params``; ``code`` is stable."""

    at: int
    code: str
    message: str
    params: dict[str, str | int] = field(default_factory=dict)


class FormulaError(Exception):
    """A formula cannot be read, or not be evaluated with these values."""

    def __init__(self, problem: FormulaProblem) -> None:
        super().__init__(problem.message.format(**problem.params))
        self.problem = problem

    def at_field(self, name: str) -> Invalid:
        """The same as the error of a form's field or an API's member."""
        return Invalid(name, f"formulas.{self.problem.code}", self.problem.message, **self.problem.params)


class CannotCompute(Exception):
    """Raised by functions and operators, which do not know where they stand in the formula."""

    def __init__(self, code: str, message: str, **params: str | int) -> None:
        super().__init__(message)
        self.code, self.message, self.params = code, message, params

    def at(self, at: int) -> FormulaError:
        """The error with its place."""
        return FormulaError(FormulaProblem(at, self.code, self.message, self.params))


TOO_LONG = N_("A formula can have at most {most} characters.")
TOO_DEEP = N_("The formula is nested too deeply. Split it into several.")
NOTHING = N_("Write a formula, for example 2 * (length + width) * height.")
