# Thin aliases, no logic: what they run lives in the package, in tests/ and in bench/.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

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
	$(BIN)/credit-gateway demo $(ARGS)

test: setup ## run all tests
	$(BIN)/python -m pytest $(ARGS)

lint: setup ## style, types, import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup $(VENV)/.bench ## measure against the targets
	$(BIN)/python -m bench $(ARGS)

$(VENV)/.bench: requirements-bench.lock $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements-bench.lock
	@touch $@

openapi: setup ## write schemas/openapi.json again from the types
	$(BIN)/python -m gateway.api.openapi > schemas/openapi.json

clean: ## remove what setup made
	rm -rf $(VENV) build dist *.egg-info
