"""What the worker does for custom fields."""

from pbxcrm.fields.formula_jobs import JOB as COMPUTE
from pbxcrm.fields.formula_jobs import compute_batch
from pbxcrm.fields.index_actions import JOB, begin_indexes, build_indexes

WORK = {JOB: build_indexes, COMPUTE: compute_batch}
BEFORE = {JOB: begin_indexes}
