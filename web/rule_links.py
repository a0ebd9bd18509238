"""The names of the clients, companies and deals that conditions of rules point to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.fields.hooks import names_of
from web.rule_form import AskedRow, GroupRow
from web.rule_sentences import LINKED, NamesInRules

Asked = tuple[str, Any]  # the name of a term, and the values that it is compared with


async def with_linked(session: AsyncSession, who: Viewer, names: NamesInRules, asked: Iterable[Asked]) -> NamesInRules:
    """The names, with those that these comparisons point to: one query for each kind of them."""
    controls = {name: term.control for terms in names.terms.values() for name, term in terms.items()}
    wanted: dict[str, set[int]] = {}
    for name, values in asked:
        control = controls.get(name)
        if control in LINKED:
            texts = [str(each) for each in (values if isinstance(values, list) else [values])]
            ids = {int(each) for each in texts if each.isascii() and each.isdigit() and len(each) < 19}
            wanted.setdefault(control.value, set()).update(ids)
    found: dict[tuple[str, int], str] = {}
    for what, ids in wanted.items():
        if ids:
            rows = await names_of(what)(session, who, ids)
            found |= {(what, row_id): rows[row_id] for row_id in ids if row_id in rows}
    return replace(names, linked=found) if found else names


def asked_in(tree: Mapping[str, Any]) -> Iterator[Asked]:
    """The comparisons of a condition as it is stored."""
    for how in ("all", "any", "none"):
        for part in tree.get(how, ()):
            yield from asked_in(part)
    if "field" in tree:
        yield str(tree["field"]), tree.get("value")


def asked_by(row: GroupRow | AskedRow) -> Iterator[Asked]:
    """The comparisons of a condition as it is typed."""
    if isinstance(row, AskedRow):
        yield row.asked, row.values
        return
    for part in row.parts:
        yield from asked_by(part)
