# make demo    set everything up and serve http://127.0.0.1:19000/ with a simulated cluster
# make test    set everything up and run all tests
# make         this list
#
# Needs make and python3 >= 3.11 with venv. After either, .venv/bin/kpwatch is the program.

SHELL := /bin/sh
BIN := .venv/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check install -c requirements/constraints.txt
SETUP := pyproject.toml requirements/constraints.txt
LISTEN ?= 127.0.0.1:19000

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint bench generate long constraints

help:
	@sed -n 's/^# make/make/p' Makefile
	@echo "also    make venv lint bench generate long constraints"

$(BIN)/python:
	@python=$$(PYTHON='$(PYTHON)' sh scripts/find-python) && echo "setting up .venv with $$python" && "$$python" -m venv .venv

# What runs: the agent and the hub.
.venv/hub.stamp: $(SETUP) | $(BIN)/python
	@echo "installing kpwatch[hub] into .venv"
	@$(PIP) -e '.[hub]'
	@touch $@

# What tests, in addition.
.venv/dev.stamp: $(SETUP) | $(BIN)/python
	@echo "installing kpwatch[dev] into .venv"
	@$(PIP) -e '.[dev]'
	@touch $@ .venv/hub.stamp

venv: .venv/dev.stamp

demo: .venv/hub.stamp
	@exec $(BIN)/kpwatch up --demo --listen $(LISTEN)

test: .venv/dev.stamp
	@$(BIN)/pytest -n auto

lint: .venv/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Each script measures one claim and says what it measured on.
bench: .venv/dev.stamp
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

# Files in git that are made from others.
generate: .venv/dev.stamp
	$(BIN)/python scripts/make-simulator-bodies
	$(BIN)/python scripts/make-categraf-compat
	$(BIN)/python scripts/make-check-pages

# All tests again with many more examples for each property: an hour, not minutes.
long: .venv/dev.stamp
	@KPWATCH_LONG=1 $(BIN)/pytest -n auto -p tests.long_profile

constraints: .venv/dev.stamp
	@{ sed -n 1p requirements/constraints.txt; $(BIN)/pip freeze --exclude-editable; } > .venv/constraints.txt
	@mv .venv/constraints.txt requirements/constraints.txt
