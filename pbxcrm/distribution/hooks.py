"""What contexts above tell the rules of distribution."""

from collections.abc import Awaitable, Callable, Mapping

from sqlmodel.ext.asyncio.session import AsyncSession

FormNames = Callable[[AsyncSession], Awaitable[Mapping[int, str]]]
_known: list[FormNames] = []


def register_forms(names: FormNames) -> None:
    """Register the function that gives the web forms which a rule may name, by id; ``pbxcrm.composition`` calls this."""
    _known[:] = [names]


async def names_of_forms(session: AsyncSession) -> Mapping[int, str]:
    """The names of the web forms by id; empty without any."""
    return await _known[0](session) if _known else {}
