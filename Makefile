# Two commands do it: `make compare` and `make test`. Needs Python 3.10-3.13 and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := 0.13.9
STAMP := $(VENV)/.installed
RUN ?=
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup compare compare-full train infer ui test lint lock clean

help:  ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Install everything, as locked, into .venv

# Bytecode is compiled now: otherwise the first run would pay for it, and it would be measured.
$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --compile-bytecode -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

compare: setup  ## The user's test with and without Unsloth, one pair: the table, no verdict yet
	$(BIN)/python -m ohlora.run experiment=unsloth_comparison compare.pairs=1 $(ARGS)

compare-full: setup  ## The same in four interleaved pairs, with verdicts; goes on where compare stopped
	$(BIN)/python -m ohlora.run experiment=unsloth_comparison $(ARGS)

train: setup  ## Fine-tune on the whole training set
	$(BIN)/python -m ohlora.run task=train trainer=sft $(ARGS)

infer: setup  ## Answers of a fine-tuned model: make infer RUN=<run directory>
	@test -n "$(RUN)" || { echo "error: give the run, for example: make infer RUN=outputs/runs/<run_id>"; exit 2; }
	$(BIN)/python -m ohlora.run task=infer adapter=$(RUN) $(ARGS)

ui: setup  ## MLflow in the browser, on http://127.0.0.1:5000
	MLFLOW_DISABLE_TELEMETRY=true $(BIN)/mlflow ui $(ARGS)

test: lint  ## Lint and all tests
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest $(ARGS)

lint: setup  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: $(STAMP)  ## Resolve the dependencies again into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 --override overrides.txt \
	  --no-header --output-file requirements.lock --upgrade

clean:  ## Remove .venv, results and caches; prepared models stay
	rm -rf $(VENV) outputs mlruns mlflow.db* build dist .pytest_cache .mypy_cache .ruff_cache
