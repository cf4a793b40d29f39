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
PAGE := src/kpwatch/ui/static/index.html
PAGE_SOURCES := web/index.html web/package-lock.json web/tsconfig.json web/vite.config.ts $(shell find web/src web/test -type f)

.DEFAULT_GOAL := help
.PHONY: help venv page demo test lint bench generate long constraints

help:
	@sed -n 's/^# make/make/p' Makefile
	@echo "also    make venv page lint bench generate long constraints"

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

# The page. Its files take the place of the old ones at once, so a hub that starts meanwhile reads either.
page: $(PAGE)

web/node_modules/.stamp: web/package.json web/package-lock.json | $(BIN)/python
	@echo "installing what the page is built with into web/node_modules"
	@cd web && ../scripts/with-node npm ci --no-audit --no-fund --loglevel=error --prefer-offline
	@touch $@

$(PAGE): $(PAGE_SOURCES) web/node_modules/.stamp
	@echo "building the page"
	@cd web && ../scripts/with-node npm run --silent build
	@rm -rf src/kpwatch/ui/static && mv web/dist src/kpwatch/ui/static

demo: .venv/hub.stamp
	@$(MAKE) --no-print-directory page || echo "the page could not be built (see above): the demo goes on with its API alone"
	@exec $(BIN)/kpwatch up --demo --listen $(LISTEN)

test: .venv/dev.stamp $(PAGE)
	@cd web && ../scripts/with-node npm test --silent
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
	$(BIN)/python scripts/make-chart-readme
	$(BIN)/python scripts/make-runbooks

# All tests again with many more examples for each property: an hour, not minutes.
long: .venv/dev.stamp
	@KPWATCH_LONG=1 $(BIN)/pytest -n auto -p tests.long_profile

constraints: .venv/dev.stamp
	@{ sed -n 1p requirements/constraints.txt; $(BIN)/pip freeze --exclude-editable; } > .venv/constraints.txt
	@mv .venv/constraints.txt requirements/constraints.txt
