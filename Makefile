# The two commands of the README. Each makes a virtual environment in .venv and
# installs what it needs; PYTHON chooses the interpreter.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
TESTS ?=
COVERAGE ?=

QUICK := tests/test_*.py tests/unit tests/contract
# One process more than cores, for each waits for disks and servers half of its time; which
# has run out of tests takes some from another.
PROCESSES := $(shell $(PYTHON) -c 'import os; print(1 + (os.cpu_count() or 1))')
PARALLEL := -n $(PROCESSES) --dist worksteal
# Long ones without a real cluster: stock restic, real disks, processes that are killed.
LONG := tests/restic tests/acceptance
# With real clusters, which wait for their controllers: in one process. What coverage has
# run of them is not run again.
SLOW := tests/integration -k "not (conformance and simulated)"
# What must be covered whole; all else as pyproject.toml says.
WHOLE := */kbackup/archive/*,*/kbackup/models/*,*/kbackup/restore/_plan/plan.py,*/kbackup/restore/_plan_entry.py,*/kbackup/restore/_plan/table.py,*/kbackup/repository/*
# Objects of about 1 MiB, for benchmarks.
LARGE := --items 200 --size 770000

.PHONY: demo test coverage long test-lowest test-wheel lint docs bench clean

demo: .venv/.demo
	@$(BIN)/kbackup demo

# With COVERAGE=1 the quick tests run first, under coverage, and the others after.
test: .venv/.test $(if $(COVERAGE),coverage long)
	$(BIN)/python -m pytest $(or $(TESTS),$(if $(COVERAGE),$(SLOW)))

long: .venv/.test
	$(BIN)/python -m pytest $(PARALLEL) $(LONG)

coverage: .venv/.test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PARALLEL) $(QUICK)
	$(BIN)/coverage run -m pytest tests/integration/test_*_conformance.py -k simulated
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/coverage report --include "$(WHOLE)" --fail-under 100

# The lowest versions that pyproject.toml allows do, all of them together.
test-lowest: build/lowest/.ready
	build/lowest/bin/kbackup demo
	build/lowest/bin/python -m pytest $(PARALLEL) $(or $(TESTS),$(QUICK))

# What users install, as they do: the built wheel without extras, in a venv of its own.
# People who write plugins have another, to which each of these is added.
test-wheel: .venv/.lint
	rm -rf build/wheel
	$(BIN)/python -m hatchling build -t wheel -d build/wheel
	$(BIN)/uv venv --quiet --python $(BIN)/python build/wheel/venv
	$(BIN)/uv pip install --quiet --python build/wheel/venv build/wheel/*.whl
	$(BIN)/uv venv --quiet --python $(BIN)/python build/wheel/authors
	$(BIN)/uv pip install --quiet --python build/wheel/authors \
	  "kbackup[testing] @ $$(ls -d $(CURDIR)/build/wheel/*.whl)"
	$(BIN)/python -m pytest tests/wheel

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet tests
	$(BIN)/codespell src tests docs examples benchmarks README.md

# The site, in build/docs; a warning is an error.
docs: .venv/.docs
	$(BIN)/python docs/build.py

# All of benchmarks/README.md, one after the other, also when one misses its budget.
bench: .venv/.test
	@missed=0; \
	run() { echo "== $$*"; $(BIN)/python benchmarks/"$$@" || missed=1; }; \
	run startup.py; \
	run backup_secrets.py; \
	run backup_secrets.py $(LARGE); \
	run hooks.py; \
	run restore_secrets.py; \
	run restore_secrets.py $(LARGE); \
	run mixed.py; \
	run list_secrets.py; \
	run list_backups.py; \
	run repository.py; \
	run stores.py; \
	exit $$missed

clean:
	rm -rf .venv .cache build dist

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

.venv/.demo: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[simulator]"
	@touch $@

.venv/.test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable . --group test
	@touch $@

build/lowest/.ready: pyproject.toml | .venv/.lint
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/lowest
	$(BIN)/uv pip install --quiet --python build/lowest --resolution lowest-direct \
	  --editable ".[aws,azure,gcp,sftp,simulator]"
	$(BIN)/uv pip freeze --quiet --python build/lowest --exclude-editable \
	  > build/lowest/versions.txt
	$(BIN)/uv pip install --quiet --python build/lowest --group test \
	  --constraint build/lowest/versions.txt
	@touch $@

.venv/.lint: pyproject.toml | .venv/.test
	$(BIN)/python -m pip install --quiet --group lint
	@touch $@

.venv/.docs: pyproject.toml | .venv/.lint
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@
