"""Every resource of the API, in the order of the documentation, and the routes made of them."""

from starlette.routing import Route

from web.api import file_bytes, recording
from web.api.docs import docs, openapi
from web.api.resource import Resource
from web.api.serving import PREFIX, routes_of
from web.api.v1.calendars import calendars
from web.api.v1.callbacks import callbacks
from web.api.v1.calls import calls
from web.api.v1.checkpoints import checkpoints
from web.api.v1.companies import companies
from web.api.v1.company_merges import company_merges
from web.api.v1.consents import consents
from web.api.v1.contacts import contacts, special_numbers
from web.api.v1.deal_lines import deal_lines
from web.api.v1.deal_merges import deal_merges
from web.api.v1.deal_people import deal_people
from web.api.v1.deals import deals
from web.api.v1.distribution import distribution
from web.api.v1.escalations import escalations
from web.api.v1.feed import feed
from web.api.v1.fields import fields
from web.api.v1.files import files
from web.api.v1.flags import flags
from web.api.v1.forms import forms, requests
from web.api.v1.hooks import hooks
from web.api.v1.lamps import jobs, lamps
from web.api.v1.leaves import leaves
from web.api.v1.merges import merges
from web.api.v1.messages import messages
from web.api.v1.notes import notes
from web.api.v1.pipelines import pipelines
from web.api.v1.privacy import privacy
from web.api.v1.products import products
from web.api.v1.reports import reports
from web.api.v1.rules import rules
from web.api.v1.runs import runs
from web.api.v1.sms_gateway import sms_gateway
from web.api.v1.special_ranges import special_ranges
from web.api.v1.stage_tasks import stage_tasks
from web.api.v1.tasks import tasks
from web.api.v1.tokens import tokens
from web.api.v1.users import users
from web.api.v1.views import views
from web.api.v1.webhooks import webhooks
from web.routing import public

RESOURCES: tuple[Resource, ...] = (
    calls,
    deals,
    deal_people,
    deal_lines,
    products,
    merges,
    deal_merges,
    contacts,
    companies,
    company_merges,
    consents,
    privacy,
    tasks,
    feed,
    callbacks,
    escalations,
    notes,
    files,
    flags,
    views,
    pipelines,
    fields,
    stage_tasks,
    distribution,
    forms,
    requests,
    checkpoints,
    lamps,
    jobs,
    calendars,
    leaves,
    rules,
    hooks,
    webhooks,
    runs,
    messages,
    sms_gateway,
    reports,
    users,
    tokens,
    special_numbers,
    special_ranges,
)


def api_routes() -> list[Route]:
    """Every route of the API, its description and its documentation page."""
    return [
        public(f"{PREFIX}/openapi.json", openapi(RESOURCES), name="api_openapi"),
        public("/api/docs", docs(RESOURCES), name="api_docs"),
        *recording.routes(),
        *file_bytes.routes(),
        *(route for resource in RESOURCES for route in routes_of(resource.endpoints)),
    ]
