# Two commands matter: `make demo` and `make test`. Both first make .venv, from PyPI and the two lock files alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := requirements.lock requirements-dev.lock
INSTALLED := $(VENV)/.installed
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(UPGRADE)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint format types imports bench client docs openapi lock clean

help: ## say what there is
	@awk -F ' *## *' '/^[a-z][a-z ]*:.*##/ { sub(/[ :].*/, "", $$1); printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## make .venv with everything in it

demo: $(INSTALLED) ## load the shipped data, settle the past months, serve the API (FULL=1: the full-size network)
	@exec $(BIN)/club demo $(if $(FULL),--full)

test: check ## everything that must hold: check, then all tests on real PostgreSQL
	$(BIN)/python -m pytest

check: lint types imports ## lint, types and import rules, without the tests

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

format: $(INSTALLED) ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED) ## measure the service against its limit (docs/performance.md)
	@exec $(BIN)/club bench

docs openapi: $(INSTALLED) ## write docs/openapi.json and the tables in docs/ from the code
	$(BIN)/python -m tests.generated

client: ## generate the TypeScript client from docs/openapi.json and compile what uses it (needs npm)
	cd client && npm ci --no-audit --no-fund && npm run --silent generate && npm run --silent check

lock: $(INSTALLED) ## pin the dependencies anew (UPGRADE=--upgrade: at their newest)
	$(COMPILE) pyproject.toml --extra redis --output-file requirements.lock
	$(COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove .venv and caches; the books stay where they are
	rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .ruff_cache

# uv comes first, by pip and with its pinned hash; whatever pip or venv left half done is made again
$(INSTALLED): $(LOCKS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + ": name another, e.g. make setup PYTHON=python3.12")'
	@echo "Installing into $(VENV)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(VENV)/uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes $(LOCKS:%=--requirement %)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
