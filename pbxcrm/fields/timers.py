"""What the worker does for custom fields."""

from pbxcrm.fields.index_actions import JOB, begin_indexes, build_indexes

WORK = {JOB: build_indexes}
BEFORE = {JOB: begin_indexes}
