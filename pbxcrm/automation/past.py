"""Deals as they were: the audit log read backwards. Lamps and next tasks are those of today, because nothing keeps what they were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select as select_columns
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.models import AuditEntry
from pbxcrm.automation.facts import RuleFacts
from pbxcrm.automation.steps.step import Around
from pbxcrm.deals.fields import BY_KEY, FieldKind
from pbxcrm.deals.filters import tag_key
from pbxcrm.deals.rules import is_closing
from pbxcrm.fields.models import FieldEntity
from pbxcrm.shared.core_sql import fetch, one_of

_CUSTOM = "fields."


@dataclass(frozen=True, slots=True)
class PastAct:
    """An act of the past: an entry of the audit log, or what else a rule may hear. ``act`` is its action."""

    at: datetime
    act: str
    by_id: int | None
    data: Mapping[str, Any]


async def load_acts(session: AsyncSession, deal_ids: Sequence[int], since: datetime) -> dict[int, list[PastAct]]:
    """The entries about these deals since then, the newest first."""
    query = (
        select_columns(
            col(AuditEntry.entity_id),
            col(AuditEntry.at),
            col(AuditEntry.action),
            col(AuditEntry.actor_id),
            col(AuditEntry.data),
        )
        .where(
            col(AuditEntry.entity) == "deal",
            one_of(session, col(AuditEntry.entity_id), [str(deal_id) for deal_id in deal_ids]),
            col(AuditEntry.at) >= since,
        )
        .order_by(col(AuditEntry.id).desc())
    )
    found: dict[int, list[PastAct]] = {}
    for entity_id, *columns in await fetch(session, query):
        found.setdefault(int(entity_id), []).append(PastAct(*columns))
    return found


class PastDeal:
    """A deal that is taken back in time, act by act; ``facts`` are those of today."""

    def __init__(self, facts: RuleFacts, acts: Sequence[PastAct], around: Around) -> None:
        assert facts.deal is not None
        self._facts, self._left, self._around = facts, list(acts), around
        self._fields = {each.key: str(each.id) for each in around.fields.of(FieldEntity.DEAL, archived=True)}
        deal = facts.deal.deal
        self._now = {name: getattr(deal, name) for name in type(deal).model_fields}
        self._now["custom"] = dict(deal.custom)
        self._tags = list(facts.deal.tags)

    def at(self, moment: datetime, act: str, data: Mapping[str, Any]) -> RuleFacts:
        """The facts just after ``moment``, with this act beside them. Ask for later moments first."""
        while self._left and self._left[0].at > moment:
            self._take_back(self._left.pop(0))
        assert self._facts.deal is not None
        stage = self._around.funnel.stages[self._now["stage_id"]]
        user = self._around.people.users.get(self._now["responsible_id"] or 0)
        deal: Any = SimpleNamespace(**self._now)
        then = replace(
            self._facts.deal,
            deal=deal,
            stage=stage,
            team_id=user.team_id if user is not None else None,
            tags=tuple(self._tags),
        )
        return replace(self._facts, deal=then, act=act, data=data).at(moment, self._around.calendars)

    def _take_back(self, past: PastAct) -> None:
        data, now = past.data, self._now
        if past.act == "deal.moved" and data.get("from_stage") in self._around.funnel.stages:
            stage = self._around.funnel.stages[data["from_stage"]]
            now |= {"stage_id": stage.id, "pipeline_id": stage.pipeline_id}
            now["closed_at"] = past.at if is_closing(stage) else None
        elif past.act == "deal.assigned":
            now["responsible_id"] = data.get("before")
        elif past.act == "deal.tagged":
            gone = {tag_key(name) for name in data.get("added", ())}
            self._tags = [key for key in self._tags if key not in gone]
            self._tags += [tag_key(name) for name in data.get("removed", ())]
        elif past.act == "deal.edited":
            for key, change in data.get("changed", {}).items():
                self._take_back_value(key, change["before"])

    def _take_back_value(self, key: str, before: Any) -> None:
        if key.startswith(_CUSTOM):
            # A copy: the values that a row before it has must stay.
            custom, number = dict(self._now["custom"]), self._fields.get(key.removeprefix(_CUSTOM))
            if number is not None and before is None:
                custom.pop(number, None)
            elif number is not None:
                custom[number] = before
            self._now["custom"] = custom
        elif key in BY_KEY:
            self._now[key] = _read(BY_KEY[key].kind, before)
        elif key in self._now:
            self._now[key] = before


def _read(kind: FieldKind, stored: Any) -> Any:
    if kind is FieldKind.TEXT:
        return stored or ""
    if stored is None:
        return None
    return Decimal(stored) if kind is FieldKind.AMOUNT else datetime.fromisoformat(stored)
