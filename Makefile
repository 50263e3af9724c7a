# Thin aliases, no logic: what they run lives in the package, in tests/ and in bench/.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
LINTERS := .ci/openapi

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench openapi clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## create .venv with the command credit-gateway

$(VENV)/.ready: requirements.lock requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements.lock -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## start everything with a synthetic city; stays up until Ctrl-C
	exec $(BIN)/credit-gateway demo $(ARGS)

test: setup ## run all tests
	$(BIN)/python -m pytest $(ARGS)

lint: setup $(VENV)/.linters ## style, types, import direction, OpenAPI
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(LINT_OPENAPI) redocly lint schemas/openapi.json --config $(LINTERS)/redocly.yaml --format=summary
	$(LINT_OPENAPI) spectral lint schemas/openapi.json --ruleset $(LINTERS)/spectral.yaml --fail-severity=hint

# Node.js comes from a Python wheel, whatever the machine has; the linters talk to nobody.
LINT_OPENAPI := REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true PATH="$(CURDIR)/$(LINTERS)/node_modules/.bin:$(CURDIR)/$(BIN):$$PATH"

$(VENV)/.linters: $(LINTERS)/requirements.lock $(LINTERS)/package-lock.json $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r $(LINTERS)/requirements.lock
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --loglevel=error --prefix $(LINTERS)
	@touch $@

bench: setup $(VENV)/.bench ## measure against the targets
	exec $(BIN)/python -m bench $(ARGS)

$(VENV)/.bench: requirements-bench.lock $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements-bench.lock
	@touch $@

openapi: setup ## write schemas/openapi.json again from the types
	$(BIN)/python -m gateway.api.openapi > schemas/openapi.json

clean: ## remove what setup made
	rm -rf $(VENV) $(LINTERS)/node_modules build dist *.egg-info
