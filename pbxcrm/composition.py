"""The composition root: registers the handlers of hooks, timers and jobs, the sentences of reasons, reports and timeline readers.

Every entry point that changes data calls ``compose`` first. A second call changes nothing.
"""

from pbxcrm.audit.actions import recorded
from pbxcrm.automation import arming, trial_jobs
from pbxcrm.automation import reasons as automation
from pbxcrm.automation.delivery_actions import follow_delivery
from pbxcrm.automation.erase_actions import erase_runs
from pbxcrm.automation.hearing import hear, hear_calls
from pbxcrm.automation.timeline_queries import read_runs
from pbxcrm.calendars import reasons as calendars
from pbxcrm.calendars import stand_ins
from pbxcrm.calendars.hooks import absences_changed, calendar_changed
from pbxcrm.calendars.timers import HANDLERS as CALENDAR_TIMERS
from pbxcrm.callbacks import reasons as callbacks
from pbxcrm.callbacks.access import CALLBACK_OF_NUMBER
from pbxcrm.callbacks.actions import (
    accept_callback,
    dismiss_callbacks,
    forget_line,
    reassign_callback,
)
from pbxcrm.callbacks.erase_actions import erase_from_callbacks
from pbxcrm.callbacks.give_back_actions import give_back_callback, remember_callback
from pbxcrm.callbacks.merge_actions import merge_callbacks, unmerge_callbacks
from pbxcrm.callbacks.models import Episode
from pbxcrm.callbacks.number_actions import adopt_callbacks, release_callbacks
from pbxcrm.callbacks.queries import failed_without_task
from pbxcrm.callbacks.special_numbers import reopen_callbacks
from pbxcrm.callbacks.timers import HANDLERS as CALLBACK_TIMERS
from pbxcrm.callbacks.timers import light_callbacks, recompute_callbacks
from pbxcrm.calls.access import CLIENT_OF_CALL
from pbxcrm.calls.actions import adopt_calls, release_calls, say_calls_relinked
from pbxcrm.calls.erase_actions import erase_from_calls
from pbxcrm.calls.hooks import calls_over
from pbxcrm.calls.lines import line_deleted
from pbxcrm.calls.lines import stage_archived as line_stage_archived
from pbxcrm.checkpoints import handlers
from pbxcrm.checkpoints import reasons as checkpoints
from pbxcrm.checkpoints.access import escalated_tasks
from pbxcrm.checkpoints.deal_facts import register_attempts
from pbxcrm.checkpoints.engine import light_due
from pbxcrm.checkpoints.erase_actions import erase_from_lamps
from pbxcrm.checkpoints.escalation_actions import Decider, accept_deal, reassign_deal, register_decider
from pbxcrm.checkpoints.merge_actions import keep_lamps, relight_lamps
from pbxcrm.checkpoints.models import Subject, TriggerKind
from pbxcrm.checkpoints.preview_jobs import WORK as TRIAL_WORK
from pbxcrm.checkpoints.queries import burning_deals, lamp_rank_of_deal
from pbxcrm.checkpoints.recompute_jobs import WORK as CHECKPOINT_WORK
from pbxcrm.checkpoints.recompute_jobs import recompute_all, register_settler
from pbxcrm.checkpoints.sweep import register_lighter
from pbxcrm.checkpoints.undo_actions import give_back_deal, register_table, remember_deal
from pbxcrm.checkpoints.work_queries import ending_work
from pbxcrm.contacts import reasons as contacts
from pbxcrm.contacts.access import ways_to_see_contacts
from pbxcrm.contacts.actions import number_linked, number_marked, number_unlinked, number_unmarked
from pbxcrm.contacts.erase_actions import erase_contacts, say_clients_erased
from pbxcrm.contacts.formula_values import COMPANY_VALUES, CONTACT_VALUES
from pbxcrm.contacts.hints import say_contacts_relinked
from pbxcrm.contacts.hooks import contact_erasing, contacts_merging, contacts_unmerging, rows_relinked
from pbxcrm.contacts.models import CompanyMerge, Merge
from pbxcrm.contacts.number_owners import register_work_on_numbers
from pbxcrm.contacts.queries import names_of_companies, names_of_contacts
from pbxcrm.contacts.timers import HANDLERS as CONTACT_TIMERS
from pbxcrm.deals import reasons as deals
from pbxcrm.deals.access import CLIENT_OF_DEAL, DEAL_OF_NUMBER, PERSON_OF_DEAL
from pbxcrm.deals.actions import adopt_deals, release_deals, say_deals_relinked
from pbxcrm.deals.after_closing import follow_closing
from pbxcrm.deals.bulk_jobs import UNDO as BULK_UNDO
from pbxcrm.deals.bulk_jobs import WORK as BULK_WORK
from pbxcrm.deals.bulk_jobs import register_distribution
from pbxcrm.deals.clearing_actions import HANDLERS as FUNNEL_TIMERS
from pbxcrm.deals.erase_actions import erase_from_deals
from pbxcrm.deals.fields import BY_KEY as DEAL_FIELDS
from pbxcrm.deals.formula_values import DEAL_VALUES
from pbxcrm.deals.gate_queries import has_files, next_task_missing
from pbxcrm.deals.hooks import (
    amount_by_lines_chosen,
    deal_changed,
    deal_followed,
    deals_merging,
    deals_unmerging,
    is_amount_of_lines,
    longest_plan_changed,
    pipeline_made,
    second_deal,
    stage_archived,
    stage_changed,
    stage_entered,
    stage_split,
    with_anothers_client,
)
from pbxcrm.deals.lamp_queries import register_lamps
from pbxcrm.deals.lost import reopen_deals
from pbxcrm.deals.models import DealMerge
from pbxcrm.deals.passed_decisions import settle_lost, tell_of_second, tell_owner_of_client
from pbxcrm.deals.queries import titles_of_deals
from pbxcrm.deals.second_deal_actions import say_second_relinked
from pbxcrm.deals.timers import HANDLERS as DEAL_TIMERS
from pbxcrm.deals.watcher_actions import tell_of_move
from pbxcrm.distribution import actions as distribution
from pbxcrm.distribution import bulk_actions
from pbxcrm.distribution import reasons as distribution_reasons
from pbxcrm.distribution.erase_actions import erase_from_choices
from pbxcrm.distribution.hooks import register_forms
from pbxcrm.fields.formula_jobs import compute_by_hours
from pbxcrm.fields.hooks import register_merges, register_own_values, register_reserved, register_targets
from pbxcrm.fields.models import FieldEntity, LinkTarget, ValueKind
from pbxcrm.fields.timers import BEFORE as BEFORE_FIELD_WORK
from pbxcrm.fields.timers import WORK as FIELD_WORK
from pbxcrm.files import queries as files
from pbxcrm.files.erase_actions import erase_files
from pbxcrm.flags.erase_actions import erase_flags
from pbxcrm.forms import reasons as forms
from pbxcrm.forms.answers import register_answers
from pbxcrm.forms.erase_actions import erase_from_requests
from pbxcrm.forms.queries import load_form_names
from pbxcrm.forms.timeline_queries import read_requests
from pbxcrm.messages import reasons as messages
from pbxcrm.messages.erase_actions import erase_messages
from pbxcrm.messages.hooks import delivery_told
from pbxcrm.messages.queries import find_answered
from pbxcrm.messages.timeline_queries import read_messages
from pbxcrm.money import reasons as money
from pbxcrm.money.amount_actions import HANDLERS as MONEY_TIMERS
from pbxcrm.money.amount_actions import count_pipeline, recount, recount_entered
from pbxcrm.money.erase_actions import erase_from_lines
from pbxcrm.money.queries import is_amount_of_lines as amount_of_lines
from pbxcrm.notes import reasons as notes
from pbxcrm.notes.actions import copy_notes
from pbxcrm.notes.erase_actions import erase_notes
from pbxcrm.people import reasons as people
from pbxcrm.people.hooks import access_ended, person_changed
from pbxcrm.phone.erase_actions import erase_from_orders
from pbxcrm.phone.timers import HANDLERS as PHONE_TIMERS
from pbxcrm.privacy import reasons as privacy
from pbxcrm.reactions import next_attempts
from pbxcrm.reactions import reasons as reactions
from pbxcrm.reports.assignments import ASSIGNMENTS
from pbxcrm.reports.cold_sellers import COLD_SELLERS
from pbxcrm.reports.efficiency import EFFICIENCY
from pbxcrm.reports.filled_fields import FILLED_FIELDS
from pbxcrm.reports.funnel import FUNNEL
from pbxcrm.reports.funnel_snapshot import FUNNEL_SNAPSHOT
from pbxcrm.reports.lamps import LAMPS
from pbxcrm.reports.losses import LOSSES
from pbxcrm.reports.missed import MISSED
from pbxcrm.reports.own_kpi import OWN_KPI
from pbxcrm.reports.report import register_reports
from pbxcrm.reports.requests import REQUESTS
from pbxcrm.reports.seller_stages import SELLER_STAGES
from pbxcrm.reports.stage_time import STAGE_TIME
from pbxcrm.screenpop.erase_actions import erase_from_cards
from pbxcrm.shared.background_jobs import register_before, register_readers, register_work
from pbxcrm.shared.reasons import register_reasons
from pbxcrm.shared.timers import register_timers
from pbxcrm.tasks import reasons as tasks
from pbxcrm.tasks import stage_tasks
from pbxcrm.tasks.access import CLIENT_OF_TASK
from pbxcrm.tasks.actions import say_tasks_relinked
from pbxcrm.tasks.calendar_feeds import end_feed_with_password
from pbxcrm.tasks.erase_actions import erase_from_tasks
from pbxcrm.tasks.hooks import next_task_changed
from pbxcrm.tasks.work_queries import register_lamp_tasks
from pbxcrm.timeline.entries import EntryKind
from pbxcrm.timeline.queries import register_sources
from pbxcrm.timeline.sources import (
    read_calls,
    read_changes,
    read_files,
    read_flags,
    read_merges,
    read_moves,
    read_notes,
    read_tasks,
)


def compose() -> None:
    """Fill all registries. It is safe to call it again."""
    ways_to_see_contacts.register(CLIENT_OF_DEAL, PERSON_OF_DEAL, CLIENT_OF_TASK, CLIENT_OF_CALL)
    recorded.register(hear)
    calls_over.register(hear_calls)
    delivery_told.register(follow_delivery)
    calendar_changed.register(recompute_all, compute_by_hours)
    absences_changed.register(stand_ins.follow_stand_ins, handlers.absences_changed)
    person_changed.register(stand_ins.person_changed, handlers.person_changed)
    access_ended.register(end_feed_with_password)
    register_work_on_numbers(DEAL_OF_NUMBER, CALLBACK_OF_NUMBER)
    number_linked.register(adopt_callbacks, adopt_calls, adopt_deals)
    number_unlinked.register(release_callbacks, release_calls, release_deals)
    contacts_merging.register(merge_callbacks)
    contacts_unmerging.register(unmerge_callbacks)
    contact_erasing.register(
        say_clients_erased,
        erase_runs,
        erase_messages,
        erase_from_requests,
        erase_from_orders,
        erase_from_callbacks,
        erase_from_lamps,
        erase_from_cards,
        erase_flags,
        erase_notes,
        erase_files,
        erase_from_choices,
        erase_from_tasks,
        erase_from_lines,
        erase_from_calls,
        erase_from_deals,
        erase_contacts,
    )
    rows_relinked.register(
        say_deals_relinked, say_second_relinked, say_tasks_relinked, say_calls_relinked, say_contacts_relinked
    )
    deals_merging.register(keep_lamps, next_attempts.deals_merge)
    deals_unmerging.register(relight_lamps, next_attempts.deals_unmerge)
    number_marked.register(dismiss_callbacks)
    number_unmarked.register(reopen_callbacks, reopen_deals)
    next_task_missing.register(failed_without_task)
    has_files.register(files.has_files)
    line_deleted.register(forget_line)
    register_reasons(
        people.REASONS,
        calendars.REASONS,
        contacts.REASONS,
        tasks.REASONS,
        deals.REASONS,
        checkpoints.REASONS,
        callbacks.REASONS,
        reactions.REASONS,
        distribution_reasons.REASONS,
        money.REASONS,
        forms.REASONS,
        notes.REASONS,
        privacy.REASONS,
        automation.REASONS,
        messages.REASONS,
    )
    register_sources(
        {
            EntryKind.CALL: read_calls,
            EntryKind.MOVE: read_moves,
            EntryKind.CHANGE: read_changes,
            EntryKind.NOTE: read_notes,
            EntryKind.TASK: read_tasks,
            EntryKind.FLAG: read_flags,
            EntryKind.FILE: read_files,
            EntryKind.MERGE: read_merges,
            EntryKind.REQUEST: read_requests,
            EntryKind.RUN: read_runs,
            EntryKind.MESSAGE: read_messages,
        }
    )
    stage_entered.register(
        handlers.deal_entered,
        stage_tasks.deal_entered,
        follow_closing,
        settle_lost,
        next_attempts.deal_entered,
        distribution.deal_entered,
        tell_of_move,
        recount_entered,
    )
    deal_followed.register(copy_notes)
    with_anothers_client.register(tell_owner_of_client)
    second_deal.register(tell_of_second)
    deal_changed.register(handlers.deal_changed, distribution.deal_changed, recount)
    is_amount_of_lines.register(amount_of_lines)
    amount_by_lines_chosen.register(count_pipeline)
    stage_changed.register(handlers.stage_changed)
    stage_split.register(handlers.stage_split, stage_tasks.stage_split)
    stage_archived.register(line_stage_archived)
    pipeline_made.register(handlers.pipeline_made)
    longest_plan_changed.register(handlers.longest_plan_changed)
    next_task_changed.register(handlers.task_changed)
    register_lighter(Subject.DEAL, light_due)
    register_lighter(Subject.CALLBACK, light_callbacks)
    register_settler(TriggerKind.CALLBACK, recompute_callbacks)
    register_decider(Subject.DEAL, Decider(accept_deal, reassign_deal, remember_deal, give_back_deal))
    register_decider(
        Subject.CALLBACK, Decider(accept_callback, reassign_callback, remember_callback, give_back_callback)
    )
    register_table("callback", Episode)
    register_lamps(lamp_rank_of_deal, burning_deals)
    register_lamp_tasks(ending_work, escalated_tasks)
    register_attempts(next_attempts.planned_attempts)
    register_work(CHECKPOINT_WORK)
    register_work(TRIAL_WORK)
    register_work(FIELD_WORK)
    register_before(BEFORE_FIELD_WORK)
    register_reserved(DEAL_FIELDS)
    register_own_values(
        {
            FieldEntity.DEAL: DEAL_VALUES,
            FieldEntity.CONTACT: CONTACT_VALUES,
            FieldEntity.COMPANY: COMPANY_VALUES,
        }
    )
    register_targets(
        {
            LinkTarget.DEAL: titles_of_deals,
            LinkTarget.CONTACT: names_of_contacts,
            LinkTarget.COMPANY: names_of_companies,
            ValueKind.FILE: files.names_of_files,
        }
    )
    register_merges({LinkTarget.DEAL: DealMerge, LinkTarget.CONTACT: Merge, LinkTarget.COMPANY: CompanyMerge})
    register_work(BULK_WORK, BULK_UNDO)
    register_distribution(bulk_actions.distribute, bulk_actions.undistribute)
    register_forms(load_form_names)
    register_answers(find_answered)
    register_reports(
        FUNNEL,
        FUNNEL_SNAPSHOT,
        LOSSES,
        REQUESTS,
        SELLER_STAGES,
        COLD_SELLERS,
        FILLED_FIELDS,
        MISSED,
        LAMPS,
        STAGE_TIME,
        EFFICIENCY,
        ASSIGNMENTS,
        OWN_KPI,
    )
    register_work(arming.WORK)
    register_readers(trial_jobs.READERS)
    register_timers(arming.HANDLERS)
    register_timers(CONTACT_TIMERS)
    register_timers(DEAL_TIMERS)
    register_timers(FUNNEL_TIMERS)
    register_timers(CALENDAR_TIMERS)
    register_timers(CALLBACK_TIMERS)
    register_timers(PHONE_TIMERS)
    register_timers(MONEY_TIMERS)
