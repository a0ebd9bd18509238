# make run    everything with a simulated PBX; with PBXCRM_AMI_URL=ami://user:secret@host:5038 your own PBX
# make test   installs what the tests need, then checks style, types and import rules and runs the tests
# make week   plays a week of an office on both databases and compares every lamp with a slow reference (half an hour or more)
# make chaos  kills, stops and disconnects each part, the database and the PBX at random during calls (an hour or more)
# make chaos-rules   kills two workers at random while rules take the steps of 10,000 events, on both databases, and asks a gateway what it got
#                  (make chaos-rules EVENTS=200 KILLS=6 for a small one)
# make bench-big   fills both databases with ten years of a big office and measures every list and search at two sizes (an hour, 15 GB;
#                  make bench-big SIZE=0.002 ROUNDS=1 takes a small part of the rows and asks each page once, to see that the way works: minutes;
#                  KEEP=/a/folder keeps the filled databases there and finds them again)
# make help   lists the other targets

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CORES := $(shell nproc)
SIZE ?= 1
ROUNDS ?= 15
EVENTS ?= 10000
KILLS ?= 40
CODE := pbxcrm ami web workers tests scripts/migration scripts/commit-message

.PHONY: run test lint types format bench bench-big week chaos chaos-rules screenshots i18n lock migration clean help
.DEFAULT_GOAL := help

help:
	@sed -n '1,/^$$/p' Makefile | sed 's/^# //'
	@echo "also: make lint types format bench bench-big week chaos chaos-rules screenshots i18n lock clean"

run: $(VENV)/.run
	@if [ -n "$$PBXCRM_AMI_URL" ]; then exec $(BIN)/pbxcrm run; else exec $(BIN)/pbxcrm run --demo; fi

# Asterisk is installed in the background, since that takes minutes. The tests that need it wait for it and report a failure; the
# log is .cache/asterisk.log. The types are checked beside the first tests, since mypy uses one core only; its words come after them.
# Some tests wait for other programs, so one more of them than there are cores runs at the same time. Those with phones and browsers come
# last and wait for three quarters of their time, so there three times as many run. Each process has its own browser, Redis, Asterisk and ports.
# Compiled modules are kept also where the environment forbids it: each process, and each program that a test starts, would compile ours.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.test
	@scripts/apt-needs test
	@mkdir -p .cache && $(BIN)/python -m tests.asterisk.setup >.cache/asterisk.log 2>&1 &
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy >.cache/mypy.log 2>&1 & types=$$!; trap 'kill $$types' INT TERM; \
	$(BIN)/pytest --numprocesses $$(($(CORES) < 4 ? $(CORES) + 1 : 4)) --dist worksteal tests --ignore tests/asterisk --ignore tests/e2e; tests=$$?; \
	wait $$types; types=$$?; cat .cache/mypy.log; exit $$((tests | types))
	$(BIN)/pytest --numprocesses $$(($(CORES) < 3 ? 3 * $(CORES) : 8)) --dist worksteal tests/asterisk tests/e2e

lint: $(VENV)/.test
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.test
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

bench: $(VENV)/.test
	@scripts/apt-needs test
	$(BIN)/python -m tests.bench

bench-big: $(VENV)/.test
	@scripts/apt-needs test
	PBXCRM_BENCH_SCALE=$(SIZE) PBXCRM_BENCH_ROUNDS=$(ROUNDS) PBXCRM_BENCH_KEEP=$(KEEP) $(BIN)/python -m tests.bench big

week: $(VENV)/.test
	@scripts/apt-needs test
	$(BIN)/python -m tests.week

# Failures of each part of the product, PostgreSQL, Redis and the PBX during real calls; then of two machines' listeners, database and PBX.
chaos: $(VENV)/.test
	@scripts/apt-needs test
	$(BIN)/python -m tests.chaos.recovery
	$(BIN)/python -m tests.chaos.failover

chaos-rules: $(VENV)/.test
	@scripts/apt-needs test
	$(BIN)/python -m tests.chaos.rules $(EVENTS) $(KILLS)

screenshots: $(VENV)/.test
	@scripts/apt-needs test
	$(BIN)/python -m tests.e2e.screenshots

i18n: $(VENV)/.test
	$(BIN)/python -m web.i18n.update

lock: $(VENV)/.test
	scripts/lock

migration: $(VENV)/.test
	$(BIN)/python scripts/migration

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run: requirements/run.txt pyproject.toml scripts/venv
	@PYTHON=$(PYTHON) scripts/venv $(VENV) run

$(VENV)/.test: requirements/test.txt pyproject.toml scripts/venv
	@PYTHON=$(PYTHON) scripts/venv $(VENV) test
