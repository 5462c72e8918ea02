# Everything starts from Python 3.11 or newer and make: the environment is built on first use.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test bench docs lint clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(VENV)/.base  ## train a crowd on forty years of CO2, with a report
	$(BIN)/shoal train examples/co2/config.yaml
	$(BIN)/python examples/co2/compare.py co2

test: $(VENV)/.test  ## every test, the documentation's examples among them
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: $(VENV)/.dev  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

docs: $(VENV)/.docs  ## the documentation, warnings as errors
	$(BIN)/mkdocs build --strict

bench: $(VENV)/.bench  ## the benchmark table, peers beside it (about half an hour)
	$(BIN)/python benchmarks/run.py

clean:  ## forget the environment and the caches
	rm -rf $(VENV) .cache site

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "shoal needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.base: $(VENV)/.python pyproject.toml constraints.txt
	$(PIP) --editable '.[draw]'
	@touch $@

$(VENV)/.test $(VENV)/.dev $(VENV)/.docs: $(VENV)/.%: $(VENV)/.base
	$(PIP) --group $*
	@touch $@

# torchensemble names torchvision, which it does not need for what is measured
$(VENV)/.bench: $(VENV)/.test
	$(PIP) --group bench
	$(PIP) --no-deps torchensemble==0.2.0
	@touch $@
