# Everything runs in .venv, which is made on first use. `make help` lists the targets.

PYTHON ?= python3
PIP_ARGS ?=
FAST ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet $(PIP_ARGS)
# Processes that run tests. A file stays in one: its fits are made once.
JOBS ?= 2
# FAST=1 leaves out the tests marked slow.
SELECT := $(if $(filter-out 0,$(FAST)),-m "not slow")

.DELETE_ON_ERROR:
.PHONY: help demo test check clean

help:
	@echo "make demo    fit the motorcycle data and write plots, tables and the fit to demo-output/"
	@echo "make test    run all tests (FAST=1 leaves out the slow ones)"
	@echo "make check   ruff format, ruff, mypy, then all tests"
	@echo "make clean   remove .venv, demo-output/ and caches"
	@echo "Options: PYTHON=python3.12 (3.11 or later), PIP_ARGS='...' for pip install, JOBS=2 for tests"

demo: $(VENV)/.installed
	$(BIN)/bayes-hybrid demo --out demo-output --force

# More threads than cores make a step many times slower, and timings depend on the machine.
demo test check: export OMP_NUM_THREADS = 1
demo test check: export MKL_NUM_THREADS = 1

test: $(VENV)/.installed
	$(BIN)/python -m pytest $(SELECT) --numprocesses=$(JOBS) --dist=loadfile

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy bayes_hybrid tests $(wildcard benchmarks) $(wildcard examples)
	$(BIN)/python -m pytest $(SELECT) --numprocesses=$(JOBS) --dist=loadfile

clean:
	rm -rf $(VENV) demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find bayes_hybrid tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch by itself first: with its version pinned, pip takes a CPU build where one is offered,
# before any other package can ask for torch in its own way.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -c constraints.txt torch
	$(INSTALL) -c constraints.txt -e '.[test]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) -c constraints.txt -e '.[test,dev]'
	touch $@
