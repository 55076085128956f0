# Everything a developer does, by name. `make` alone prints this list; `make up` is where to begin.
# Needed: make and a Python (3.13 to run Guilder; if it is nowhere to be found, uv downloads it). PYTHON=... names another
# than those on the path. A pyenv shim may be on the path and have no version behind it, so each is tried.

PY := .venv/bin/python
UV := .local/bootstrap/bin/uv

# LocalStack's last open release works with the packages of its time: newer ones of some (cbor2) break it.
LOCALSTACK_RELEASED := 2026-03-15
LOCK := $(UV) pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	--python-version 3.13 --universal

.DEFAULT_GOAL := help
.PHONY: help up down test test-nightly test-unit test-integration test-simulator test-contract test-devstack test-infra test-e2e test-chaos \
	test-properties test-lint test-types test-imports bench verify synth openapi fmt lock clean venv

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: venv ## Start everything, deploy Guilder to it and make a payment; repairs what is missing, keeps the data
	@$(PY) -m devstack up

down: ## Stop what `make up` started; CLEAN=1 deletes the data as well
	@if [ -x $(PY) ]; then $(PY) -m devstack down $(if $(filter 1 yes true,$(CLEAN)),--clean); \
	else echo "Nothing is running: there is no .venv yet."; fi

test: venv ## All checks and tests, one line a suite
	@$(PY) tests/run.py

test-lint: venv ## Ruff: style and format
	@$(PY) tests/run.py lint

test-types: venv ## mypy, strict
	@$(PY) tests/run.py types

test-imports: venv ## Who may import whom
	@$(PY) tests/run.py imports

test-unit: venv ## Tests without services
	@$(PY) tests/run.py unit

test-integration: venv ## Tests on real PostgreSQL, PgBouncer and Valkey
	@$(PY) tests/run.py integration

test-simulator: venv ## Tests of the processor simulator
	@$(PY) tests/run.py simulator

test-devstack: venv ## Tests of `make up` and the local services: killed, repaired, stopped
	@$(PY) tests/run.py devstack

test-contract: venv ## What every processor's client must do
	@$(PY) tests/run.py contract

test-chaos: venv ## Concurrent callers, processes killed between any two steps, services that fail
	@$(PY) tests/run.py chaos

test-properties: venv ## The life cycle against a model, and every route's errors
	@$(PY) tests/run.py properties

test-nightly: venv ## The same two at length: hours, not minutes
	@GUILDER_NIGHTLY=1 $(PY) tests/run.py chaos properties

test-infra: venv ## What the CDK app synthesises
	@$(PY) tests/run.py infra

test-e2e: venv ## Tests over HTTP against the deployed local stack
	@$(PY) tests/run.py e2e

bench: venv ## Measure; the figures go to .local/bench.json
	@$(PY) tests/load/run.py

verify: venv ## Check that payments, ledger and processor agree; fails with the list of what is broken
	@$(PY) -m devstack verify

synth: venv ## Synthesise the production stacks into cdk.out, without an AWS account
	@$(PY) -m infra.synth --env prod

openapi: venv ## Write the API document anew from the routes
	@$(PY) -m guilder.api.documentation

fmt: venv ## Format and sort imports
	@$(PY) -m ruff check --fix --quiet . ; $(PY) -m ruff format .

lock: venv ## Resolve all requirements anew and write their hashes
	@$(LOCK) requirements/bootstrap.in -o requirements/bootstrap.txt
	@$(LOCK) layers/dependencies/requirements.in -o layers/dependencies/requirements.txt
	@$(LOCK) requirements/dev.in -o requirements/dev.txt -c layers/dependencies/requirements.txt
	@$(LOCK) localstack/lambda-runtime.in -o localstack/lambda-runtime.txt
	@$(filter-out --universal,$(LOCK)) --exclude-newer $(LOCALSTACK_RELEASED) localstack/requirements.in -o localstack/requirements.txt

clean: down ## Stop everything and delete what was built; CLEAN=1 deletes the data as well
	@rm -rf cdk.out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .local/cdk.out .local/layers \
		.local/npm .local/venvs .local/venv.stamp .venv
	@find . -name __pycache__ -type d -not -path './.local/*' -prune -exec rm -rf {} +

venv: ## Make or update .venv (the others do it by themselves)
	@for python in .venv/bin/python $(PYTHON) python3.13 python3 python3.12 python3.11 python; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1; then \
			exec $$python requirements/install.py; fi; done; \
	echo "No Python was found on the path (3.9 or later begins, 3.13 runs Guilder). Install one, for example:"; \
	echo "    apt-get install python3 python3-venv, or brew install python@3.13, or pyenv install 3.13"; exit 1
