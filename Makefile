# One command for each thing that a person does with Saarthi. A fresh machine needs Python 3.11,
# make and git; what else is missing comes from the lock files, and for the tests from apt.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
PORT ?= 8080
DATA ?=
AUTOPLAY ?=
CLOCK ?=
REPLAY ?=
DATES ?=
JOBS ?= 5
LONG ?=
SEED ?= 1
MINUTES ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --no-deps --require-hashes
TOOLS := .venv-tools
COMPILE = $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --override overrides.txt --constraint constraints.txt $(LOCK_ARGS)
PROJECT := $(PIP) install --no-deps --no-build-isolation --editable .

.PHONY: install pictures demo test quick test-dates faults nightly check bench panic-table lock audit clean format system-deps

# The program in .venv, as a production installation has it; `make demo` does this, too.
install: $(VENV)/installed
	@echo "installed: $(BIN)/saarthi --help"

demo: $(VENV)/installed-embedded
	@$(BIN)/saarthi demo --port $(PORT) $(if $(DATA),--data "$(DATA)") $(if $(CLOCK),--clock "$(CLOCK)") \
	  $(if $(REPLAY),--replay "$(REPLAY)") $(if $(filter-out 0,$(AUTOPLAY)),--autoplay)

# What has been compiled is kept, whatever the shell says: else each worker, and each program that a
# test starts, compiles everything again.
quick test test-dates faults nightly: export PYTHONDONTWRITEBYTECODE :=

# What to run after each change: no store, no simulator, no browser.
quick: check
	$(BIN)/python -P -m pytest -q -n 2 --dist worksteal -W error::pytest.PytestUnraisableExceptionWarning \
	  tests/unit tests/architecture $(PYTEST_ARGS)

test: system-deps check
	$(BIN)/python -P -m pytest -n $(JOBS) --dist worksteal --rows $(PYTEST_ARGS)

# Date-sensitive tests and the demo's story on other days and in other zones, for half an hour;
# DATES picks moments, such as DATES=new-years-eve. `make test` holds a short form.
test-dates: system-deps $(VENV)/installed-dev
	$(BIN)/python -m tests.dates $(DATES)

# The fault campaign: ends of the process, faults of brokers, store and chat, people who trade
# besides, judged by an umpire; prints a table. LONG=1 is 1,000 kills and 10,000 faults in twenty
# minutes, SEED another set of days, MINUTES another limit of time. docs/reliability.md says what it
# holds.
faults: $(VENV)/installed-dev
	$(BIN)/python -m tests.campaign --seed $(SEED) $(if $(filter-out 0,$(LONG)),--long) \
	  $(if $(MINUTES),--minutes $(MINUTES))

# What is too long for every commit: every moment of the crash enumerator, and the like.
nightly: system-deps $(VENV)/installed-dev
	$(BIN)/python -P -m pytest -m nightly $(PYTEST_ARGS)

# The pictures of the README, out of the browser test that plays the demo by hand.
pictures: system-deps $(VENV)/installed-dev
	$(BIN)/python -P -m pytest -q tests/browser/test_demo_by_hand.py
	cd .screenshots/demo_by_hand && cp start.png run.png guards.png $(CURDIR)/docs/images/

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed-dev
	$(BIN)/python -m tests.bench --output bench.json $(BENCH)

# Twenty accounts at the simulators, four of them in trouble: how long a panic takes on the others.
panic-table: $(VENV)/installed-dev
	$(BIN)/python -m tests.bench.panic_table

# Only writing the locks needs a resolver; installing from them needs pip alone. The tool that writes
# them is locked itself, with its hashes. LOCK_ARGS=--upgrade takes newer versions.
lock: $(TOOLS)/installed
	$(COMPILE) requirements.in requirements-build.in --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock requirements-embedded.in \
	  --output-file requirements-embedded.lock
	$(COMPILE) --constraint requirements.lock --constraint requirements-embedded.lock \
	  requirements.in requirements-build.in requirements-embedded.in requirements-dev.in \
	  --output-file requirements-dev.lock
	$(COMPILE) requirements-tools.in --output-file requirements-tools.lock

# Asks the index which locked versions have published weaknesses. It needs the index's advisories, so
# it is no part of `make check`, which works offline and everywhere; that one holds constraints.txt.
audit: $(TOOLS)/installed
	for lock in requirements.lock requirements-embedded.lock requirements-dev.lock; do \
	  $(TOOLS)/bin/pip-audit --strict --disable-pip --no-deps --require-hashes -r $$lock; \
	done

clean:
	rm -rf $(VENV) $(TOOLS) build dist *.egg-info bench.json .coverage .coverage.* htmlcov \
	  .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# The browser for the browser tests and the fonts of a phone, by which lines fit or do not; libfaketime
# for the tests on other days, and the libraries of the test-only mongod.
system-deps:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  missing=""; \
	  for program in chromium faketime; do \
	    command -v $$program >/dev/null || missing="$$missing $$program"; \
	  done; \
	  for package in libcurl4 libssl3 fonts-roboto-unhinted fonts-noto-color-emoji; do \
	    dpkg-query --show --showformat='$${Status}' $$package 2>/dev/null \
	      | grep -q 'install ok installed' || missing="$$missing $$package"; \
	  done; \
	  if [ -n "$$missing" ]; then \
	    apt-get update -qq; \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  fi; \
	else \
	  command -v chromium >/dev/null \
	    || echo "no chromium and not root: the browser tests will be skipped"; \
	  command -v faketime >/dev/null \
	    || echo "no faketime and not root: the tests on other days will be skipped"; \
	fi

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.lock pyproject.toml requirements.in | $(BIN)/python
	$(INSTALL) -r requirements.lock
	$(PROJECT)
	touch $@

# The embedded store is for the demo and the tests; a production installation has no use for it.
$(VENV)/installed-embedded: requirements-embedded.lock $(VENV)/installed
	$(INSTALL) -r requirements-embedded.lock
	touch $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed
	$(INSTALL) -r requirements-dev.lock
	touch $@

$(TOOLS)/installed: requirements-tools.lock
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip --disable-pip-version-check --quiet install \
	  --no-deps --require-hashes -r requirements-tools.lock
	touch $@
