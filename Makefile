# The same few commands for a person, a contributor and CI.
#
#   make run      the dashboards on http://127.0.0.1:8866 (HOST and PORT can be set)
#   make lab      JupyterLab on notebooks/
#   make test     everything: lint, types, import contracts, tests, notebooks, browser
#   make check    the quick part of it: lint, types, import contracts
#   make format   write the code as ruff wants it
#   make bench    the benchmarks, whose figures stand in docs/benchmarks/

PYTHON ?= $(shell command -v python3.11 || command -v python3)
HOST ?= 127.0.0.1
PORT ?= 8866
BIN := .venv/bin

.PHONY: run lab test check format bench clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

run: .venv/runtime
	@HOST=$(HOST) PORT=$(PORT) exec $(BIN)/workbench start

lab: .venv/runtime
	@exec $(BIN)/workbench lab

test: .venv/development check
	@sh tools/system_packages.sh
	@$(BIN)/python -m pytest -n 2 --dist loadscope tests notebooks --nbval-lax --ignore notebooks/lessons $(PYTEST)

check: .venv/development
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports > .venv/contracts.log || { cat .venv/contracts.log; exit 1; }

format: .venv/development
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

bench: .venv/development
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

# Stamps: an install is repeated only when what it depends on has changed. pip, not uv: the
# exact torch of constraints.txt may lie in a folder that only pip's settings know. Without
# --no-compile pip would spend half a minute on bytecode, most of it of modules nobody imports;
# what is imported is compiled once, then, so nothing may forbid Python to keep it.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
DEPENDS := .venv/bin/python pyproject.toml constraints.txt

.venv/bin/python:
	@sh tools/make_venv.sh "$(PYTHON)"

.venv/runtime: $(DEPENDS)
	@echo "Installing the workbench into .venv (some minutes the first time) ..."
	@$(PIP) -c constraints.txt -e .
	@touch $@

.venv/development: $(DEPENDS)
	@echo "Installing the workbench and what tests it into .venv (some minutes the first time) ..."
	@$(PIP) -c constraints.txt -e '.[dev]'
	@touch .venv/runtime $@
