# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
STAMP := .venv/.synced
SOURCES := features models riskon serving sources training tests benchmarks

.PHONY: help setup demo test test-all check format bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## create .venv from the lock, with the riskon command and all development tools

$(STAMP): pyproject.toml uv.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'
	$(UV) sync --locked --quiet --all-groups --inexact --python $(BIN)/python
	@touch $(STAMP)

demo: setup  ## the whole path on a simulated market, offline
	$(BIN)/riskon demo

test: setup  ## the whole suite, but for what is marked slow
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow'

test-all: setup  ## the suite with what is slow
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: setup  ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## figures of speed, as ratios against peers
	@for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:  ## remove what the targets made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
