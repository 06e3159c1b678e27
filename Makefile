# Two commands: `make demo` shows the main job, `make test` passes the tests.
# Each installs what it needs; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv/bin
PYTEST := $(VENV)/python -m pytest
ARGS ?=

export PYTHONPATH := $(CURDIR)

##@ Start here

.PHONY: help demo demo-down test check
help: ## List what can be done
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv ## Show the main job on a real cluster: apply, watch, break, mend, roll back
	@$(VENV)/python -m tests.demo

demo-down: .venv ## Remove the demo, its cluster and everything it started
	@$(VENV)/python -m tests.demo down

test: check test-unit test-postgres test-cluster ## Pass all tests, quickest first

check: .venv ## Format, lint, types, layers, generated files, tests that load: under a minute
	@$(VENV)/ruff format --check --quiet .
	@$(VENV)/ruff check --no-cache --quiet .
	@$(VENV)/mypy
	@$(VENV)/lint-imports --verbose 2>&1 | tail -n 12
	@$(VENV)/python -m dbmigrate.api.crd --check
	@$(VENV)/python -m dbmigrate.api.reference --check
	@loaded="$$($(PYTEST) tests --collect-only -qq 2>&1)" || { tail -n 20 <<<"$$loaded"; exit 1; }

##@ One layer alone

.PHONY: test-unit test-postgres test-cluster
test-unit: .venv ## The pure parts: no server needed
	@$(PYTEST) tests/unit -n 2 $(ARGS)

test-postgres: .venv ## The engine, against PostgreSQL 15, 16 and 18
	@.ci/setup postgres
	@$(PYTEST) tests/postgres -n 3 --dist worksteal $(ARGS)  # many only wait

test-cluster: .venv ## The operator, on a real Kubernetes node with real pods
	@$(VENV)/python -m tests.cluster prepare
	@$(PYTEST) tests/cluster $(ARGS)

##@ The cluster

.PHONY: cluster-up cluster-down image
cluster-up: .venv ## Start a cluster and leave it running between test runs
	@$(VENV)/python -m tests.cluster up

cluster-down: .venv ## Stop it and remove all that it made
	@$(VENV)/python -m tests.cluster down

image: .venv ## Build the image from the Dockerfile
	@$(VENV)/python -m tests.cluster.images dbmigrate

##@ Now and then

.PHONY: generate format bench bench-traffic bench-operator chaos clean
generate: .venv ## Write the generated files: the CRD and its reference
	@$(VENV)/python -m dbmigrate.api.crd --write
	@$(VENV)/python -m dbmigrate.api.reference --write

format: .venv ## Format and mend what can be mended by itself
	@$(VENV)/ruff check --fix --quiet . || true
	@$(VENV)/ruff format --quiet .

bench: .venv ## Measure the engine beside its peers, and write docs/benchmarks.md
	@.ci/setup postgres
	@$(VENV)/python -m tests.bench.engine $(ARGS)

bench-traffic: .venv ## Measure what live traffic feels of a migration, and write docs/benchmarks.md
	@.ci/setup postgres
	@$(VENV)/python -m tests.bench.traffic $(ARGS)

bench-operator: .venv ## Measure the operator on the cluster, and write docs/benchmarks.md
	@$(VENV)/python -m tests.bench.operator $(ARGS)

chaos: .venv ## Kill and cut the runner and the server at random, a thousand times
	@.ci/setup postgres
	@$(VENV)/python -m tests.chaos --keep .cache/chaos --summary .cache/chaos/summary.json $(ARGS)

clean: ## Remove what was built here (not the caches)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist

.PHONY: .venv
.venv:
	@.ci/setup python
