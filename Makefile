# Coopery. `make demo` sets up and shows the main job; `make test` sets up and passes every test.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.complete
QUICK := not slow and not processes and not needs and not channel and not network and not tools

.PHONY: help setup channel engines demo check test soak bench lint types requirements wheels clean

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 20

setup: $(STAMP)  ## a virtual environment with everything, pinned by hash
$(STAMP): requirements/dev.txt pyproject.toml core/pyproject.toml $(wildcard plugins/*/pyproject.toml) scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup

channel: setup  ## a real conda channel in build/channel, from Python and Debian package registries
	@$(BIN)/python tests/channel build/channel

engines: setup  ## engines, a registry and tools by apt, where we may install them; starts what must run
	@scripts/install-engines
	@scripts/install-apptainer
	@scripts/install-docker-28
	@scripts/start-engines

demo: setup channel  ## the main job, shown step by step; needs no root and no engine
	@examples/demo/demo

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy

check: lint types  ## linters, types and the tests that need no engine: under a minute
	@$(BIN)/pytest -q -n 2 --dist worksteal -m "$(QUICK)"

test: setup engines channel lint types  ## everything, on real parts; ends with a table of what ran
	@$(BIN)/pytest -n 2 --dist worksteal

soak: setup engines channel  ## the same with the long forms: more rounds, limits of time; an hour and more
	@COOPERY_SOAK=1 $(BIN)/pytest -n 2 --dist worksteal

bench: setup engines channel  ## ratios against the limit of the machine and the best of other tools
	@$(BIN)/python benchmarks/run.py
	@$(BIN)/python benchmarks/registry.py
	@$(BIN)/python benchmarks/engines.py

requirements: setup  ## pin requirements/dev.txt anew
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header requirements/dev.in -o requirements/dev.txt

wheels: setup  ## every distribution as wheel and sdist, in dist/
	@scripts/wheels

clean:
	@rm -rf .venv .venv-second build dist
