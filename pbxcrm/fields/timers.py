"""What the worker does for custom fields."""

from pbxcrm.fields.formula_jobs import JOB as RECKON
from pbxcrm.fields.formula_jobs import reckon_batch
from pbxcrm.fields.index_actions import JOB, begin_indexes, build_indexes

WORK = {JOB: build_indexes, RECKON: reckon_batch}
BEFORE = {JOB: begin_indexes}
