"""The routes of automation: the list of rules, their form, versions and log."""

from starlette.routing import Route

from pbxcrm.access import Permission
from web.pages import (
    automation,
    automation_form,
    automation_links,
    automation_log,
    automation_templates,
    automation_trials,
    incoming_hooks,
    webhooks,
)
from web.routing import POST, outside, page


def automation_routes() -> list[Route]:
    """For administrators: a rule acts on everybody's deals."""
    edit, one = Permission.RULES_EDIT, "/automation/{automation_id:int}"
    of_webhook = "/automation/webhooks/{webhook_id:int}"
    return [
        page("/automation", automation.listed, needs=edit, name="automation"),
        page("/automation/new", automation_form.new, needs=edit, name="new_automation"),
        page("/automation/new", automation_form.save, needs=edit, methods=POST, name="add_automation"),
        page("/automation/templates", automation_templates.listed, needs=edit, name="rule_templates"),
        page("/automation/templates", automation_templates.use, needs=edit, methods=POST, name="use_rule_template"),
        page("/automation/shape", automation_form.shape, needs=edit, methods=POST, name="shape_automation"),
        page("/automation/find", automation_links.find, needs=edit, name="find_in_rules"),
        page("/automation/try", automation_trials.begin, needs=edit, methods=POST, name="try_automation"),
        page("/automation/trials/{job_id:int}", automation_trials.progress, needs=edit, name="automation_trial"),
        page("/automation/hooks", incoming_hooks.listed, needs=edit, name="incoming_hooks"),
        page("/automation/hooks", incoming_hooks.create, needs=edit, methods=POST, name="add_incoming_hook"),
        page("/automation/hooks/{hook_id:int}", incoming_hooks.one, needs=edit, name="incoming_hook"),
        page(
            "/automation/hooks/{hook_id:int}/revoke",
            incoming_hooks.revoke,
            needs=edit,
            methods=POST,
            name="revoke_incoming_hook",
        ),
        page("/automation/webhooks", webhooks.listed, needs=edit, name="webhooks"),
        page("/automation/webhooks", webhooks.create, needs=edit, methods=POST, name="add_webhook"),
        page(of_webhook, webhooks.one, needs=edit, name="webhook"),
        page(of_webhook, webhooks.save, needs=edit, methods=POST, name="save_webhook"),
        page(f"{of_webhook}/delete", webhooks.delete, needs=edit, methods=POST, name="delete_webhook"),
        page(f"{of_webhook}/secret", webhooks.renew, needs=edit, methods=POST, name="renew_webhook"),
        page(
            f"{of_webhook}/messages/{{webhook_delivery_id:int}}/again",
            webhooks.again,
            needs=edit,
            methods=POST,
            name="webhook_again",
        ),
        # What other programs reach.
        outside("/hooks/{hook_secret:str}", incoming_hooks.receive, methods=POST, name="call_hook"),
        page(one, automation_form.one, needs=edit, name="one_automation"),
        page(one, automation_form.save, needs=edit, methods=POST, name="save_automation"),
        page(f"{one}/versions", automation_form.versions, needs=edit, name="automation_versions"),
        page(f"{one}/switch", automation.switch, needs=edit, methods=POST, name="switch_automation"),
        page(f"{one}/pause", automation.ask_pause, needs=edit, name="ask_pause_automation"),
        page(f"{one}/pause", automation.pause, needs=edit, methods=POST, name="pause_automation"),
        page(f"{one}/archive", automation.archive, needs=edit, methods=POST, name="archive_automation"),
        page(f"{one}/restore", automation.restore, needs=edit, methods=POST, name="restore_automation"),
        page(f"{one}/log", automation_log.log, needs=edit, name="automation_log"),
    ]
