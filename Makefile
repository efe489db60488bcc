# Everything runs in .venv, which is made on first use. `make help` lists the targets.

PYTHON ?= python3
PIP_ARGS ?=
FAST ?=

VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet $(PIP_ARGS)
# Processes that run tests. A file stays in one: its fits are made once.
JOBS ?= 2
# FAST=1 leaves out the tests marked slow.
SELECT := $(if $(filter-out 0,$(FAST)),-m "not slow")

.DELETE_ON_ERROR:
.PHONY: help demo docs test test-lowest check clean

help:
	@echo "make demo         fit the motorcycle data and write plots, tables and the fit to demo-output/"
	@echo "make docs         build the documentation site in build/docs/"
	@echo "make test         run all tests (FAST=1 leaves out the slow ones)"
	@echo "make test-lowest  run the fast tests with the oldest versions that pyproject.toml allows"
	@echo "make check        ruff format, ruff, mypy, then all tests"
	@echo "make clean        remove .venv, .venv-lowest, demo-output/ and caches"
	@echo "Options: PYTHON=python3.12 (3.11 or later), PIP_ARGS='...' for pip install, JOBS=2 for tests"

demo: $(VENV)/.installed
	$(BIN)/bayes-hybrid demo --out demo-output --force

docs: $(VENV)/.installed
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs build/docs
	@echo "build/docs/index.html"

# More threads than cores make a step many times slower, and timings depend on the machine.
demo test test-lowest check: export OMP_NUM_THREADS = 1
demo test test-lowest check: export MKL_NUM_THREADS = 1

test: $(VENV)/.installed
	$(BIN)/python -m pip check
	$(BIN)/python -m pytest $(SELECT) --numprocesses=$(JOBS) --dist=loadfile

# scikit-learn 1.6 gives one of its estimator checks twice, which pytest refuses otherwise.
test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -m pip check
	$(LOWEST)/bin/python -m pytest -m "not slow" -o strict_parametrization_ids=false \
		-p no:cacheprovider --numprocesses=$(JOBS) --dist=loadfile

check: $(VENV)/.installed-dev
	$(BIN)/python -m pip check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy bayes_hybrid tests $(wildcard benchmarks) $(wildcard examples)
	$(BIN)/python -m pytest $(SELECT) --numprocesses=$(JOBS) --dist=loadfile

clean:
	rm -rf $(VENV) $(LOWEST) demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find bayes_hybrid tests -name __pycache__ -type d -prune -exec rm -rf {} +

# pyproject.toml's lower bounds, but for torch: its old versions are gigabytes of CUDA libraries, and
# another version is tried by LOWEST_TORCH=2.6.0. Bytecode is made here, because compiling Pyro 1.9.1
# warns, and warnings are errors in tests.
LOWEST_TORCH ?= $(shell sed -n 's/^torch==//p' constraints.txt)

$(LOWEST)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --disable-pip-version-check --quiet uv \
		$(PIP_ARGS) torch==$(LOWEST_TORCH)
	$(LOWEST)/bin/python -m pip freeze --disable-pip-version-check | grep '^torch==' > $(LOWEST)/torch.txt
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --compile-bytecode \
		--resolution lowest-direct --overrides $(LOWEST)/torch.txt -e '.[test]'
	touch $@

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
