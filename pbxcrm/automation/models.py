"""Tables of automation: the rules and their versions, the events that they still have to hear, their firings and the steps of these."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from pbxcrm.shared.columns import (
    ID,
    NEVER_REUSED,
    TableModel,
    json_list,
    json_object,
    link,
    maybe_link,
    maybe_utc_column,
    row_id,
    utc_column,
)
from pbxcrm.shared.config_cache import cached_config

_WAITING = text("status = 'waiting'")


class RuleState(StrEnum):
    """Whether a rule acts."""

    OFF = "off"
    WATCH = "watch"  # it writes what it would do, and changes nothing
    ON = "on"


class Mode(StrEnum):
    """What happens when a rule hears an event of a deal while a run of it on this deal waits."""

    ONCE = "once"  # the event is skipped
    RESTART = "restart"  # the waiting run ends, and a new one begins
    QUEUE = "queue"  # the new run begins when the waiting one has ended


class RunStatus(StrEnum):
    """What became of a firing."""

    DONE = "done"
    HELD = "held"  # its steps were taken, but a message to the client was held back, which its step says
    SKIPPED = "skipped"  # a condition did not hold, or a guard spoke
    FAILED = "failed"
    WAITING = "waiting"  # until ``due_at``; without one for the run before it
    UNKNOWN = "unknown"  # a step with an outside effect was interrupted, and a person decides
    WATCH = "watch"  # nothing was done: the rule only watches


class StepStatus(StrEnum):
    """What became of a step."""

    DONE = "done"
    HELD = "held"  # no message went to the client, or not yet; the steps behind it were taken
    REFUSED = "refused"  # the gate of a stage, or there was nobody
    FAILED = "failed"
    WOULD = "would"  # the rule only watches
    UNDONE = "undone"


class HookCallState(StrEnum):
    """What became of a call of an incoming webhook."""

    HEARD = "heard"  # the deal or the client was found
    NOBODY = "nobody"  # neither was found, and none was made
    REPEATED = "repeated"  # it had come before; it has no row


@cached_config
class IncomingHook(TableModel, table=True):
    """A secret address whose calls rules hear. ``fields``: the values that rules may ask, stored ``hook_rules.HookField``."""

    __tablename__ = "automation_hooks"

    id: int | None = row_id()
    name: str = Field(max_length=100)
    secret_hash: str = Field(max_length=64, unique=True)
    fields: list[dict[str, Any]] = json_list()
    per_minute: int
    created_at: datetime = utc_column()
    revoked_at: datetime | None = maybe_utc_column()


class HookCall(TableModel, table=True):
    """A call of an incoming webhook. ``sent``: the declared values, where it was found whom they are about. ``key``: of repetitions."""

    __tablename__ = "automation_hook_calls"
    __table_args__ = (
        Index("ix_automation_hook_calls_key", "hook_id", "key"),
        Index("ix_automation_hook_calls_at", "hook_id", "at"),
    )

    id: int | None = row_id()
    hook_id: int = link("automation_hooks.id", index=False)
    key: str = Field(max_length=64)
    at: datetime = utc_column()
    state: str = Field(max_length=8)  # a HookCallState
    deal_id: int | None = maybe_link("deals.id")
    contact_id: int | None = maybe_link("contacts.id")
    sent: dict[str, Any] = json_object()


@cached_config
class AutomationRule(TableModel, table=True):
    """A rule as it is now. ``when``, ``conditions`` and ``steps`` are JSON that ``rule_checks`` has checked."""

    __tablename__ = "automation_rules"

    id: int | None = row_id()
    name: str = Field(max_length=100)
    owner_id: int = link("users.id", index=False)  # is told when it fails
    state: str = Field(max_length=8)  # a RuleState
    mode: str = Field(max_length=8)  # a Mode
    when: dict[str, Any] = json_object()  # {"kind", …}: a trigger (``triggers``)
    conditions: dict[str, Any] = json_object()  # in the language of ``fields.conditions``; empty: always
    steps: list[dict[str, Any]] = json_list()  # {"kind", …}, in their order
    goal: dict[str, Any] = json_object()  # a condition that ends waiting runs; empty: none
    most_per_hour: int = 20  # firings on one deal
    paused_until: datetime | None = maybe_utc_column()
    pipeline_id: int | None = maybe_link("pipelines.id", index=False)  # where it stands in the editor
    stage_id: int | None = maybe_link("stages.id", index=False)
    created_at: datetime = utc_column()
    archived_at: datetime | None = maybe_utc_column()
    version: int = 1


class RuleVersion(TableModel, table=True):
    """A rule as somebody saved it. ``saved``: its columns as JSON."""

    __tablename__ = "automation_rule_versions"
    __table_args__ = (UniqueConstraint("rule_id", "version"),)

    id: int | None = row_id()
    rule_id: int = link("automation_rules.id", index=False)
    version: int
    by_id: int = link("users.id", index=False)
    at: datetime = utc_column()
    saved: dict[str, Any] = json_object()


class AutomationEvent(TableModel, table=True):
    """Something that a rule listens to and has not heard yet; deleted in the transaction that handles it.

    ``subject``: events of one are handled in the order of their ids, never two at once. ``root_id`` and ``chain`` tell from which event
    and through which rules (``[rule id, subject]``) a rule itself has caused it.
    """

    __tablename__ = "automation_events"
    __table_args__ = (
        Index("ix_automation_events_subject", "subject", "id"),
        # Firings name events, also those that are handled and gone.
        NEVER_REUSED,
    )

    id: int | None = row_id()
    at: datetime = utc_column()
    act: str = Field(max_length=64)  # the action of the audit record, or ``call.over``
    subject: str = Field(max_length=80)  # "deal:12"
    deal_id: int | None = Field(default=None, sa_type=ID)  # no links: a burst of calls must not wait for rows of deals
    contact_id: int | None = Field(default=None, sa_type=ID)
    by_id: int | None = Field(default=None, sa_type=ID)  # who did it; None: the product itself
    data: dict[str, Any] = json_object()
    root_id: int | None = Field(default=None, sa_type=ID)
    chain: list[list[Any]] = json_list()
    tries: int = 0
    due_at: datetime = utc_column()


class RuleRun(TableModel, table=True):
    """One firing: a rule heard an event. ``seen``: the comparisons of its condition with the values they saw, in words."""

    __tablename__ = "automation_runs"
    __table_args__ = (
        UniqueConstraint("rule_id", "event_id"),
        Index("ix_automation_runs_rule_id", "rule_id", "id"),
        Index("ix_automation_runs_deal_id", "deal_id", "at"),
        Index("ix_automation_runs_due", "due_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_automation_runs_waiting", "subject", sqlite_where=_WAITING, postgresql_where=_WAITING),
        NEVER_REUSED,
    )

    id: int | None = row_id()
    rule_id: int = link("automation_rules.id", index=False)
    rule_version: int
    event_id: int = Field(sa_type=ID)  # of an event that is gone
    act: str = Field(max_length=64)
    event: dict[str, Any] = json_object()  # its data
    by_id: int | None = maybe_link("users.id", index=False)
    subject: str = Field(max_length=80)
    deal_id: int | None = maybe_link("deals.id", index=False)
    contact_id: int | None = maybe_link("contacts.id")
    root_id: int = Field(sa_type=ID)
    chain: list[list[Any]] = json_list()  # the rules before it
    status: str = Field(max_length=8)  # a RunStatus
    reason: dict[str, Any] = json_object()
    seen: list[dict[str, Any]] = json_list()  # stored ``explanations.SeenTest``
    position: int = 0  # of the next step
    at: datetime = utc_column()
    due_at: datetime | None = maybe_utc_column()
    tries: int = 0  # of the step at ``position``
    ended_at: datetime | None = maybe_utc_column()
    undone_at: datetime | None = maybe_utc_column()
    undone_by_id: int | None = maybe_link("users.id", index=False)
    version: int = 1


class RunStep(TableModel, table=True):
    """A step that was taken; its row is written in the transaction of its effect. ``undo``: what taking it back needs."""

    __tablename__ = "automation_steps"

    id: int | None = row_id()
    run_id: int = link("automation_runs.id", ondelete="CASCADE")
    position: int
    kind: str = Field(max_length=16)
    status: str = Field(max_length=8)  # a StepStatus
    result: dict[str, Any] = json_object()  # a stored Reason
    undo: dict[str, Any] = json_object()
    at: datetime = utc_column()
