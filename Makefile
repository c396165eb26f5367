# The same names that CI runs. `make demo` and `make test` do all set-up themselves, and say so when there is none to do.
.DEFAULT_GOAL := help
.PHONY: help setup venv engine base-image registry postgres demo test lint typing unit plugin suites integration wheel policy-diff bench format clean

PYTEST := .venv/bin/pytest
# Files side by side; tests marked `alone` run beside no other.
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: venv engine base-image ## Environment, container engine and base image; nothing where they are there

venv:
	@.ci/venv

engine:
	@.ci/engine

base-image: venv engine
	@.ci/base-image

registry: # Debian's docker-registry, for the tests that push
	@.ci/registry

postgres: # Debian's PostgreSQL, for the tests that keep MLflow's store in it
	@.ci/postgres

demo: venv ## Run the main job on real data: four challengers, four verdicts
	@.ci/engine && .ci/base-image || echo "no container engine: the demo runs in the process sandbox"
	.venv/bin/mlgate demo

test: setup unit plugin suites integration wheel ## Run every test

lint: venv ## ruff: rules and format
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

typing: venv ## mypy, strict
	.venv/bin/mypy

unit: venv ## Pure core, no engine, no network
	$(PYTEST) tests/unit tests/repo -m "not slow" -q $(BESIDE)

plugin: venv ## The pytest plugin, with pytester
	$(PYTEST) tests/plugin -q $(BESIDE)

suites: venv ## Every check against its mutant model and a healthy one
	$(PYTEST) tests/suites -q

integration: setup registry postgres ## Real container engine, real MLflow server
	$(PYTEST) tests/integration -q $(BESIDE)

wheel: venv ## Install the built wheel in an empty environment and collect the suites there
	$(PYTEST) tests/repo -m slow -q

BASE := main
policy-diff: venv ## Say what became weaker since BASE in the policies that ship
	.venv/bin/mlgate policy diff $(BASE):mlgate/cli/mlgate.yaml mlgate/cli/mlgate.yaml
	.venv/bin/mlgate policy diff $(BASE):mlgate/demo/mlgate.yaml mlgate/demo/mlgate.yaml

bench: setup ## Print the numbers of the README
	.venv/bin/python benchmarks/idle_tax.py
	.venv/bin/python benchmarks/gate_run.py
	.venv/bin/python benchmarks/env_ready.py
	.venv/bin/python benchmarks/cold_start.py
	.venv/bin/python benchmarks/sandbox_cost.py
	.venv/bin/python benchmarks/kill_clean.py
	.venv/bin/python benchmarks/paired_accuracy.py
	.venv/bin/python benchmarks/error_rates.py
	.venv/bin/python benchmarks/property_rows.py
	.venv/bin/python benchmarks/generate_rows.py
	.venv/bin/python benchmarks/suite_seconds.py
	.venv/bin/python benchmarks/stall_truth.py
	.venv/bin/python benchmarks/slo_edge.py
	.venv/bin/python benchmarks/fail_fast.py
	.venv/bin/python benchmarks/generator_ceiling.py
	.venv/bin/python benchmarks/digest.py
	.venv/bin/python benchmarks/gate_time.py
	.venv/bin/python benchmarks/registry_scale.py

format: venv
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean: ## Remove what make made, but for the engine's images
	rm -rf .venv demo-output dist build
