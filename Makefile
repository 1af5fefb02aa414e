# The habits of the project. `make` alone lists them.
# Only Python 3.11 or later and make are needed; everything else goes into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
ROUNDS ?= 5

.DEFAULT_GOAL := help
.PHONY: help run test test-slow search check bench calibrate soak docs clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A stamp per set of packages: installing happens once, and again when setup.cfg changes.
$(VENV)/.run: setup.cfg pyproject.toml
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "installing what the tests need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: $(VENV)/.run ## walk-forward of the liquidity sweep on the embedded market, ends with report.html
	$(BIN)/ftbt walkforward --strategy liquidity_sweep --jobs $(JOBS)

test: $(VENV)/.dev ## the tests (slow ones apart)
	$(BIN)/pytest -n $(JOBS)

test-slow: $(VENV)/.dev ## the tests that need minutes
	$(BIN)/pytest -n $(JOBS) -m slow

search: $(VENV)/.dev ## the property tests with new random examples, ROUNDS times (ten minutes)
	@for round in $$(seq $(ROUNDS)); do \
		$(BIN)/pytest -n $(JOBS) -m 'hypothesis and not slow' --hypothesis-profile=search || exit 1; \
	done

check: $(VENV)/.dev ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## the benchmarks: ratios, measured in one run
	$(BIN)/python -m benchmarks

calibrate: $(VENV)/.dev ## whole pipelines with and without an edge: how often is each verdict right (hours)
	$(BIN)/python -m calibration --jobs $(JOBS)

soak: $(VENV)/.dev ## seven days of trading under faults and kills, compressed: is anything lost (half an hour)
	$(BIN)/python -m soak --publish

docs: $(VENV)/.dev ## rebuild the reference pages that are made from the code
	$(BIN)/python -m docs.build

clean: ## remove the environment and caches
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
